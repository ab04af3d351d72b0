// Every call on every file goes wrong once, in every way: what was committed is whole afterwards, the program
// says what happened, and the next run ends with the very bytes of an undisturbed one.

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "example_results.hpp"
#include "host/cache/extraction.hpp"
#include "host/cache/feature_cache.hpp"
#include "host/cache/journal.hpp"
#include "host/core/error.hpp"
#include "host/models/model_file.hpp"
#include "host/report/results.hpp"
#include "support/audio_files.hpp"
#include "support/fake_engine.hpp"
#include "support/faulty_file_system.hpp"

using namespace melgrad;
using test::Fault;
using test::FaultyFileSystem;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

using Content = std::map<std::string, std::string>;  // of a folder: bytes by relative path

Content content_of(const fs::path& folder) {
  Content content;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    content[entry.path().lexically_relative(folder)] =
        entry.is_regular_file() ? test::read_bytes(entry.path()) : "a folder";
  return content;
}

// Work on the files of a folder, to be disturbed.
struct Work {
  std::function<void(const fs::path& folder)> prepare;
  // Ends, or throws; begun again, it completes what is missing.
  std::function<void(const fs::path& folder)> run;
  // What has to hold after run(), however that ended.
  std::function<void(const fs::path& folder, bool completed)> check;
};

bool tells_reason(const std::string& message) {
  return message.find("Input/output error") != message.npos ||
         message.find("No space left on device") != message.npos;
}

constexpr int never = 1'000'000;

// How many calls failed, and after how many of them the work was done nevertheless.
struct Tally {
  int n_failed = 0;
  int n_completed = 0;
};

// Runs the work with its `at`-th call going wrong. False where it makes fewer calls.
bool disturb(const Work& work, Fault fault, int at, const Content& undisturbed, Tally& tally) {
  const TemporaryFolder folder;
  work.prepare(folder.path());
  FaultyFileSystem faulty(fault, at);
  bool completed = true;
  {
    const FileSystemReplacement replacement(faulty);
    try {
      work.run(folder.path());
    } catch (const Error& error) {
      completed = false;
      CAPTURE(faulty.failed_call());
      CHECK_MESSAGE(tells_reason(error.what()), error.what());
    }
  }
  if (faulty.failed_call().empty()) {
    CHECK(completed);
    return false;
  }
  CAPTURE(test::to_string(fault));
  CAPTURE(at);
  CAPTURE(faulty.failed_call());
  if (faulty.is_power_loss()) faulty.lose_power();
  ++tally.n_failed;
  tally.n_completed += completed;
  if (fault == Fault::short_write || fault == Fault::interrupted) CHECK(completed);
  CHECK_NOTHROW(work.check(folder.path(), completed && !faulty.is_power_loss()));
  FaultyFileSystem good(Fault::io_error, never);
  const FileSystemReplacement replacement(good);
  CHECK_NOTHROW(work.run(folder.path()));
  CHECK(content_of(folder.path()) == undisturbed);
  return true;
}

void disturb_every_call(const std::string& name, const Work& work) {
  const TemporaryFolder folder;
  work.prepare(folder.path());
  work.run(folder.path());
  work.check(folder.path(), true);
  const Content undisturbed = content_of(folder.path());
  for (const Fault fault : test::all_faults) {
    Tally tally;
    for (int at = 1; disturb(work, fault, at, undisturbed, tally); ++at) {
    }
    CHECK(tally.n_failed > 0);
    MESSAGE(name << ", " << test::to_string(fault) << ": " << tally.n_failed << " calls failed, "
                 << tally.n_completed << " of them without harm");
  }
}

// ---- the work

FeatureSpec small_spec() {
  FeatureSpec spec;
  spec.name = "small";
  spec.descriptors = {{MelSpectrogram{.n_mels = 8}, {Functional::mean}}};
  return spec;
}

// Rows whose content follows from their numbers.
FeatureTable numbered_rows(int first, int n_rows) {
  FeatureTable table = make_feature_table(small_spec(), "fake", n_rows);
  for (int row = 0; row < n_rows; ++row) {
    const auto i = static_cast<std::size_t>(row);
    const int number = first + row;
    table.clips[i] = {fmt::format("{:03}.wav", number), "a", "01", "", {}};
    table.audio_hash[i] = fmt::format("{:032x}", number);
    table.status[i] = "ok";
    table.duration_s[i] = number;
    for (Index j = 0; j < table.features.cols; ++j)
      table.features(row, j) = static_cast<float>(100 * number + j);
  }
  return table;
}

