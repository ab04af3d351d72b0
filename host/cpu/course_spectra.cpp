#include "host/cpu/course_spectra.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "host/cpu/track_statistics.hpp"

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

CourseSpectra::CourseSpectra(const FeatureKernels& kernels)
    : kernels_(kernels),
      fft_(make_lane_fft(std::vector<float>(at(n_fft), 1.0f), n_fft, kernels.lanes, kernels.fft_columns,
                         false)),
      tile_(at(n_fft * fft_.layout.pitch)),
      scratch_(fft_.scratch_size()),
      power_(at(fft_.n_bins * kernels.lanes)) {}

void CourseSpectra::modulation(MatrixView<const double> tracks, std::vector<double>& power) {
  const Index n = tracks.cols, lanes = kernels_.lanes;
  power.assign(at(n_modulation_bands * tracks.rows), 0);
  window_.clear();
  for (Index i = 0; i < std::min(n, n_fft); ++i)
    window_.push_back(n == 1 ? 1
                             : 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                                    static_cast<double>(n - 1)));
  for (Index first = 0; first < tracks.rows; first += lanes) {
    const Index n_valid = std::min(lanes, tracks.rows - first);
    std::fill_n(tile_.data(), n_fft * fft_.layout.pitch, 0.0f);
    for (Index lane = 0; lane < n_valid; ++lane) {
      const auto track = tracks.row(first + lane);
      const double mean = mean_of(track);
      for (Index i = 0; i < std::min(n, n_fft); ++i)
        tile_[at(i * fft_.layout.pitch + lane)] = static_cast<float>((track[at(i)] - mean) * window_[at(i)]);
    }
    kernels_.transform(fft_, tile_.data(), scratch_.data(), power_.data());
    for (Index band = 0; band < n_modulation_bands; ++band)
      for (Index bin = 0; bin < fft_.n_bins; ++bin) {
        const double hz = static_cast<double>(bin) * 100 / n_fft;
        if (hz < modulation_edges_hz[at(band)] || hz >= modulation_edges_hz[at(band + 1)]) continue;
        for (Index lane = 0; lane < n_valid; ++lane)
          power[at(band * tracks.rows + first + lane)] += static_cast<double>(power_[at(bin * lanes + lane)]);
      }
  }
}

}  // namespace melgrad
