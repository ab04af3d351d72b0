// melgrad bench DATA

#include <fmt/format.h>

#include <memory>

#include "host/bench/throughput.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"

namespace melgrad {
namespace {

struct BenchCommandOptions {
  DataOptions data;
  std::string work = "all";
  BenchOptions bench;
};

int bench(const BenchCommandOptions& options, const CommonOptions& common, Console& console) {
  const Manifest manifest = load_recordings(options.data.data, options.data.pattern, console);
  BenchOptions bench_options = options.bench;
  bench_options.device = make_engine(common, console).engine->name();
  bench_options.n_threads = common.n_threads;
  Json json = Json::object();
  auto report = [&](const char* name, const BenchReport& measured) {
    json[name] = to_json(measured);
    if (!console.json()) console.result(bench_text(measured) + "\n");
  };
  const auto wants = [&](const char* work) { return options.work == work || options.work == "all"; };
  if (wants("features")) report("features", bench_features(manifest, bench_options, console));
  if (wants("training")) report("training", bench_training(manifest, bench_options, console));
  if (options.work == "grid") report("grid", bench_grid(manifest, bench_options, console));
  if (console.json()) console.json_result(json);
  return exit_done;
}

}  // namespace

Command make_bench_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app =
      add_command(program, "bench", "how fast the engine is, and how fast others are at the same work",
                  "  melgrad bench recordings/\n"
                  "  melgrad bench recordings/ --work features --peers python3\n"
                  "  MELGRAD_SIMD=avx2 melgrad bench recordings/       as on a processor without AVX-512\n"
                  "\nFigures are CPU time, all threads together: the median of several repeats after a "
                  "warm-up, and half\n"
                  "their range in per cent. Peers (librosa, torch, scikit-learn) run on one thread, on the "
                  "same clips and\n"
                  "for the same number of epochs, in the same run; those that the interpreter lacks are left "
                  "out by name.");
  auto options = std::make_shared<BenchCommandOptions>();
  options->data.add(app, "recordings to measure with: a folder or a CSV file");
  app.add_option("--work", options->work,
                 "what to measure; grid, the notebook's grid search, is not in `all`")
      ->check(CLI::IsMember({"features", "training", "grid", "all"}))
      ->type_name("features|training|grid|all")
      ->capture_default_str();
  app.add_option("--peers", options->bench.python, "Python interpreter that has the peers; none: no peers")
      ->type_name("PYTHON");
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
