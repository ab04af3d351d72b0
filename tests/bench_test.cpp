// What the bench says of what it has measured.

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "host/audio/decode.hpp"
#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "support/audio_files.hpp"
#include "support/program.hpp"

using namespace melgrad;
using namespace melgrad::test;

namespace {

BenchRow example_row() {
  return {.work = "features",
          .who = "melgrad",
          .n_units = 10,
          .unit = "clip",
          .cpu_seconds = {2, 1.9, 2.3},
          .wall_seconds = {4, 4, 4},
          .n_threads = 1,
          .audio_seconds = 40,
          .n_samples = 1e6,
          .bytes = 4e9,
          .flops = 6e9};
}

// A shell script that can be run.
std::filesystem::path write_program(const std::filesystem::path& file, const std::string& script) {
  write_bytes(file, "#!/bin/sh\n" + script);
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file;
}

const std::vector<MachinePeaks> example_peaks = {{.n_threads = 1,
                                                  .copy_bytes_per_second = 8e9,
                                                  .fma_flops_per_second = 60e9,
                                                  .fft_flops_per_second = 12e9},
                                                 {.n_threads = 2,
                                                  .copy_bytes_per_second = 10e9,
                                                  .fma_flops_per_second = 120e9,
                                                  .fft_flops_per_second = 24e9}};

}  // namespace

