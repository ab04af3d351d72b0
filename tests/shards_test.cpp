// Extractions and sweeps that several processes share.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/cache/feature_cache.hpp"
#include "host/core/error.hpp"
#include "host/core/json.hpp"
#include "host/core/launcher.hpp"
#include "host/core/philox.hpp"
#include "support/audio_files.hpp"
#include "support/clockless_json.hpp"
#include "support/program.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

// 25 noisy tones of three labels and five speakers; one of them twice, one file that is no recording, one
// without a label. An odd number, so that shards differ in size.
void write_recordings(const fs::path& data) {
  for (int clip = 0; clip < 25; ++clip) {
    const int label = clip % 3, speaker = clip % 5;
    PhiloxSequence random(static_cast<std::uint64_t>(clip), RandomStream::split);
    std::vector<std::int16_t> samples;
    for (int i = 0; i < 3000; ++i) {
      const double tone = std::sin(0.1 * (1 + label) * (1 + 0.03 * speaker) * i);
      samples.push_back(static_cast<std::int16_t>(2000 * tone + 9000 * random.next_uniform01()));
    }
    const std::string bytes = wav_bytes(samples);
    write_bytes(data / fmt::format("{}_s{}_{}.wav", "xyz"[label], speaker, clip), bytes);
    if (clip == 7) write_bytes(data / "x_s0_99.wav", bytes);
  }
  write_bytes(data / "y_s1_98.wav", "not a recording");
  write_bytes(data / "nolabel.wav", wav_bytes(std::vector<std::int16_t>(3000, 1000)));
}

std::vector<std::string> extract(const TemporaryFolder& folder, const std::string& output,
                                 const std::string& shard = "") {
  std::vector<std::string> words = {
      "extract", folder / "data", "--pattern", "{label}_{group}_{index}", "--threads", "1",
      "-o",      folder / output};
  if (!shard.empty()) words.insert(words.end(), {"--shard", shard});
  return words;
}

std::vector<std::string> sweep(const TemporaryFolder& folder, const std::string& output,
                               const std::string& shard = "") {
  std::vector<std::string> words = {"sweep", folder / "f.h5", "--grid", folder / "grid.toml", "--folds",
                                    "3",     "--nested",      "2",      "--threads",          "1",
                                    "-o",    folder / output};
  if (!shard.empty()) words.insert(words.end(), {"--shard", shard});
  return words;
}

// What a sweep's JSON says, but for the clocks.
Json results_in(const fs::path& file) {
  return without_clocks(Json::parse(read_bytes(file)));
}

