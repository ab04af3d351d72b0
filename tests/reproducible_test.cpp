// The whole job, twice: the same seed gives the same bits, whatever the number of threads, with features
// computed or taken from the cache, in stacks of any size.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/philox.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/models/trainer.hpp"
#include "support/audio_files.hpp"
#include "support/mlp_problem.hpp"
#include "support/program.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

// 48 noisy tones of three labels and four speakers, one of them twice, and 6 of another speaker.
void write_recordings(const TemporaryFolder& folder) {
  for (int clip = 0; clip < 54; ++clip) {
    const int label = clip % 3, speaker = clip < 48 ? clip / 3 % 4 : 9;
    PhiloxSequence random(static_cast<std::uint64_t>(clip), RandomStream::split);
    std::vector<std::int16_t> samples;
    for (int i = 0; i < 4000; ++i)
      samples.push_back(static_cast<std::int16_t>(
          3000 * std::sin(0.1 * (1 + label) * (1 + 0.05 * speaker) * i) + 5000 * random.next_uniform01()));
    write_bytes(folder / (clip < 48 ? "data" : "own") /
                    fmt::format("{}_s{}_{}.wav", std::string(1, "xyz"[label]), speaker, clip),
                wav_bytes(samples));
  }
  fs::copy_file(folder / "data/x_s0_0.wav", folder / "data/x_s0_99.wav");
  // Files this young have no stamp in the cache (file_stamp.hpp); from now on they do.
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));
}

ProgramRun run(const TemporaryFolder& folder, const std::string& out, const Words& more,
               const std::string& random_state = "7") {
  const std::string pattern = "{label}_{group}_{index}";
  Words words = {
      "run",        "data",   "--pattern",  pattern, "--own",     "own", "--own-pattern",    pattern,
      "--out",      out,      "--max-iter", "30",    "--dropout", "0.2", "--early-stopping", "--random-state",
      random_state, "--quiet"};
  words.insert(words.end(), more.begin(), more.end());
  const ProgramRun done =
      run_melgrad(words, {.working_folder = folder.path(), .variables = {"SOURCE_DATE_EPOCH=1700000000"}});
  REQUIRE_MESSAGE(done.status == 0, done.err);
  return done;
}

// Without what results_schema.md excepts: clocks, what follows from them, speeds, what came from the cache,
// the device's words, which tell its threads, and the command line.
Json comparable(const Json& json) {
  static const std::set<std::string> excepted = {"clips_per_second",   "real_time_factor", "cached_clips",
                                                 "device_description", "command_line",     "bench"};
  Json rest = json;
  if (rest.is_object())
    for (auto item = rest.begin(); item != rest.end();)
      item = item.key().ends_with("seconds") || excepted.contains(item.key()) ? rest.erase(item)
                                                                              : std::next(item);
  if (rest.is_structured())
    for (Json& each : rest) each = comparable(each);
  return rest;
}

Json results_in(const fs::path& folder) {
  return comparable(Json::parse(read_bytes(folder / "results.json")));
}

}  // namespace

TEST_SUITE("reproducible") {
  TEST_CASE("the whole job gives the same results and the same files, bit for bit, however it is run") {
    const TemporaryFolder folder;
    write_recordings(folder);
    run(folder, "one", {"--threads", "1"});
    const Json expected = results_in(folder / "one");
    CHECK(expected["models"].size() >= 3);
    const Json bench = Json::parse(read_bytes(folder / "one/results.json"))["bench"];
    for (const char* part : {"features", "training"})
      CHECK(bench[part]["rows"][0]["cpu_seconds"]["median"] > 0);
    run(folder, "two", {"--threads", "2"});
    run(folder, "three", {"--threads", "3"});
    for (const char* out : {"two", "three"}) {
      CAPTURE(out);
      CHECK(results_in(folder / out) == expected);
      for (const char* file : {"features.h5", "own_features.h5", "model.h5"})
        CHECK(read_bytes(folder / out / file) == read_bytes(folder / "one" / file));
    }
    // Again: nothing is computed but the networks.
    const std::string model = read_bytes(folder / "one/model.h5"),
                      cache = read_bytes(folder / "one/features.h5");
    run(folder, "one", {"--threads", "2"});
    CHECK(Json::parse(read_bytes(folder / "one/results.json"))["features"]["cached_clips"] == 49);
    CHECK(results_in(folder / "one") == expected);
    CHECK(read_bytes(folder / "one/model.h5") == model);
    CHECK(read_bytes(folder / "one/features.h5") == cache);
    // With another seed the comparison would see it.
    run(folder, "other", {}, "8");
    CHECK(results_in(folder / "other")["models"] != expected["models"]);
  }

  TEST_CASE("models do not depend on how many are trained side by side") {
    const testing::MlpProblem problem(60, 11, 3);
    std::vector<MlpJob> jobs;
    for (int seed = 0; seed < 7; ++seed)
      jobs.push_back(
          problem.job({.hidden_layer_sizes = {9}, .batch_size = 16, .max_iter = 15, .random_state = seed}));
    NoProgress quiet;
    std::vector<MlpParameters> expected;
    for (const Index bytes : {Index{1} << 30, Index{1}, Index{20'000}})
      for (const int n_threads : {1, 2}) {
        CAPTURE(bytes);
        CAPTURE(n_threads);
        const auto engine = make_cpu_engine({.n_threads = n_threads});
        std::vector<MlpParameters> found;
        for (FittedMlp& fitted : Trainer(*engine, {.bytes = bytes}).fit(problem.training_set(), jobs, quiet))
          found.push_back(std::move(fitted.parameters));
        if (expected.empty()) expected = found;
        CHECK(found == expected);
      }
  }
}
