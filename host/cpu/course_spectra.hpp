#pragma once
// Slow spectra: of tracks with a value every 10 ms.

#include <array>
#include <span>
#include <vector>

#include "host/cpu/aligned.hpp"
#include "host/cpu/feature_kernels.hpp"
#include "host/cpu/lane_fft.hpp"

namespace melgrad {

// Limits in Hz of the bands of modulation: phrases, words, syllables, tremor.
constexpr std::array<double, 8> modulation_edges_hz{0.3, 1.5, 3, 5, 8, 12, 20, 35};
constexpr Index n_modulation_bands = 7;

class CourseSpectra {
 public:
  explicit CourseSpectra(const FeatureKernels& kernels);

  static constexpr Index n_fft = 512;

  // power [n_modulation_bands][tracks.rows]: the power in each band of each row of tracks [., n] less its
  // mean, under a symmetric Hann window of all n, as a transform of n_fft points sees it: zeros behind n <
  // 512 values, and what lies beyond 512 cut off.
  void modulation(MatrixView<const double> tracks, std::vector<double>& power);

 private:
  FeatureKernels kernels_;
  LaneFft fft_;
  std::vector<double> window_;  // of the present tracks
  AlignedArray<float> tile_;    // [n_fft][fft_.layout.pitch]
  AlignedArray<float> scratch_;
  AlignedArray<float> power_;  // [n_bins][lanes]
};

}  // namespace melgrad
