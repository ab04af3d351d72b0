// `melgrad sweep` and the curves, run as a person runs them: killed, interrupted, twice at once.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "host/core/json.hpp"
#include "host/core/philox.hpp"
#include "support/audio_files.hpp"
#include "support/clockless_json.hpp"
#include "support/program.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

// 48 noisy tones of three labels and six speakers, and their features.
void extract_tones(const TemporaryFolder& folder) {
  for (int clip = 0; clip < 48; ++clip) {
    const int label = clip % 3, speaker = clip / 3 % 6;
    PhiloxSequence random(static_cast<std::uint64_t>(clip), RandomStream::split);
    std::vector<std::int16_t> samples;
    for (int i = 0; i < 3000; ++i) {
      const double tone = std::sin(0.1 * (1 + label) * (1 + 0.03 * speaker) * i);
      samples.push_back(static_cast<std::int16_t>(2000 * tone + 9000 * random.next_uniform01()));
    }
    const std::string name(1, "xyz"[label]);
    write_bytes(
        folder / "data" / (name + "_s" + std::to_string(speaker) + "_" + std::to_string(clip) + ".wav"),
        wav_bytes(samples));
  }
  const ProgramRun run = run_melgrad(
      {"extract", folder / "data", "--pattern", "{label}_{group}_{index}", "-o", folder / "f.h5"});
  REQUIRE_MESSAGE(run.status == 0, run.err);
}

// Eight architectures: eight stacks, each committed to the journal by itself.
constexpr const char* grid =
    "[mlp]\nmax_iter = 700\ntol = 0.0\nn_iter_no_change = 700\nbatch_size = 16\n"
    "[[grid]]\nhidden_layer_sizes = [[64], [72], [80], [88], [96], [104], [112], [120]]\nalpha = [0.1, 1, "
    "10]\n";
constexpr std::size_t n_fits = 8 * 3 * 4;

std::vector<std::string> sweep(const TemporaryFolder& folder, const std::string& output = "sweep.json") {
  return {"sweep", folder / "f.h5", "--grid", folder / "grid.toml", "--folds", "4", "--threads", "2",
          "-o",    folder / output};
}