TEST_SUITE("bench") {
  TEST_CASE(
      "rates of one thread are by its CPU time, of more by the clock, shares of peaks of as many threads") {
    BenchReport report;
    report.rows.push_back(example_row());
    report.rows.push_back(example_row());
    report.rows.back().n_threads = 2;
    report.rows.back().flops_are_ffts = true;
    report.rows.push_back(example_row());
    report.rows.back().n_threads = 0;
    const Json json = to_json(report, example_peaks);
    const Json& one = json["rows"][0];
    CHECK(one["per_second"]["units"] == 5);
    CHECK(one["per_second"]["audio_seconds"] == 20);
    CHECK(one["per_second"]["samples"] == 5e5);
    CHECK(one["share_of_copy_peak"] == 0.25);
    CHECK(one["share_of_fma_peak"] == 0.05);
    CHECK(one["cpu_spread"].get<double>() == doctest::Approx(0.1));
    const Json& two = json["rows"][1];
    CHECK(two["per_second"]["units"] == 2.5);
    CHECK(two["share_of_copy_peak"] == 0.1);
    CHECK(two["share_of_fft_peak"].get<double>() == doctest::Approx(0.0625));
    CHECK_FALSE(two.contains("share_of_fma_peak"));
    CHECK_FALSE(json["rows"][2].contains("share_of_copy_peak"));  // of a GPU no peak was measured
    CHECK(json["figures"].size() == 1);
    CHECK(json["figures"][0]["bars"][1]["value"] == 2.5);
    const std::string text = bench_text(report, example_peaks);
    CHECK_MESSAGE(text.find("5.00 clips/s, 20 times real time, 0 M samples/s, 2.00 GB/s (25 % of a copy), "
                            "3.0 GFLOP/s (5 % of multiply-adds)") != std::string::npos,
                  text);
  }

  TEST_CASE("who is missing is named, without figures") {
    BenchReport report;
    report.rows.push_back(
        {.work = "features", .who = "torchaudio", .missing = "No module named 'torchaudio'"});
    const Json json = to_json(report, example_peaks);
    CHECK(json["rows"][0] ==
          Json{{"work", "features"}, {"who", "torchaudio"}, {"missing", "No module named 'torchaudio'"}});
    CHECK(json["figures"].empty());
    CHECK(bench_text(report, example_peaks).find("not measured: No module named") != std::string::npos);
  }

  TEST_CASE("peaks are measured, and more multiply-adds than transforms' operations fit into a second") {
    const MachinePeaks peaks = measure_peaks(1);
    CHECK(peaks.copy_bytes_per_second > 1e8);
    CHECK(peaks.fft_flops_per_second > 1e7);
#ifdef NDEBUG  // sanitizers and -O0 slow the one down more than the other
    CHECK(peaks.fma_flops_per_second > peaks.fft_flops_per_second);
#endif
    CHECK(std::isfinite(peaks.fma_flops_per_second));
    CHECK(real_fft_flops(2048) == 2.5 * 2048 * 11);
  }

  TEST_CASE("synthetic recordings can be read, with labels and groups for every protocol") {
    const test::TemporaryFolder folder;
    const Manifest manifest = synthetic_recordings(folder.path(), 30);
    REQUIRE(manifest.clips.size() == 30);
    CHECK(manifest.clips[5].label == "mid");
    CHECK(manifest.clips[5].group == "s1");
    const Waveform waveform = decode_audio(manifest.file(manifest.clips[5]));
    CHECK(waveform.sample_rate == 48'000);
    CHECK(waveform.duration_s() == doctest::Approx(3.7));
  }

  TEST_CASE("a peer takes turns with melgrad, part by part, and is compared with its neighbours in time") {
    const test::TemporaryFolder folder;
    // A peer of two parts: 1 and 4 s, in a second process 6 and 4 s.
    const auto python = write_program(folder / "python", R"(
cd "${0%/*}"
first=1
[ ! -e second ] || first=6
touch second
echo '{"version": "1.2", "n_parts": 2}'
while read -r part; do
  echo "$part" >> parts
  if [ "$part" = 0 ]; then seconds=$first; else seconds=4; fi
  echo '{"cpu_seconds": '$seconds'}'
done
echo '{"values": [7]}'
)");
    const auto compare = [&](const std::vector<PeerWork>& works, int repeats, double least_seconds) {
      NoProgress quiet;
      return compare_with_peers(python, works, folder.path(), repeats, least_seconds, quiet);
    };
    std::vector<double> ours = {9, 1, 1, 3, 4, 4, 4};  // one warms up; then three beside each process
    std::size_t n_calls = 0;
    const PeerWork work{"p", Json::object(), [&] { return ours.at(n_calls++); }};
    const PeerComparison comparison = compare({work}, 2, 0).front();
    CHECK(n_calls == 7);
    CHECK(comparison.version == "1.2");
    CHECK(comparison.values == std::vector<double>{7});
    CHECK(comparison.peer_seconds.minimum == 5);
    CHECK(comparison.peer_seconds.maximum == 10);
    CHECK(comparison.our_seconds.median == 3.5);
    // beside the first process (1 + 2) / 2 for 5 s, beside the second (4 + 4) / 2 for 10 s
    CHECK(comparison.ratio.minimum == doctest::Approx(10 / 4.0));
    CHECK(comparison.ratio.maximum == doctest::Approx(5 / 1.5));
    CHECK(comparison.ratio.value == doctest::Approx(15 / 5.5));
    CHECK(read_bytes(folder / "parts") == "0\n1\n0\n1\n");

    n_calls = 0;
    ours.assign(100, 2);
    compare({work}, 1, 11);
    CHECK(n_calls == 6);  // two rounds of 10 s

    std::string who;  // first a warm-up of each, then a process of each, and again
    const auto named = [&](const std::string& name) {
      return PeerWork{name, Json::object(), [&who, name] { return who += name, 1.0; }};
    };
    CHECK(compare({named("a"), named("b")}, 2, 0).size() == 2);
    CHECK(who == "abaaabbbaaabbb");
  }

  TEST_CASE("a peer that ends, is killed or babbles is an error with its last words") {
    const test::TemporaryFolder folder;
    const auto compare_by = [&](const std::string& python) {
      const PeerWork work{"p", Json::object(), [] { return 1.0; }};
      NoProgress quiet;
      compare_with_peers(python, {&work, 1}, folder.path(), 1, 0, quiet);
    };
    const auto compare = [&](const std::string& script) {
      const auto python = write_program(folder / "python", script);
      compare_by(python);
    };
    const std::string named = "peer p (" + (folder / "python").string() + ") ";
    CHECK_THROWS_WITH_AS(compare("echo no memory >&2; exit 3"),
                         (named + "ended with status 3: no memory\n").c_str(), Error);
    CHECK_THROWS_WITH_AS(compare("echo '{\"version\": \"1\", \"n_parts\": 1}'; read -r part; kill -9 $$"),
                         (named + "was ended by signal 9: ").c_str(), Error);
    CHECK_THROWS_WITH_AS(compare("echo 17"), (named + "answers '17': no version").c_str(), Error);
    CHECK_THROWS_WITH_AS(compare("echo '{\"version\": \"1\", \"n_parts\": 0}'; cat"),
                         (named + "answers '{\"version\": \"1\", \"n_parts\": 0}': no work").c_str(), Error);
    CHECK_THROWS_WITH_AS(compare("echo '{}'; cat"), (named + "answers '{}': no version").c_str(), Error);
    CHECK_THROWS_WITH_AS(
        compare_by(folder / "none"),
        ((folder / "none").string() + ": cannot be started: No such file or directory").c_str(), Error);
  }

  TEST_CASE("bench --peers names the peers that an interpreter lacks, and does the rest") {
    const test::TemporaryFolder folder;
    // An interpreter without any library: -S leaves out site-packages, -I the user's.
    const auto python = write_program(folder / "python", "exec python3 -I -S \"$@\"\n");
    const ProgramRun run =
        run_melgrad({"bench", "--peers", python, "--work", "features", "--clips", "4", "--repeats", "1",
                     "--threads", "1", "--device", "cpu", "--json", "--quiet"});
    REQUIRE_MESSAGE(run.status == 0, run.err);
    const Json json = Json::parse(run.out);
    CHECK(json["peaks"].size() == 1);
    int n_missing = 0, n_measured = 0;
    for (const Json& row : json["features"]["rows"]) (row.contains("missing") ? n_missing : n_measured)++;
    CHECK(n_missing == 3);  // librosa, torch, torchaudio
    CHECK(n_measured >= 4);
  }
}