std::optional<LaunchedProcess> launcher(const std::map<std::string, std::string>& variables) {
  return find_launcher([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

TEST_SUITE("shards") {
  TEST_CASE("three processes make the very bytes that one makes, and take up what is there") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    let_files_age();
    REQUIRE(run_melgrad(extract(folder, "one.h5")).status == 3);
    for (const char* shard : {"2/3", "0/3", "1/3"}) {
      const ProgramRun run = run_melgrad(extract(folder, "f.h5", shard));
      // What is refused does not end a job of mpirun; merge tells of it.
      CHECK_MESSAGE(run.status == 0, run.err);
    }
    CHECK_FALSE(fs::exists(folder / "f.h5"));
    const FeatureTable shard = read_feature_table(folder / "f.h5.shards" / "1-of-3.h5");
    REQUIRE(shard.part);
    CHECK(shard.part->shard == Shard{1, 3});
    CHECK(shard.part->n_rows == 28);
    CHECK(shard.n_clips() == 9);

    const ProgramRun merged = run_melgrad({"merge", folder / "f.h5", "--json"});
    CHECK_MESSAGE(merged.status == 3, merged.err);
    CHECK(Json::parse(merged.out)["n_refused"] == 2);
    CHECK(read_bytes(folder / "f.h5") == read_bytes(folder / "one.h5"));
    CHECK_FALSE(fs::exists(folder / "f.h5.shards"));

    // Again: everything is taken from the merged cache, which does not change.
    const ProgramRun again = run_melgrad(extract(folder, "f.h5", "0/1"));
    CHECK(again.status == 3);
    for (const char* each : {"0/2", "1/2"}) {
      const ProgramRun run = run_melgrad(extract(folder, "f.h5", each));
      CHECK_MESSAGE(run.status == 0, run.err);
      CHECK_MESSAGE(run.out.find("of them from the cache") != std::string::npos, run.out);
      CHECK_MESSAGE(run.err.find("left out") == std::string::npos, run.err);
    }
    CHECK(run_melgrad({"merge", folder / "f.h5"}).status == 3);
    CHECK(read_bytes(folder / "f.h5") == read_bytes(folder / "one.h5"));
  }

  TEST_CASE("shards that are missing, of other data or of other features are not merged") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    const auto merge_fails = [&](const std::string& words) {
      const ProgramRun run = run_melgrad({"merge", folder / "f.h5"});
      CHECK(run.status == 1);
      CHECK_MESSAGE(run.err.find(words) != std::string::npos, run.err);
      CHECK_FALSE(fs::exists(folder / "f.h5"));
    };
    merge_fails("f.h5.shards: there are no shards to merge");
    REQUIRE(run_melgrad(extract(folder, "f.h5", "1/2")).status == 0);
    merge_fails("shard 0 of 2 is missing");
    fs::copy_file(folder / "f.h5.shards" / "1-of-2.h5", folder / "f.h5.shards" / "0-of-2.h5");
    merge_fails("0-of-2.h5: is shard 1/2, and not what its name says");
    fs::remove(folder / "f.h5.shards" / "0-of-2.h5");

    std::vector<std::string> other = extract(folder, "f.h5", "0/2");
    other.insert(other.end(), {"--hop-length", "256"});
    REQUIRE(run_melgrad(other).status == 0);
    merge_fails("hop_length");
    fs::remove(folder / "f.h5.shards" / "0-of-2.h5");

    fs::remove(folder / "data" / "x_s0_0.wav");
    REQUIRE(run_melgrad(extract(folder, "f.h5", "0/2")).status == 0);
    merge_fails("are shards of different data");
    REQUIRE(run_melgrad(extract(folder, "f.h5", "1/2")).status == 0);

    fs::create_directory(folder / "f.h5.shards" / "1-of-2.h5.segments");
    merge_fails("1-of-2.h5: its process has not finished");
    fs::remove(folder / "f.h5.shards" / "1-of-2.h5.segments");

    REQUIRE(run_melgrad(extract(folder, "f.h5", "0/3")).status == 0);
    merge_fails("runs with 2 and with 3 processes");
    fs::remove(folder / "f.h5.shards" / "0-of-3.h5");
    CHECK(run_melgrad({"merge", folder / "f.h5"}).status == 3);
    CHECK(read_feature_table(folder / "f.h5").n_clips() == 27);
  }

  TEST_CASE("a sweep of two processes finds what one finds") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    REQUIRE(run_melgrad(extract(folder, "f.h5")).status == 3);
    write_bytes(folder / "grid.toml",
                "[mlp]\nmax_iter = 20\nbatch_size = 8\n[[grid]]\nhidden_layer_sizes = [[5], [9]]\n"
                "alpha = [0.1, 1]\n");
    REQUIRE(run_melgrad(sweep(folder, "one.json")).status == 0);
    CHECK(run_melgrad(sweep(folder, "s.json", "0/2")).out.find("18 of 38 fits") != std::string::npos);
    const ProgramRun early = run_melgrad({"merge", folder / "s.json"});
    CHECK(early.status == 1);
    CHECK(early.err.find("shard 1 of 2 is missing") != std::string::npos);
    CHECK(run_melgrad(sweep(folder, "s.json", "1/2")).status == 0);
    CHECK_FALSE(fs::exists(folder / "s.json"));

    const ProgramRun merged = run_melgrad({"merge", folder / "s.json"});
    CHECK_MESSAGE(merged.status == 0, merged.err);
    CHECK(merged.out.find("36 fits") != std::string::npos);
    CHECK_FALSE(fs::exists(folder / "s.json.shards"));
    const ProgramRun last = run_melgrad(sweep(folder, "s.json"));
    CHECK_MESSAGE(last.status == 0, last.err);
    CHECK_MESSAGE(last.err.find("36 of 38 fits were finished before") != std::string::npos, last.err);
    CHECK(results_in(folder / "s.json") == results_in(folder / "one.json"));

    // A shard that was cut short is named, with what to do.
    REQUIRE(run_melgrad(sweep(folder, "t.json", "0/2")).status == 0);
    REQUIRE(run_melgrad(sweep(folder, "t.json", "1/2")).status == 0);
    const fs::path journal = folder / "t.json.shards" / "1-of-2.journal";
    const std::string text = read_bytes(journal);
    write_bytes(journal, text.substr(0, text.rfind('\n', text.size() - 2) + 1));
    const ProgramRun cut = run_melgrad({"merge", folder / "t.json"});
    CHECK(cut.status == 1);
    CHECK_MESSAGE(
        cut.err.find("17 of its 18 fits are finished; run the same command again") != std::string::npos,
        cut.err);
  }

  TEST_CASE("what a launcher says in the environment is the shard, and is told") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    const ProgramRun run =
        run_melgrad(extract(folder, "f.h5"),
                    {.variables = {"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=2", "SLURM_PROCID=0"}});
    CHECK(run.status == 0);
    CHECK_MESSAGE(
        run.err.find("shard 1/2, as OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE say") != std::string::npos,
        run.err);
    CHECK(fs::exists(folder / "f.h5.shards" / "1-of-2.h5"));
    const ProgramRun whole = run_melgrad(extract(folder, "f.h5", "0/1"),
                                         {.variables = {"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=2"}});
    CHECK(whole.status == 3);
    CHECK(fs::exists(folder / "f.h5"));
    const ProgramRun wrong = run_melgrad(extract(folder, "g.h5", "2/2"));
    CHECK(wrong.status == 2);
    CHECK(wrong.err.find("--shard: '2/2' is no shard: INDEX/COUNT") != std::string::npos);
  }

  TEST_CASE("launchers are found, mpirun's before Slurm's, and a batch script outside of srun is none") {
    CHECK_FALSE(launcher({}));
    CHECK_FALSE(launcher({{"SLURM_PROCID", "0"}}));
    const auto slurm = launcher({{"SLURM_PROCID", "5"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "1"}});
    REQUIRE(slurm);
    CHECK(slurm->shard == Shard{5, 8});
    CHECK(slurm->local_index == 1);
    CHECK_FALSE(launcher({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_JOB_ID", "7"}}));
    CHECK(launcher(
        {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_JOB_ID", "7"}, {"SLURM_STEP_ID", "0"}}));
    const auto mpich =
        launcher({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}});
    REQUIRE(mpich);
    CHECK(mpich->shard == Shard{2, 3});
    CHECK(mpich->local_index == 2);
    CHECK_THROWS_WITH_AS(
        launcher({{"PMI_RANK", "x"}, {"PMI_SIZE", "3"}}),
        "PMI_RANK and PMI_SIZE: 'x/3' is no shard: INDEX/COUNT, as 0/2 and 1/2 for two processes",
        UsageError);
  }

  TEST_CASE("shards take every item once") {
    for (const int count : {1, 2, 3, 7})
      for (const Index n_items : {0, 1, 2, 6, 7, 100}) {
        Index n_taken = 0;
        for (int index = 0; index < count; ++index) {
          const Shard shard{index, count};
          Index n = 0;
          for (Index item = 0; item < n_items; ++item) n += shard.takes(item);
          CHECK(n == shard.n_taken(n_items));
          n_taken += n;
        }
        CHECK(n_taken == n_items);
      }
  }
}
