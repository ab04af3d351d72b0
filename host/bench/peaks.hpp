#pragma once
// What this machine can do at best, measured there and then: what speeds are shares of.

#include <vector>

#include "host/core/json.hpp"

namespace melgrad {

struct MachinePeaks {
  int n_threads = 1;
  double copy_bytes_per_second = 0;  // memcpy of 64 MiB for each thread; bytes read and written
  double fma_flops_per_second = 0;   // float32 multiply-adds on registers, two operations each
  double fft_flops_per_second =
      0;  // the engine's own transform of 2048 points, 2.5 n log2(n) operations each
};

// The best of some repeats, for noise only ever slows down.
MachinePeaks measure_peaks(int n_threads);
Json to_json(const MachinePeaks& peaks);

// Operations of one real transform, as FFTW counts them.
double real_fft_flops(int n_fft);

}  // namespace melgrad
