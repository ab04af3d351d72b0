#include "host/bench/peaks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "host/bench/fma_loop.hpp"
#include "host/core/clock.hpp"
#include "host/core/matrix.hpp"
#include "host/core/parallel.hpp"
#include "host/cpu/aligned.hpp"
#include "host/cpu/feature_kernels.hpp"
#include "host/cpu/lane_fft.hpp"
#include "host/cpu/simd.hpp"

namespace melgrad {
namespace {

constexpr int n_repeats = 5;
constexpr std::size_t copied_bytes = 64 * 1024 * 1024;
constexpr std::int64_t fma_rounds = 4'000'000;
constexpr int fft_size = 2048;
constexpr int fft_tiles = 400;  // of as many frames as a vector has lanes

// Seconds in which every thread does the work once, at best: as the rates of a bench's rows, of one thread by
// its CPU time, of more by the clock.
double least_seconds(int n_threads, const std::function<void(int)>& work) {
  const auto now = n_threads == 1 ? process_cpu_seconds : wall_seconds;
  double least = 0;
  for (int repeat = 0; repeat <= n_repeats; ++repeat) {  // the first one warms up
    const double begin = now();
    parallel_for(n_threads, n_threads, [&](Index, int worker) { work(worker); });
    const double seconds = now() - begin;
    if (repeat == 1 || seconds < least) least = seconds;
  }
  return least;
}

}  // namespace

double real_fft_flops(int n_fft) {
  return 2.5 * n_fft * std::log2(n_fft);
}

MachinePeaks measure_peaks(int n_threads) {
  MachinePeaks peaks;
  peaks.n_threads = n_threads;
  choose_simd();
  const auto n = static_cast<std::size_t>(n_threads);
  {
    std::vector<std::vector<char>> from(n, std::vector<char>(copied_bytes, 1)), to = from;
    const double seconds = least_seconds(n_threads, [&](int worker) {
      const auto i = static_cast<std::size_t>(worker);
      std::memcpy(to[i].data(), from[i].data(), copied_bytes);
    });
    peaks.copy_bytes_per_second = 2.0 * static_cast<double>(copied_bytes) * n_threads / seconds;
  }
  std::vector<float> kept(n);  // so that no compiler leaves the work out
  const double fma_seconds = least_seconds(
      n_threads, [&](int worker) { kept[static_cast<std::size_t>(worker)] = run_fma_loop(fma_rounds); });
  peaks.fma_flops_per_second = fma_loop_flops(fma_rounds) * n_threads / fma_seconds;

  const FeatureKernels kernels = feature_kernels();
  const LaneFft fft =
      make_lane_fft(std::vector<float>(fft_size, 1.0f), fft_size, kernels.lanes, kernels.fft_columns, false);
  const double fft_seconds = least_seconds(n_threads, [&](int worker) {
    const auto tile_size = static_cast<std::size_t>(fft.layout.n_rows * fft.layout.pitch);
    AlignedArray<float> tile(tile_size), scratch(fft.scratch_size());
    AlignedArray<float> power(static_cast<std::size_t>(fft.n_bins * kernels.lanes));
    std::fill_n(tile.data(), tile_size, 1.0f);
    for (int i = 0; i < fft_tiles; ++i) kernels.transform(fft, tile.data(), scratch.data(), power.data());
    kept[static_cast<std::size_t>(worker)] += power[0];
  });
  peaks.fft_flops_per_second =
      real_fft_flops(fft_size) * static_cast<double>(fft_tiles) * kernels.lanes * n_threads / fft_seconds;
  return peaks;
}

Json to_json(const MachinePeaks& peaks) {
  return {{"n_threads", peaks.n_threads},
          {"copy_bytes_per_second", peaks.copy_bytes_per_second},
          {"fma_flops_per_second", peaks.fma_flops_per_second},
          {"fft_flops_per_second", peaks.fft_flops_per_second}};
}

}  // namespace melgrad
