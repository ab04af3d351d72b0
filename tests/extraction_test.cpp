#include "host/cache/extraction.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "host/cache/hdf5.hpp"
#include "host/cache/row_writer.hpp"
#include "support/audio_files.hpp"
#include "support/fake_engine.hpp"

using namespace melgrad;
using test::FakeEngine;
using test::RecordedProgress;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

FeatureSpec small_spec(int sample_rate = 0) {
  FeatureSpec spec;
  spec.name = "small";
  spec.sample_rate = sample_rate;
  spec.descriptors = {{MelSpectrogram{.n_mels = 8}, {Functional::mean}}};
  return spec;
}

// Recordings in a folder of their own, with the cache beside it.
struct Recordings {
  TemporaryFolder folder;
  Manifest manifest;
  fs::path file = folder / "features.h5";

  Recordings() {
    manifest.root = folder / "data";
    fs::create_directory(manifest.root);
  }
  // A clip whose samples follow from its number alone.
  void add(const std::string& name, int number, int sample_rate = 16'000, int n_samples = 400) {
    std::vector<std::int16_t> samples;
    for (int i = 0; i < n_samples; ++i)
      samples.push_back(static_cast<std::int16_t>((i * (number + 3)) % 1000 - number));
    test::write_bytes(manifest.root / name, test::wav_bytes(samples, {.sample_rate = sample_rate}));
    manifest.clips.push_back(
        {name, number % 2 ? "odd" : "even", "", "", {{"number", std::to_string(number)}}});
  }
  void add_bytes(const std::string& name, const std::string& bytes) {
    test::write_bytes(manifest.root / name, bytes);
    manifest.clips.push_back({name, "none", "", "", {}});
  }
  // n good clips of two sample rates and, among them, one that is refused and one that is there twice.
  void add_mixture(int n) {
    for (int i = 0; i < n; ++i) add(fmt::format("{:04}.wav", i), i, i % 3 ? 16'000 : 8'000, 300 + i % 50);
    add_bytes("empty.wav", "");
    add("twin.wav", n / 2, (n / 2) % 3 ? 16'000 : 8'000, 300 + n / 2 % 50);
  }
};

struct Outcome {
  FeatureTable table;
  ExtractionReport report;
  test::FakeEngineLog log;
  std::vector<std::string> warnings;
};

// Files that the test has just made have stamps, whatever time goes by between two runs.
constexpr double any_age = -1e9;

Outcome extract(const Recordings& recordings, ExtractionOptions options = {.n_threads = 2},
                const FeatureSpec& spec = small_spec()) {
  options.min_file_age_s = any_age;
  FakeEngine engine;
  RecordedProgress progress;
  Extraction extraction =
      extract_features(recordings.manifest, spec, engine, recordings.file, options, progress);
  CHECK(progress.n_steps == extraction.report.n_clips);
  CHECK(progress.n_done == extraction.report.n_clips);
  return {std::move(extraction.table), std::move(extraction.report), engine.log, progress.warnings};
}

std::vector<float> row_of(const Outcome& outcome, const std::string& path) {
  const auto found = std::ranges::find(outcome.table.clips, path, &Clip::path);
  REQUIRE(found != outcome.table.clips.end());
  const auto row = outcome.table.features.row(found - outcome.table.clips.begin());
  return {row.begin(), row.end()};
}

std::string bytes_of_undisturbed(const Recordings& recordings) {
  const TemporaryFolder elsewhere;
  FakeEngine engine;
  RecordedProgress progress;
  extract_features(recordings.manifest, small_spec(), engine, elsewhere / "features.h5",
                   {.min_file_age_s = any_age}, progress);
  return test::read_bytes(elsewhere / "features.h5");
}

// Extracts in a child process with a fresh cache, until signal 9 after delay_us. Returns true if it was hit.
bool extract_and_kill(const Recordings& recordings, useconds_t delay_us) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      FakeEngine engine;
      NoProgress progress;
      extract_features(
          recordings.manifest, small_spec(), engine, recordings.file,
          {.n_threads = 2, .batch_bytes = 5000, .commit_interval_s = 0, .min_file_age_s = any_age}, progress);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  REQUIRE(child > 0);
  ::usleep(delay_us);
  ::kill(child, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status)) CHECK(WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

}  // namespace

