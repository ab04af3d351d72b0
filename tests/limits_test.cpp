// The program at its limits, run as a person runs it: interrupted, with nobody listening, without room or
// permission, on names that a shell would trip over, on one label and on thousands.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/matrix.hpp"
#include "host/core/philox.hpp"
#include "support/audio_files.hpp"
#include "support/program.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Words small_network = {"--hidden-layer-sizes", "8", "--max-iter", "20", "--batch-size", "16"};

std::vector<std::int16_t> tone(int number, int n_samples = 2'000) {
  PhiloxSequence random(static_cast<std::uint64_t>(number), RandomStream::split);
  std::vector<std::int16_t> samples;
  for (int i = 0; i < n_samples; ++i)
    samples.push_back(static_cast<std::int16_t>(4'000 * std::sin(0.02 * (1 + number % 5) * i) +
                                                2'000 * random.next_uniform01()));
  return samples;
}

// n clips of labels a and b, four groups.
void write_clips(const fs::path& folder, int n_clips) {
  for (int clip = 0; clip < n_clips; ++clip)
    write_bytes(folder / fmt::format("{}_s{}_{}.wav", clip % 2 ? "a" : "b", clip / 2 % 4, clip),
                wav_bytes(tone(clip)));
}

Words run_words(const fs::path& data, const fs::path& out) {
  return Words{"run",     data.string(), "--pattern", "{label}_{group}_{index}", "--out", out.string(),
               "--quick", "--threads",   "2"} +
         small_network;
}

// An extraction whose clips take some hundredths of a second each: windows of 65536 samples, one every 32.
Words slow_extraction(const fs::path& data, const fs::path& file) {
  return {"extract",
          data.string(),
          "--pattern",
          "{label}_{group}_{index}",
          "-o",
          file.string(),
          "--n-fft",
          "65536",
          "--hop-length",
          "32",
          "--threads",
          "1",
          "--commit-interval",
          "0"};
}

Index rows_in(const fs::path& cache) {
  const ProgramRun info = run_melgrad({"info", cache, "--json"});
  REQUIRE_MESSAGE(info.status == 0, info.err);
  const Json json = Json::parse(info.out);
  return json.contains("n_clips") ? json["n_clips"].get<Index>() : json["cache"]["n_clips"].get<Index>();
}

Index n_segments(const fs::path& cache) {
  std::error_code none;
  return std::distance(fs::directory_iterator(cache.string() + ".segments", none), fs::directory_iterator());
}

// Whether the program still ran when it had committed more than n segments.
bool wait_for_more_segments(RunningProgram& program, const fs::path& cache, Index n) {
  while (program.runs()) {
    if (n_segments(cache) > n) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != text.npos;
}

}  // namespace

TEST_SUITE("limits") {
  TEST_CASE("Ctrl-C, SIGTERM and SIGHUP end an extraction with what is done kept, and the next run goes on") {
    const TemporaryFolder folder;
    write_clips(folder / "data", 24);
    let_files_age();
    const fs::path undisturbed = folder / "undisturbed.h5", cache = folder / "f.h5";
    REQUIRE(run_melgrad(slow_extraction(folder / "data", undisturbed)).status == 0);
    Index n_before = 0;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      CAPTURE(signal);
      const Index n_segments_before = n_segments(cache);
      RunningProgram program(slow_extraction(folder / "data", cache));
      REQUIRE(wait_for_more_segments(program, cache, n_segments_before));
      program.send(signal);
      const ProgramRun stopped = program.wait();
      CHECK(stopped.status == 128 + signal);
      const Index n_rows = rows_in(cache);
      CHECK(n_rows > n_before);
      CHECK(n_rows < 24);
      CHECK(says(stopped.err, fmt::format("interrupted: {} of 24 clips are done", n_rows)));
      CHECK_FALSE(fs::exists(cache.string() + ".lock"));
      n_before = n_rows;
    }
    CHECK(run_melgrad(slow_extraction(folder / "data", cache)).status == 0);
    CHECK(read_bytes(cache) == read_bytes(undisturbed));
  }

  TEST_CASE("a run that is stopped while it measures its speed has a model, results and a report") {
    const TemporaryFolder folder;
    write_clips(folder / "data", 24);
    Words words = run_words(folder / "data", folder / "out") + Words{"--models", "mlp"};
    std::erase(words, "--quick");
    RunningProgram program(words);
    while (program.runs() && !fs::exists(folder / "out/report.html"))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    program.send(SIGTERM);
    CHECK(program.wait().status == 143);
    CHECK(fs::exists(folder / "out/model.h5"));
    const Json results = Json::parse(read_bytes(folder / "out/results.json"));
    CHECK(results["bench"].is_null());
    CHECK(results["models"].size() > 0);
  }

  TEST_CASE("a bench that is stopped leaves no recordings behind") {
    const TemporaryFolder folder;
    fs::create_directories(folder / "tmp");
    const auto waits_for = [](RunningProgram& program, const auto& happened) {
      while (program.runs() && !happened()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return program.runs();
    };
    RunningProgram alone({"bench", "--work", "search", "--clips", "40", "--repeats", "1000"},
                         {.variables = {"TMPDIR=" + (folder / "tmp").string()}});
    REQUIRE(waits_for(alone, [&] { return !fs::is_empty(folder / "tmp"); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    alone.send(SIGINT);
    CHECK(alone.wait().status == 130);
    CHECK(fs::is_empty(folder / "tmp"));

    // A peer of the same terminal ends by the same signal.
    const fs::path python = folder / "python";
    write_bytes(python, "#!/bin/sh\ntouch \"${0%/*}/started\"\nkill -INT $PPID\nexit 1\n");
    fs::permissions(python, fs::perms::owner_all);
    const ProgramRun beside = run_melgrad({"bench", "--work", "training", "--clips", "40", "--epochs", "1",
                                           "--repeats", "1", "--peers", python},
                                          {.variables = {"TMPDIR=" + (folder / "tmp").string()}});
    CHECK(fs::exists(folder / "started"));
    CHECK(beside.status == 130);
    CHECK_FALSE(says(beside.err, "ended with status"));
    CHECK(fs::is_empty(folder / "tmp"));
  }

  TEST_CASE("where nobody reads stdout, the work is done all the same and the program ends quietly") {
    const TemporaryFolder folder;
    write_clips(folder / "data", 24);
    const ProgramRun run = run_melgrad(run_words(folder / "data", folder / "out"), {.closed_stdout = true});
    CHECK(run.status == 141);
    CHECK_FALSE(says(run.err, "error"));
    CHECK(fs::exists(folder / "out/results.json"));
    CHECK(fs::exists(folder / "out/model.h5"));
    const ProgramRun info = run_melgrad({"info"}, {.closed_stdout = true});
    CHECK(info.status == 141);
    CHECK(info.err == "");
  }

  TEST_CASE("work is not given up because nobody reads stderr, or the log has no room") {
    const TemporaryFolder folder;
    write_clips(folder / "data", 24);
    const ProgramRun run =
        run_melgrad(run_words(folder / "data", folder / "out") + Words{"--verbose"}, {.closed_stderr = true});
    CHECK(run.status == 0);
    CHECK(says(run.out, "unheard clips"));

    fs::create_directory(folder / "full");
    fs::create_symlink("/dev/full", folder / "full/log.txt");
    const ProgramRun full = run_melgrad(run_words(folder / "data", folder / "full"));
    CHECK(full.status == 0);
    CHECK(says(full.err, "log.txt: cannot be written: No space left on device; it goes on without a log"));
    CHECK(fs::exists(folder / "full/model.h5"));
  }

  TEST_CASE("an output that cannot be written is refused before the work, with the reason") {
    const TemporaryFolder folder;
    write_clips(folder / "data", 24);
    const fs::path cache = folder / "f.h5", locked = folder / "locked";
    REQUIRE(run_melgrad({"extract", folder / "data", "--pattern", "{label}_{group}_{index}", "-o", cache})
                .status == 0);
    fs::create_directory(locked);
    fs::permissions(locked, fs::perms::owner_read | fs::perms::owner_exec);
    const ProgramOptions as_anybody{.without_root_access = true};
    for (const Words& words :
         {Words{"train", cache, "-o", locked / "m.h5", "--max-iter", "10000000"},
          Words{"train", cache, "-o", folder / "missing/m.h5", "--max-iter", "10000000"},
          Words{"export", cache, "-o", locked / "x.csv"},
          Words{"extract", folder / "data", "-o", locked / "f.h5"}, run_words(folder / "data", locked),
          run_words(folder / "data", locked / "out")}) {
      const ProgramRun run = run_melgrad(words, as_anybody);
      CAPTURE(words[0]);
      CHECK(run.status == 1);
      const bool has_reason = run.err.find("Permission denied") != std::string::npos ||
                              run.err.find("No such file or directory") != std::string::npos;
      CHECK_MESSAGE(has_reason, run.err);
    }
    fs::permissions(locked, fs::perms::owner_all);
    CHECK(fs::is_empty(locked));
  }

  TEST_CASE("names with spaces, quotes, newlines, dashes and invalid UTF-8 harm nobody") {
    const TemporaryFolder folder;
    const Words good = {"-rf.wav",       "a b's \"x\".wav", "$(touch pwned);`id`.wav",
                        "new\nline.wav", "ä日.wav",         "<b>&amp;.wav",
                        "..wav"};
    int number = 0;
    for (const char* label : {"-l", "b & c"})
      for (const std::string& name : good)
        write_bytes(folder / "data" / label / name, wav_bytes(tone(number++)));
    write_bytes(folder / "data/-l/bad\xff.wav", wav_bytes(tone(99)));
    const ProgramRun run =
        run_melgrad(Words{"run", "data", "--out=-out", "--quick", "--json"} + small_network,
                    {.working_folder = folder.path()});
    CHECK(run.status == 3);
    const Json results = Json::parse(run.out);
    CHECK(results["dataset"]["labels"] == Json({"-l", "b & c"}));
    CHECK(results["dataset"]["refused"].size() == 1);
    CHECK(results["dataset"]["refused"][0]["path"] == "-l/bad\\xff.wav");
    CHECK_FALSE(fs::exists(folder / "pwned"));

    const ProgramRun found = run_melgrad(
        Words{"predict", "--json", (folder / "-out/model.h5").string(), "--"} + good + Words{"bad\xff.wav"},
        {.working_folder = folder / "data/-l"});
    CHECK(found.status == 0);
    CHECK(Json::parse(found.out)["predictions"].size() == good.size() + 1);
  }

  TEST_CASE("one label is refused with the reason") {
    const TemporaryFolder folder;
    for (int clip = 0; clip < 8; ++clip)
      write_bytes(folder / fmt::format("data/only/{}.wav", clip), wav_bytes(tone(clip)));
    const ProgramRun run = run_melgrad({"run", folder / "data", "--out", folder / "out"});
    CHECK(run.status == 1);
    CHECK(says(run.err, "label"));
    CHECK_FALSE(fs::exists(folder / "out/results.json"));
  }

  TEST_CASE("two runs into one folder: the second is told who is there") {
    const TemporaryFolder folder;
    write_clips(folder / "data", 24);
    Words endless = run_words(folder / "data", folder / "out");
    *(std::ranges::find(endless, "--max-iter") + 1) = "10000000";
    endless = endless + Words{"--tol", "0", "--n-iter-no-change", "10000000"};
    RunningProgram first(endless);
    while (first.runs() && !fs::exists(folder / "out/features.h5"))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const ProgramRun second = run_melgrad(run_words(folder / "data", folder / "out"));
    CHECK(second.status == 1);
    CHECK(says(second.err, "out is in use by another process"));
    first.send(SIGTERM);
    CHECK(first.wait().status == 143);
    CHECK(run_melgrad(run_words(folder / "data", folder / "out")).status == 0);
  }
}
