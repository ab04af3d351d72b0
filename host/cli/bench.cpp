// melgrad bench DATA

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "host/bench/throughput.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/core/temporary_folder.hpp"

namespace melgrad {
namespace {

constexpr int n_synthetic = 240;

struct BenchCommandOptions {
  std::string data, pattern;  // empty: synthetic recordings
  std::string work = "all";
  BenchOptions bench;
};

int bench(const BenchCommandOptions& options, const CommonOptions& common, Console& console) {
  BenchOptions bench_options = options.bench;
  const std::string chosen(make_engine(common, console).engine->name());
  bench_options.device = common.device == "auto" ? common.device : chosen;
  bench_options.n_threads = common.n_threads;
  console.heed_interrupts();
  const TemporaryFolder folder;
  const Manifest manifest =
      options.data.empty()
          ? synthetic_recordings(folder.path(), std::min(options.bench.max_clips, n_synthetic))
          : load_recordings(options.data, options.pattern, console);
  if (options.data.empty()) console.note(fmt::format("{} synthetic recordings", manifest.clips.size()));
  std::vector<std::string> parts = {options.work};
  if (options.work == "all") parts = {"features", "training", "search", "end-to-end"};
  const Json json = measure_throughput(manifest, parts, bench_options, console, [&](const std::string& text) {
    if (!console.json()) console.result(text + "\n");
  });
  if (console.json()) console.json_result(json);
  return exit_done;
}

}  // namespace

Command make_bench_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "bench", "how fast the engine is, and how fast others are at the same work",
      "  melgrad bench recordings/\n"
      "  melgrad bench --peers                             beside the libraries that python3 has\n"
      "  melgrad bench recordings/ --work features --peers venv/bin/python\n"
      "  MELGRAD_SIMD=avx2 melgrad bench recordings/       as on a processor without AVX-512\n"
      "\nTimes are CPU time, all threads together: the median of several repeats after a "
      "warm-up, and half\n"
      "their range in per cent. Rates are by the CPU time of one thread, else by the clock; shares "
      "are of peaks that\n"
      "are measured first. Peers (librosa, torch, torchaudio, scikit-learn) run on one thread, on the "
      "same clips\n"
      "and for the same number of epochs: a peer and melgrad take turns, part by part, for 30 s of the "
      "peer's in as\n"
      "many processes as there are repeats. How many times as long it takes is told of all turns, and of the "
      "processes\n"
      "at either end. Those that the interpreter lacks are left out by name.");
  auto options = std::make_shared<BenchCommandOptions>();
  app.add_option("DATA", options->data,
                 "recordings to measure with, a folder or a CSV file; none: synthetic ones");
  app.add_option("--pattern", options->pattern, "what file names hold, as '{label}_{group}_{index}'")
      ->type_name("PATTERN");
  app.add_option("--work", options->work,
                 "what to measure; grid, the notebook's grid search, is not in `all`")
      ->check(CLI::IsMember({"features", "training", "search", "end-to-end", "grid", "all"}))
      ->type_name("features|training|search|end-to-end|grid|all")
      ->capture_default_str();
  add_peers_option(app, options->bench.python);
  app.add_option("--repeats", options->bench.repeats, "of each measurement, after a warm-up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--clips", options->bench.max_clips,
                 "recordings at most, evenly spread, for features; written as WAV")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--epochs", options->bench.max_epochs, "of a fit at most; 0: to convergence")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return bench(*options, common, console); }};
}

}  // namespace melgrad
