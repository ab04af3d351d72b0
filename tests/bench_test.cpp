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

  TEST_CASE("a peer's least time is the sum of its parts' least times") {
    const test::TemporaryFolder folder;
    // A peer of two parts: 1 and 4 s, the second time 3 and 2 s.
    write_bytes(folder / "python", R"(#!/bin/sh
cd "${0%/*}"
seconds='1, 4'
[ ! -e second ] || seconds='3, 2'
touch second
echo '{"peer": "p", "version": "1", "values": [7], "cpu_seconds": ['"$seconds"']}'
)");
    std::filesystem::permissions(folder / "python", std::filesystem::perms::owner_all);
    int n_calls = 0;
    const PeerComparison comparison = compare_with_peer(
        folder / "python", "p", Json::object(), folder.path(), [&] { ++n_calls; }, 2, 0);
    CHECK(n_calls == 5);  // one warms up
    CHECK(comparison.peer_seconds.minimum == 3);
    CHECK(comparison.peer_seconds.median == 5);
    CHECK(comparison.ratio == 3 / comparison.our_seconds.minimum);
    CHECK(comparison.peer.values == std::vector<double>{7});
    n_calls = 0;
    compare_with_peer(
        folder / "python", "p", Json::object(), folder.path(), [&] { ++n_calls; }, 1, 11);
    CHECK(n_calls == 7);  // three repeats of 5 s
  }

  TEST_CASE("bench --peers names the peers that an interpreter lacks, and does the rest") {
    const test::TemporaryFolder folder;
    // An interpreter without any library: -S leaves out site-packages, -I the user's.
    write_bytes(folder / "python", "#!/bin/sh\nexec python3 -I -S \"$@\"\n");
    std::filesystem::permissions(folder / "python", std::filesystem::perms::owner_all);
    const ProgramRun run =
        run_melgrad({"bench", "--peers", folder / "python", "--work", "features", "--clips", "4", "--repeats",
                     "1", "--threads", "1", "--device", "cpu", "--json", "--quiet"});
    REQUIRE_MESSAGE(run.status == 0, run.err);
    const Json json = Json::parse(run.out);
    CHECK(json["peaks"].size() == 1);
    int n_missing = 0, n_measured = 0;
    for (const Json& row : json["features"]["rows"]) (row.contains("missing") ? n_missing : n_measured)++;
    CHECK(n_missing == 3);  // librosa, torch, torchaudio
    CHECK(n_measured >= 4);
  }
}