TEST_SUITE("extraction") {
  TEST_CASE("rows are in the order of the manifest, with everything known of each clip") {
    Recordings recordings;
    recordings.add_mixture(40);
    const Outcome outcome = extract(recordings);
    REQUIRE(outcome.table.n_clips() == 42);
    for (std::size_t i = 0; i < 42; ++i) CHECK(outcome.table.clips[i] == recordings.manifest.clips[i]);
    CHECK(outcome.table.engine == "fake");
    CHECK(outcome.table.spec == small_spec());
    CHECK(outcome.table.status[0] == "ok");
    CHECK(outcome.table.audio_hash[0].size() == 32);
    CHECK(outcome.table.duration_s[1] == doctest::Approx(301 / 16'000.0));
    // The fake engine's own definition, for clip 2 of 302 samples.
    double expected = 16'000;
    for (int i = 0; i < 302; i += 8) expected += i * 5 % 1000 - 2;
    CHECK(outcome.table.features(2, 0) == static_cast<float>(expected));
    CHECK(outcome.report.n_clips == 42);
    CHECK(outcome.report.n_computed == 40);
    CHECK(outcome.report.n_cached == 0);
    CHECK(outcome.report.audio_seconds > 40 * 300 / 16'000.0);
    CHECK(content_hash(read_feature_table(recordings.file)) == content_hash(outcome.table));
  }

  TEST_CASE("the file is the same for any number of threads, batch size and commit interval") {
    Recordings recordings;
    recordings.add_mixture(60);
    const std::string expected = bytes_of_undisturbed(recordings);
    for (const int n_threads : {1, 2, 7}) {
      for (const std::size_t batch_bytes : {1, 3000, 1 << 20}) {
        for (const double interval_s : {0.0, 10.0}) {
          fs::remove(recordings.file);
          extract(recordings, {n_threads, batch_bytes, interval_s, any_age});
          const bool is_same = test::read_bytes(recordings.file) == expected;
          CHECK_MESSAGE(is_same, n_threads, " threads, ", batch_bytes, " bytes, ", interval_s, " s");
        }
      }
    }
  }

  TEST_CASE("batches hold clips of one rate and are cut at their size") {
    Recordings recordings;
    recordings.add_mixture(60);
    const Outcome outcome = extract(recordings, {.n_threads = 2, .batch_bytes = 5000});
    CHECK(std::ranges::max(outcome.log.batch_clips) <= 9);  // of at least 600 bytes each
    CHECK(outcome.log.batch_clips.size() >= 7);
    CHECK(std::ranges::count(outcome.log.extractor_rates, 8'000) == 1);
    CHECK(std::ranges::count(outcome.log.extractor_rates, 16'000) == 1);
  }

  TEST_CASE("a second run computes nothing, and leaves the file alone") {
    Recordings recordings;
    recordings.add_mixture(20);
    extract(recordings);
    const std::string before = test::read_bytes(recordings.file);
    const auto written = fs::last_write_time(recordings.file);
    const Outcome again = extract(recordings);
    CHECK(again.log.n_clips == 0);
    CHECK(again.report.n_cached == 21);
    CHECK(again.report.n_computed == 0);
    CHECK(again.report.n_refused == 1);
    CHECK(fs::last_write_time(recordings.file) == written);
    CHECK(test::read_bytes(recordings.file) == before);
  }

  TEST_CASE("of one clip added, one changed, one moved and one removed, two are computed") {
    Recordings recordings;
    for (int i = 0; i < 10; ++i) recordings.add(fmt::format("{}.wav", i), i);
    const Outcome before = extract(recordings);
    recordings.add("new.wav", 100);
    auto& clips = recordings.manifest.clips;
    clips.erase(clips.begin() + 3);  // removed: 3.wav
    fs::rename(recordings.manifest.root / "5.wav", recordings.manifest.root / "moved.wav");
    clips[4].path = "moved.wav";
    clips[4].label = "renamed";
    test::write_bytes(recordings.manifest.root / "7.wav",
                      test::wav_bytes(std::vector<std::int16_t>{1, 2, 3, 4}));

    const Outcome after = extract(recordings);
    CHECK(after.log.n_clips == 2);
    CHECK(after.report.n_cached == 8);
    CHECK(row_of(after, "moved.wav") == row_of(before, "5.wav"));
    CHECK(row_of(after, "7.wav") != row_of(before, "7.wav"));
    CHECK(row_of(after, "7.wav")[0] == 16'001);
    CHECK(row_of(after, "new.wav") != row_of(before, "0.wav"));
    CHECK(after.table.clips[4].label == "renamed");
    REQUIRE(after.warnings.size() == 1);
    CHECK(
        after.warnings[0].find("left out the features of 1 recording no longer in the data (first: 3.wav)") !=
        std::string::npos);
    CHECK(test::read_bytes(recordings.file) == bytes_of_undisturbed(recordings));
  }

  TEST_CASE("identical audio is computed once, and each clip has its row") {
    Recordings recordings;
    for (int i = 0; i < 50; ++i) recordings.add(fmt::format("{}.wav", i), i % 5);
    const Outcome outcome = extract(recordings, {.n_threads = 4, .batch_bytes = 1});
    CHECK(outcome.log.n_clips == 5);
    CHECK(outcome.report.n_identical == 45);
    CHECK(outcome.report.n_computed == 5);
    CHECK(row_of(outcome, "47.wav") == row_of(outcome, "2.wav"));
    CHECK(row_of(outcome, "46.wav") != row_of(outcome, "2.wav"));
  }

  TEST_CASE("what cannot be used is refused with its reason, in the table and in the report") {
    Recordings recordings;
    recordings.add("good.wav", 1);
    recordings.add_bytes("empty.wav", "");
    recordings.add_bytes("text.wav", "this is not audio");
    recordings.add_bytes("nan.wav", test::wav_bytes(std::vector<float>{0.5f, std::nanf(""), 0.25f}));
    recordings.manifest.clips.push_back({"missing.wav", "x", "", "", {}});
    recordings.manifest.refused.push_back({"unlabelled.wav", "has no label"});
    const Outcome outcome = extract(recordings);
    CHECK(outcome.report.n_clips == 6);
    CHECK(outcome.report.n_refused == 5);
    REQUIRE(outcome.report.refused.size() == 5);
    CHECK(outcome.report.refused[0].path == "empty.wav");
    CHECK(outcome.report.refused[0].reason == "is empty (0 bytes)");
    CHECK(outcome.report.refused[4] == Refusal{"unlabelled.wav", "has no label"});
    const FeatureTable read = read_feature_table(recordings.file);
    CHECK(read.status[0] == "ok");
    CHECK(read.status[1] == "refused: is empty (0 bytes)");
    CHECK(read.status[3].find("not a finite number") != std::string::npos);
    CHECK(read.status[5] == "refused: has no label");
    for (const Index clip : {1, 2, 3, 4, 5}) {
      CHECK(std::isnan(read.features(clip, 0)));
      CHECK(std::isnan(read.features(clip, 7)));
      CHECK(read.audio_hash[static_cast<std::size_t>(clip)].empty());
    }
    test::write_bytes(recordings.manifest.root / "empty.wav",
                      test::wav_bytes(std::vector<std::int16_t>{1, 2, 3}));
    CHECK(extract(recordings).report.n_refused == 4);  // it was mended meanwhile
  }

  TEST_CASE("a feature that is no finite number refuses its clip and that of the same audio") {
    Recordings recordings;
    recordings.add("good.wav", 1);
    recordings.add("bad.wav", 7);  // begins with sample -7
    recordings.add("twin.wav", 7);
    FakeEngine engine;
    engine.log.nan_marker = -7;
    NoProgress progress;
    const Extraction done =
        extract_features(recordings.manifest, small_spec(), engine, recordings.file, {}, progress);
    CHECK(done.report.n_refused == 2);
    CHECK(done.table.status[0] == "ok");
    CHECK(done.table.status[1] == "refused: its feature melspectrogram_0_mean is nan");
    CHECK(done.table.status[2] == done.table.status[1]);
  }

  TEST_CASE("a rate at which the features make no sense refuses the clips of that rate") {
    FeatureSpec spec = small_spec();
    std::get<MelSpectrogram>(spec.descriptors[0].descriptor).fmin = 5'000;
    Recordings recordings;
    recordings.add("low.wav", 1, 8'000);
    recordings.add("high.wav", 2, 16'000);
    recordings.add("low2.wav", 3, 8'000);
    const Outcome outcome = extract(recordings, {}, spec);
    CHECK(outcome.report.n_refused == 2);
    CHECK(outcome.table.status[1] == "ok");
    CHECK(outcome.table.status[0].find("5000 Hz is not below half the sample rate, 4000 Hz") !=
          std::string::npos);
    spec.sample_rate = 8'000;  // now it is the user's wish that makes no sense
    fs::remove(recordings.file);
    CHECK_THROWS_AS(extract(recordings, {}, spec), UsageError);
    CHECK_FALSE(fs::exists(recordings.file));
  }

  TEST_CASE("with a sample rate asked for, every clip is brought to it, and found again by its own audio") {
    Recordings recordings;
    recordings.add("low.wav", 1, 8'000);
    recordings.add("high.wav", 2, 48'000);
    const Outcome outcome = extract(recordings, {}, small_spec(16'000));
    CHECK(outcome.log.extractor_rates == std::vector<int>{16'000});
    CHECK(outcome.table.duration_s[0] == doctest::Approx(400 / 8'000.0));
    CHECK(extract(recordings, {}, small_spec(16'000)).report.n_cached == 2);
  }

  TEST_CASE("an empty manifest makes an empty cache, and one clip a cache of one") {
    Recordings recordings;
    CHECK(extract(recordings).table.n_clips() == 0);
    CHECK(read_feature_table(recordings.file).features.cols == 8);
    recordings.add("1.wav", 1);
    CHECK(extract(recordings).report.n_computed == 1);
    CHECK(read_feature_table(recordings.file).n_clips() == 1);
  }

  TEST_CASE("a damaged cache is set aside and computed again, to the same file") {
    Recordings recordings;
    recordings.add_mixture(20);
    extract(recordings);
    const std::string good = test::read_bytes(recordings.file);
    std::string bad = good;
    bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
    test::write_bytes(recordings.file, bad);
    const Outcome outcome = extract(recordings);
    CHECK(outcome.log.n_clips == 20);
    REQUIRE(outcome.warnings.size() == 1);
    CHECK(outcome.warnings[0].find("features.h5.damaged-1") != std::string::npos);
    CHECK(test::read_bytes(recordings.file) == good);
    CHECK(test::read_bytes(recordings.file.string() + ".damaged-1") == bad);
  }

  TEST_CASE("a clip too short for one frame is refused alone, with its length and the frame's") {
    FeatureSpec spec = small_spec();
    spec.stft.center = false;
    for (const bool on_threads : {false, true}) {
      Recordings recordings;
      recordings.add("short.wav", 1, 16'000, 2047);
      recordings.add("long.wav", 2, 16'000, 2048);
      FakeEngine engine;
      engine.lends_to_threads = on_threads;
      NoProgress progress;
      const Extraction done =
          extract_features(recordings.manifest, spec, engine, recordings.file, {}, progress);
      CHECK(done.table.status[0] == "refused: has 2047 samples at 16000 Hz, too few for one frame of 2048");
      CHECK(done.table.status[1] == "ok");
    }
  }

  TEST_CASE("threads that extract for themselves make the same file as batches for a device") {
    Recordings recordings;
    recordings.add_mixture(60);
    const std::string expected = bytes_of_undisturbed(recordings);
    for (const int n_threads : {1, 2, 7}) {
      fs::remove(recordings.file);
      FakeEngine engine;
      engine.lends_to_threads = true;
      NoProgress progress;
      const Extraction done = extract_features(recordings.manifest, small_spec(), engine, recordings.file,
                                               {.n_threads = n_threads, .min_file_age_s = any_age}, progress);
      CHECK(done.report.n_computed == 60);
      CHECK(std::ranges::count(engine.log.extractor_rates, 16'000) == 1);  // shared, not made again
      CHECK(engine.log.batch_clips.empty());                               // no batch was made
      const bool is_same = test::read_bytes(recordings.file) == expected;
      CHECK_MESSAGE(is_same, n_threads, " threads");
    }
  }

  TEST_CASE("an engine that fails ends the run, and what was extracted before is kept") {
    Recordings recordings;
    recordings.add_mixture(40);
    FakeEngine engine;
    engine.log.fail_after = 25;
    NoProgress progress;
    const ExtractionOptions options{
        .n_threads = 3, .batch_bytes = 1, .commit_interval_s = 0, .min_file_age_s = any_age};
    CHECK_THROWS_WITH_AS(
        extract_features(recordings.manifest, small_spec(), engine, recordings.file, options, progress),
        "the engine is out of order", Error);
    CHECK_FALSE(fs::exists(recordings.file));
    CHECK(read_feature_table(recordings.file).n_clips() == 25);
    const Outcome outcome = extract(recordings);
    CHECK(outcome.log.n_clips == 15);
    CHECK(test::read_bytes(recordings.file) == bytes_of_undisturbed(recordings));
  }

  TEST_CASE("a writer that cannot write ends the run with an error that names the file, and loses no row") {
    Recordings recordings;
    recordings.add_mixture(40);
    FakeEngine engine;
    engine.log.fail_after = 25;
    NoProgress progress;
    const ExtractionOptions options{
        .n_threads = 2, .batch_bytes = 1, .commit_interval_s = 0, .min_file_age_s = any_age};
    CHECK_THROWS(
        extract_features(recordings.manifest, small_spec(), engine, recordings.file, options, progress));
    const pid_t child = ::fork();  // a limit on the size of files stands in for a full disk
    if (child == 0) {
      const rlimit limit{100, 100};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      ::signal(SIGXFSZ, SIG_IGN);
      try {
        engine.log.fail_after = -1;
        extract_features(recordings.manifest, small_spec(), engine, recordings.file, options, progress);
      } catch (const Error& error) {
        const std::string message = error.what();
        const bool names_all = message.find("features.h5") != message.npos &&
                               message.find("cannot write") != message.npos &&
                               message.find("File too large") != message.npos;
        ::_exit(names_all ? 42 : 43);
      }
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 42);
    CHECK(read_feature_table(recordings.file).n_clips() == 25);
    CHECK(extract(recordings).log.n_clips == 15);
    CHECK(test::read_bytes(recordings.file) == bytes_of_undisturbed(recordings));
  }

  TEST_CASE("killed at any instant, what was committed reads back whole, and the next run completes") {
    Recordings recordings;
    recordings.add_mixture(120);
    const std::string expected = bytes_of_undisturbed(recordings);
    int n_kills = 0, n_with_rows = 0;
    Index n_before = 0;
    for (useconds_t delay_us = 2'000; n_kills < 12 || n_with_rows < 4; delay_us = delay_us * 5 / 4) {
      const bool was_killed = extract_and_kill(recordings, delay_us);
      if (fs::exists(recordings.file) || fs::exists(recordings.file.string() + ".segments/000001.h5")) {
        const Index n_rows = read_feature_table(recordings.file).n_clips();  // throws if anything is damaged
        CHECK(n_rows >= n_before);
        n_before = n_rows;
        n_with_rows += was_killed;
      }
      if (was_killed) {
        ++n_kills;
        continue;
      }
      CHECK(test::read_bytes(recordings.file) == expected);
      fs::remove(recordings.file);
      n_before = 0;
      delay_us = 2'000;
    }
    MESSAGE("killed " << n_kills << " times, " << n_with_rows << " of them with rows committed");
    extract(recordings);
    CHECK(test::read_bytes(recordings.file) == expected);
    CHECK_FALSE(fs::exists(recordings.file.string() + ".segments"));
    CHECK_FALSE(fs::exists(recordings.file.string() + ".lock"));
  }
}