constexpr int rows_before = 4, rows_of_a_commit = 3, n_commits = 2;
constexpr int rows_of_all = rows_before + rows_of_a_commit * n_commits;

// A cache of four rows gets six more in two commits. `n_committed` counts the rows that commit() promised.
void extend_cache(const fs::path& file, int& n_committed) {
  NoProgress progress;
  FeatureCache cache(file, small_spec(), progress);
  n_committed = std::max(n_committed, rows_before);
  for (int first = rows_before; first < rows_of_all; first += rows_of_a_commit) {
    if (!cache.find(fmt::format("{:032x}", first))) cache.commit(numbered_rows(first, rows_of_a_commit));
    n_committed = std::max(n_committed, first + rows_of_a_commit);
  }
  cache.finish(numbered_rows(0, rows_of_all));
}

// Every row that is there is right, and those that were promised are there.
void check_rows(const fs::path& file, int n_promised) {
  const FeatureTable table = read_feature_table(file);
  const FeatureTable expected = numbered_rows(0, rows_of_all);
  REQUIRE(table.n_clips() <= rows_of_all);
  CHECK(table.n_clips() >= n_promised);
  for (Index row = 0; row < table.n_clips(); ++row) {
    CHECK(table.clips[static_cast<std::size_t>(row)] == expected.clips[static_cast<std::size_t>(row)]);
    CHECK(std::ranges::equal(table.features.row(row), expected.features.row(row)));
  }
}

Classifier small_classifier(float weight) {
  Classifier classifier;
  classifier.spec.hidden_layer_sizes = {};
  classifier.parameters = {{Matrix<float>(3, 1)}, {{weight}}, {}};
  classifier.scaling = {{0, 0, 0}, {1, 1, weight}};
  classifier.features = small_spec();
  classifier.labels = {"a", "b"};
  return classifier;
}

// Continues a journal of this header to three records, beginning anew where it is of another.
void fill_journal(const fs::path& file, std::size_t& n_kept) {
  Journal journal(file);
  if (journal.header() != "of the second") journal.start("of the second");
  while (journal.records().size() < 3) {
    const std::vector<std::string> next = {fmt::format("record {}", journal.records().size())};
    journal.append(next);
    n_kept = journal.records().size();
  }
}

}  // namespace