std::size_t lines(const fs::path& file) {
  if (!fs::exists(file)) return 0;
  const std::string text = read_bytes(file);
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

// What the JSON says, but for the clocks and the files' names.
Json results_in(const fs::path& file) {
  return without_clocks(Json::parse(read_bytes(file)));
}

// Waits until the journal has so many lines; false once the program has ended.
bool wait_for_lines(RunningProgram& program, const fs::path& journal, std::size_t n) {
  while (program.runs()) {
    if (lines(journal) >= n) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

}  // namespace

TEST_SUITE("sweep") {
  TEST_CASE("a sweep that is killed, interrupted and started twice ends as if nothing had happened") {
    const TemporaryFolder folder;
    extract_tones(folder);
    write_bytes(folder / "grid.toml", grid);
    const fs::path journal = folder / "sweep.json.journal";
    const ProgramRun undisturbed = run_melgrad(sweep(folder, "undisturbed.json"));
    REQUIRE_MESSAGE(undisturbed.status == 0, undisturbed.err);
    CHECK(undisturbed.out.find("Best candidates") != std::string::npos);

    // kill -9 after the first stack.
    RunningProgram killed(sweep(folder));
    REQUIRE(wait_for_lines(killed, journal, 2));
    killed.send(SIGKILL);
    CHECK(killed.wait().status == 128 + SIGKILL);
    const std::size_t after_kill = lines(journal) - 1;
    CHECK(after_kill >= 12);
    REQUIRE(after_kill < n_fits);
    CHECK_FALSE(fs::exists(folder / "sweep.json"));

    // Ctrl-C after another one, and a second process in between.
    RunningProgram interrupted(sweep(folder));
    REQUIRE(wait_for_lines(interrupted, journal, after_kill + 2));
    const ProgramRun second = run_melgrad(sweep(folder));
    CHECK(second.status == 1);
    CHECK(second.err.find("sweep.json is in use by another process") != std::string::npos);
    interrupted.send(SIGINT);
    const ProgramRun stopped = interrupted.wait();
    CHECK(stopped.status == 130);
    CHECK(stopped.err.find(fmt::format("{} of 96 fits were finished before", after_kill)) !=
          std::string::npos);
    const std::size_t after_interrupt = lines(journal) - 1;
    CHECK(stopped.err.find(fmt::format("interrupted: {} of 96 fits are finished", after_interrupt)) !=
          std::string::npos);
    REQUIRE(after_interrupt < n_fits);

    // A last line that was not written to its end is cut off.
    write_bytes(journal, read_bytes(journal) + "0123456789abcdef {\"fit\":");
    const ProgramRun resumed = run_melgrad(sweep(folder));
    REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
    CHECK(resumed.err.find(fmt::format("{} of 96 fits were finished before", after_interrupt)) !=
          std::string::npos);
    CHECK(results_in(folder / "sweep.json") == results_in(folder / "undisturbed.json"));
    CHECK(lines(journal) == 1 + n_fits);  // no fit twice
    CHECK_FALSE(fs::exists(folder / "sweep.json.lock"));

    // Once more: nothing is left to do, and the results are the same bytes but for the date.
    Json before = Json::parse(read_bytes(folder / "sweep.json"));
    const ProgramRun again = run_melgrad(sweep(folder));
    CHECK(again.status == 0);
    CHECK(again.err.find("search: 0 in") != std::string::npos);
    Json after = Json::parse(read_bytes(folder / "sweep.json"));
    before.erase("date");
    after.erase("date");
    CHECK(before == after);

    // Another grid into the same file.
    write_bytes(folder / "grid.toml", std::string(grid) + "tol = [0.0, 0.1]\n");
    const ProgramRun other = run_melgrad(sweep(folder));
    CHECK(other.status == 2);
    CHECK(other.err.find("sweep.json.journal holds another sweep") != std::string::npos);
    CHECK(other.err.find("candidates: {\"n\":24,") != std::string::npos);
    CHECK(other.err.find("now") != std::string::npos);
  }

  TEST_CASE("a sweep writes JSON and HDF5, and a model of the best candidate that predicts") {
    const TemporaryFolder folder;
    extract_tones(folder);
    write_bytes(folder / "grid.toml",
                "[mlp]\nmax_iter = 30\n[[grid]]\nalpha = [0.1, 1]\nhidden_layer_sizes = [[8], [4, 4]]\n"
                "[[random]]\nn_iter = 2\nlearning_rate_init = {log_uniform = [1e-3, 1e-1]}\n");
    const std::vector<std::string> arguments = {"sweep",      folder / "f.h5",
                                                "--grid",     folder / "grid.toml",
                                                "--protocol", "speaker",
                                                "--folds",    "3",
                                                "--seeds",    "2",
                                                "--nested",   "2",
                                                "--hdf5",     folder / "sweep.h5",
                                                "--refit",    folder / "best.h5",
                                                "-o",         folder / "sweep.json",
                                                "--json",     "--quiet"};
    const ProgramRun run = run_melgrad(arguments);
    REQUIRE_MESSAGE(run.status == 0, run.err);
    CHECK(run.err.empty());
    CHECK(run.out == read_bytes(folder / "sweep.json"));
    const Json json = Json::parse(run.out);
    CHECK(json["n_candidates"] == 6);
    CHECK(json["n_fits"] == 6 * 3 * 2 * 3 + 4);
    CHECK(json["candidates"].size() == 6);
    CHECK(json["candidates"][0]["test_accuracy"].size() == 6);
    CHECK(json["nested"]["folds"].size() == 2);
    CHECK(fs::exists(folder / "sweep.h5"));
    const ProgramRun predicted =
        run_melgrad({"predict", folder / "best.h5", folder / "data" / "x_s0_0.wav", "--json"});
    CHECK(predicted.status == 0);

    const std::string features = read_bytes(folder / "f.h5");
    const ProgramRun onto_input = run_melgrad(
        {"sweep", folder / "f.h5", "--grid", folder / "grid.toml", "-o", folder / "f.h5", "--overwrite"});
    CHECK(onto_input.status == 2);
    CHECK(onto_input.err.find("f.h5 is named twice") != std::string::npos);
    CHECK(read_bytes(folder / "f.h5") == features);

    const ProgramRun again = run_melgrad(arguments);
    CHECK(again.status == 2);
    CHECK(again.err.find("sweep.h5 exists; --overwrite replaces it") != std::string::npos);
  }

  TEST_CASE("options of the command line go before those of the grid, and not both ways") {
    const TemporaryFolder folder;
    extract_tones(folder);
    write_bytes(folder / "grid.toml", "[mlp]\nmax_iter = 300\n[[grid]]\nalpha = [0.1, 1, 10, 100]\n");
    const ProgramRun run =
        run_melgrad({"sweep", folder / "f.h5", "--grid", folder / "grid.toml", "--max-iter", "3", "--n-iter",
                     "2", "--folds", "2", "--json", "--quiet", "-o", folder / "s.json"});
    REQUIRE_MESSAGE(run.status == 0, run.err);
    const Json json = Json::parse(run.out);
    CHECK(json["n_candidates"] == 2);
    CHECK(json["best"]["mlp"]["max_iter"] == 3);
    const ProgramRun twice = run_melgrad(
        {"sweep", folder / "f.h5", "--grid", folder / "grid.toml", "--alpha", "1", "-o", folder / "t.json"});
    CHECK(twice.status == 2);
    CHECK(twice.err.find("grid.toml: line 4: alpha is given on the command line, too") != std::string::npos);
    CHECK_FALSE(fs::exists(folder / "t.json.journal"));
  }

  TEST_CASE("the curves print bars and JSON") {
    const TemporaryFolder folder;
    extract_tones(folder);
    const ProgramRun validation =
        run_melgrad({"validation-curve", folder / "f.h5", "--parameter", "hidden_layer_sizes", "--values",
                     "4;8,8", "--folds", "2", "--max-iter", "5", "-o", folder / "v.json"});
    REQUIRE_MESSAGE(validation.status == 0, validation.err);
    CHECK(validation.out.find("(8, 8)") != std::string::npos);
    const Json json = Json::parse(read_bytes(folder / "v.json"));
    CHECK(json["points"][1]["hidden_layer_sizes"] == Json{8, 8});
    CHECK(json["points"][1]["train_accuracy"].size() == 2);
    const ProgramRun learning = run_melgrad({"learning-curve", folder / "f.h5", "--train-sizes", "6,0.5,1",
                                             "--folds", "2", "--max-iter", "5", "--json"});
    REQUIRE_MESSAGE(learning.status == 0, learning.err);
    CHECK(Json::parse(learning.out)["points"][2]["n_train"] == 24);
    CHECK(run_melgrad({"validation-curve", folder / "f.h5", "--parameter", "alhpa", "--values", "1"})
              .err.find("--parameter: unknown name 'alhpa'") != std::string::npos);
    CHECK(run_melgrad({"validation-curve", folder / "f.h5", "--parameter", "alpha", "--values", "1,-1"})
              .err.find("--values: alpha: -1 is not in [0, 1000000]") != std::string::npos);
  }
}
