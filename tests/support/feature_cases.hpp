#pragma once
// Specifications and clips that every feature extractor is tried with, and how far it is from the truth.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <doctest/doctest.h>

#include "host/features/feature_plan.hpp"
#include "support/feature_clips.hpp"

namespace melgrad::testing {

// The worst deviation of a row over its families, each a descriptor's functional. A family without a spread
// (of one value, or the standard deviation of a constant) is measured by a hundredth of its descriptor's
// largest value, in the row or in the truth's tracks where they are known.
inline double row_deviation(const FeaturePlan& plan, std::span<const float> ours,
                            std::span<const double> truth, const std::vector<Matrix<double>>& tracks = {}) {
  double worst = 0;
  for (std::size_t i = 0; i < plan.descriptors.size(); ++i) {
    const DescriptorPlan& descriptor = plan.descriptors[i];
    const auto n_values = static_cast<std::size_t>(descriptor.n_values);
    double least_spread = 1e-12;
    for (const double value : truth.subspan(static_cast<std::size_t>(descriptor.first_feature),
                                            n_values * descriptor.functionals.size()))
      least_spread = std::max(least_spread, 1e-2 * std::abs(value));
    if (!tracks.empty())
      for (const double value : tracks[i].values)
        least_spread = std::max(least_spread, 1e-2 * std::abs(value));
    for (std::size_t f = 0; f < descriptor.functionals.size(); ++f) {
      const std::size_t first = static_cast<std::size_t>(descriptor.first_feature) + f * n_values;
      worst = std::max(
          worst, deviation(ours.subspan(first, n_values), truth.subspan(first, n_values), least_spread));
    }
  }
  return worst;
}

inline std::vector<Matrix<double>> as_doubles(const std::vector<FrameTrack>& tracks) {
  std::vector<Matrix<double>> values;
  for (const FrameTrack& track : tracks) {
    Matrix<double> each(track.values.rows, track.values.cols);
    each.values.assign(track.values.values.begin(), track.values.values.end());
    values.push_back(std::move(each));
  }
  return values;
}

inline double tracks_deviation(const std::vector<FrameTrack>& ours,
                               const std::vector<Matrix<double>>& truth) {
  REQUIRE(ours.size() == truth.size());
  double worst = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    REQUIRE(ours[i].values.rows == truth[i].rows);
    REQUIRE(ours[i].values.cols == truth[i].cols);
    worst = std::max(worst, deviation(ours[i].values.values, truth[i].values));
  }
  return worst;
}

// Every kind of stage at once: banks of different spectra, functionals in either order, two tunings.
inline std::vector<DescriptorSpec> many_descriptors() {
  return {{ChromaStft{.n_chroma = 12, .tuning = 0.13}, {Functional::mean}},
          {MelSpectrogram{.n_mels = 40, .fmin = 100, .fmax = 3000, .power = 1}, {Functional::mean}},
          {MelSpectrogram{.n_mels = 20, .htk = true}, {Functional::std, Functional::mean}},
          {Mfcc{.n_mfcc = 13, .n_mels = 40, .amin = 1e-8, .ref = 0.5, .top_db = 45}, {Functional::mean}},
          {ChromaStft{.n_chroma = 24, .tuning = -0.2}, {Functional::mean, Functional::std}},
          {MelSpectrogram{.n_mels = 25, .power = 1}, {Functional::std}},
          {Mfcc{.n_mfcc = 7, .n_mels = 26, .htk = true}, {Functional::std, Functional::mean}},
          {MelSpectrogram{.n_mels = 30, .fmin = 50}, {Functional::mean}},
          {Rms{}, {Functional::std, Functional::mean}},
          {ChromaStft{.n_chroma = 5, .tuning = 0.0}, {Functional::mean}}};
}

struct AwkwardCase {
  StftSpec stft;
  std::vector<Index> n_samples;
};

// One sample is padded with zeros only: repeated, it is a constant, and the true value of bands above it is
// no more than the rounding of doubles.
inline std::vector<AwkwardCase> awkward_cases() {
  const auto constant = PadMode::constant, reflect = PadMode::reflect, edge = PadMode::edge;
  const auto hann = Window::hann;
  return {
      // The least transform, and hops of one sample, an odd number, and more than a window.
      {{16, 1, 0, hann, true, constant}, {1, 15, 16, 17, 40}},
      {{64, 3, 50, hann, true, reflect}, {2, 33, 64, 200}},
      {{128, 200, 0, Window::blackman, true, edge}, {2, 127, 128, 3000}},
      {{128, 201, 0, Window::blackman, true, edge}, {2, 127, 128, 3000}},
      // Transforms of every tuned size, over several chunks of frames.
      {{256, 100, 0, hann, true, constant}, {255, 256, 257, 5000}},
      {{512, 128, 400, hann, false, constant}, {512, 513, 9000}},
      {{1024, 333, 0, Window::hamming, true, reflect}, {200, 1023, 8000}},
      {{2048, 512, 0, hann, true, constant}, {1, 511, 2047, 2048, 2049, 30000}},
      {{2048, 512, 0, hann, false, constant}, {2048, 30000}},
      {{4096, 1000, 3000, hann, true, edge}, {4095, 20000}},
      // Other powers of two.
      {{8192, 2048, 0, hann, true, constant}, {8191, 40000}},
      {{65536, 30000, 0, hann, true, constant}, {70000}},
      // No power of two: even, odd, prime.
      {{100, 25, 0, hann, true, constant}, {1, 99, 100, 2000}},
      {{441, 160, 0, hann, true, reflect}, {100, 440, 4000}},
      {{441, 161, 400, Window::ones, false, constant}, {441, 4000}},
      {{1103, 276, 0, hann, true, edge}, {200, 1102, 9000}},
  };
}

}  // namespace melgrad::testing