TEST_SUITE("faults") {
  TEST_CASE("the feature cache loses no committed row, whichever call on whichever file fails") {
    int n_committed = 0;
    disturb_every_call("cache",
                       {.prepare =
                            [&](const fs::path& folder) {
                              n_committed = 0;
                              save_feature_file(numbered_rows(0, rows_before), folder / "f.h5");
                            },
                        .run = [&](const fs::path& folder) { extend_cache(folder / "f.h5", n_committed); },
                        .check =
                            [&](const fs::path& folder, bool completed) {
                              check_rows(folder / "f.h5", completed ? rows_of_all : n_committed);
                            }});
  }

  TEST_CASE("an extraction says which clip or file failed, and the next one completes it") {
    Manifest manifest;
    manifest.root = "";
    const auto recordings_in = [&](const fs::path& folder) {
      manifest.root = folder / "data";
      manifest.clips.clear();
      for (int i = 0; i < 3; ++i)
        manifest.clips.push_back({fmt::format("{}.wav", i), i % 2 ? "odd" : "even", "", "", {}});
    };
    std::vector<Refusal> refused;
    disturb_every_call(
        "extraction",
        {.prepare =
             [&](const fs::path& folder) {
               for (int i = 0; i < 3; ++i)
                 test::write_bytes(folder / fmt::format("data/{}.wav", i),
                                   test::wav_bytes(test::sine_int16(300 + i, 500, 16'000)));
             },
         .run =
             [&](const fs::path& folder) {
               recordings_in(folder);
               test::FakeEngine engine;
               NoProgress progress;
               const ExtractionOptions options{
                   .n_threads = 1, .batch_bytes = 1, .commit_interval_s = 0, .min_file_age_s = 1e9};
               refused = extract_features(manifest, small_spec(), engine, folder / "f.h5", options, progress)
                             .report.refused;
             },
         .check =
             [&](const fs::path& folder, bool completed) {
               if (!completed) return;
               CHECK(read_feature_table(folder / "f.h5").n_clips() == 3);
               for (const Refusal& each : refused) CHECK_MESSAGE(tells_reason(each.reason), each.reason);
             }});
  }

  TEST_CASE("a model is the old one or the new one, whichever call fails") {
    disturb_every_call(
        "model",
        {.prepare = [](const fs::path& folder) { save_classifier(small_classifier(1), folder / "m.h5"); },
         .run =
             [](const fs::path& folder) {
               remove_leftover_temporaries(folder / "m.h5");
               save_classifier(small_classifier(2), folder / "m.h5");
             },
         .check =
             [](const fs::path& folder, bool completed) {
               const Classifier found = load_classifier(folder / "m.h5");
               const bool is_whole =
                   found == small_classifier(2) || (!completed && found == small_classifier(1));
               CHECK(is_whole);
             }});
  }

  TEST_CASE("results are the old ones or the new ones, whichever call fails") {
    const Results before = example_results({"a", "b"}), after = example_results({"a", "b", "c"});
    disturb_every_call("results",
                       {.prepare = [&](const fs::path& folder) { write_results(before, folder / "r.json"); },
                        .run =
                            [&](const fs::path& folder) {
                              remove_leftover_temporaries(folder / "r.json");
                              write_results(after, folder / "r.json");
                            },
                        .check =
                            [&](const fs::path& folder, bool completed) {
                              const Results found = read_results(folder / "r.json");
                              const bool is_whole = found == after || (!completed && found == before);
                              CHECK(is_whole);
                            }});
  }

  TEST_CASE("a journal keeps what append() returned from, and never mixes two searches") {
    std::size_t n_kept = 0;
    disturb_every_call("journal",
                       {.prepare =
                            [&](const fs::path& folder) {
                              n_kept = 0;
                              Journal journal(folder / "j");
                              journal.start("of the first, whose header is longer");
                              journal.append(std::vector<std::string>{"a", "fit", "of", "the", "first"});
                            },
                        .run =
                            [&](const fs::path& folder) {
                              remove_leftover_temporaries(folder / "j");
                              fill_journal(folder / "j", n_kept);
                            },
                        .check =
                            [&](const fs::path& folder, bool completed) {
                              const Journal journal(folder / "j");
                              CHECK(journal.n_damaged() == 0);
                              if (journal.header() == "of the second") {
                                CHECK(journal.records().size() >= (completed ? 3 : n_kept));
                                for (std::size_t i = 0; i < journal.records().size(); ++i)
                                  CHECK(journal.records()[i] == fmt::format("record {}", i));
                              } else {
                                CHECK(n_kept == 0);
                                CHECK(journal.records().size() == 5);
                              }
                            }});
  }

  TEST_CASE("the test's own file system loses what was not fsynced") {
    const auto left_after = [](Fault fault, const std::function<void(const fs::path&, FileSystem&)>& work) {
      const TemporaryFolder folder;
      test::write_bytes(folder / "old", "old");
      FaultyFileSystem faulty(fault, 1'000);
      work(folder.path(), faulty);
      faulty.lose_power();
      return content_of(folder.path());
    };
    const auto write_and_rename = [](bool syncs_file, bool syncs_folder) {
      return [=](const fs::path& folder, FileSystem& files) {
        const FileSystemReplacement replacement(files);
        const std::string text = "new content";
        Descriptor file(files.open(folder / "temporary", O_WRONLY | O_CREAT));
        write_all(file.get(), std::as_bytes(std::span(text)));
        if (syncs_file) files.fsync(file.get());
        files.rename(folder / "temporary", folder / "old");
        if (syncs_folder) fsync_folder(folder);
      };
    };
    CHECK(left_after(Fault::power_loss, write_and_rename(true, true)) == Content{{"old", "new content"}});
    CHECK(left_after(Fault::power_loss, write_and_rename(true, false)) == Content{{"old", "old"}});
    CHECK(left_after(Fault::power_loss, write_and_rename(false, true)) == Content{{"old", ""}});
    CHECK(left_after(Fault::torn_by_power, write_and_rename(false, false)) == Content{{"old", "new c"}});
  }
}
