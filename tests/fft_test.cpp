#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "host/core/philox.hpp"
#include "host/cpu/lane_fft.hpp"
#include "support/feature_clips.hpp"

namespace melgrad {
namespace {

// The definition, in double, of one bin.
double naive_magnitude(std::span<const float> frame, std::span<const float> window,
                       std::span<const std::complex<double>> roots, std::size_t bin) {
  std::complex<double> sum;
  for (std::size_t j = 0; j < frame.size(); ++j)
    sum += static_cast<double>(frame[j]) * static_cast<double>(window[j]) * roots[j * bin % frame.size()];
  return std::abs(sum);
}

// Frames of noise, of one sine and of one impulse.
Matrix<float> hard_frames(Index n_frames, int n_fft) {
  Matrix<float> frames(n_frames, n_fft);
  PhiloxSequence random(7, RandomStream::search, static_cast<std::uint32_t>(n_fft));
  for (Index frame = 0; frame < n_frames; ++frame)
    for (int j = 0; j < n_fft; ++j)
      frames(frame, j) = frame % 3 == 0 ? 2 * random.next_uniform01() - 1
                         : frame % 3 == 1
                             ? static_cast<float>(std::sin(0.37 * j * static_cast<double>(frame)))
                             : (j == frame * 7 % n_fft ? 1.0f : 0.0f);
  return frames;
}

// The worst error of |X[k]| in parts of epsilon * (growth * rms + 2 |X[k]| + max |X| / 2). The errors of the
// butterflies, each of relative size epsilon, add up as noise over log2(n) levels to epsilon * sqrt(log2 n)
// of the spectrum's root mean square (Gentleman and Sande, 1966), and the largest of thousands of bins lies
// some deviations above. What is rounded last (window, square) is in proportion to the bin itself. The
// rounding of twiddles, half an epsilon, is the same for every row, so that a tone's share of it gathers in
// single bins.
double worst_error(int n_fft, Index n_frames, double growth) {
  const Matrix<float> frames = hard_frames(n_frames, n_fft);
  const auto n = static_cast<std::size_t>(n_fft);
  std::vector<float> window(n);
  for (std::size_t j = 0; j < n; ++j)
    window[j] = 0.1f + 0.9f * static_cast<float>(j % 17) / 16;  // neither symmetric nor smooth
  std::vector<std::complex<double>> roots(n);
  for (std::size_t j = 0; j < n; ++j)
    roots[j] = std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(j) / n_fft);
  const Matrix<float> power = power_spectra(frames.view(), window);
  REQUIRE(power.cols == n_fft / 2 + 1);
  const std::size_t bin_step = n_fft <= 4096 ? 1 : n / 67;
  double worst = 0;
  for (Index frame = 0; frame < n_frames; ++frame) {
    double energy = 0;  // by Parseval, of a bin on average
    for (std::size_t j = 0; j < n; ++j)
      energy += std::pow(static_cast<double>(frames.row(frame)[j]) * static_cast<double>(window[j]), 2);
    std::vector<double> truth, error;
    for (std::size_t bin = 0; bin <= n / 2; bin += bin_step) {
      truth.push_back(naive_magnitude(frames.row(frame), window, roots, bin));
      error.push_back(
          std::abs(std::sqrt(static_cast<double>(power(frame, static_cast<Index>(bin)))) - truth.back()));
    }
    const double largest = *std::max_element(truth.begin(), truth.end());
    for (std::size_t i = 0; i < truth.size(); ++i)
      worst = std::max(worst, error[i] / (growth * std::sqrt(energy) + 2 * truth[i] + largest / 2));
  }
  return worst / static_cast<double>(std::numeric_limits<float>::epsilon());
}

}  // namespace

TEST_SUITE("fft") {
  TEST_CASE("every power of two transforms as the definition does, with every instruction set") {
    testing::for_each_simd([](const std::string& simd) {
      for (int n_fft = 16; n_fft <= 65536; n_fft *= 2) {
        CAPTURE(simd);
        CAPTURE(n_fft);
        CHECK(worst_error(n_fft, n_fft <= 2048 ? 19 : 3, 2 * std::sqrt(std::log2(n_fft))) < 1);
      }
    });
  }

  // Bluestein's convolution is two transforms of up to 4 n points, with two factors rounded to float.
  TEST_CASE("sizes that are no power of two do so too") {
    testing::for_each_simd([](const std::string& simd) {
      for (const int n_fft : {17, 18, 100, 255, 257, 441, 1000, 1103, 2047, 3000, 20011, 65535}) {
        CAPTURE(simd);
        CAPTURE(n_fft);
        CHECK(worst_error(n_fft, n_fft <= 1200 ? 19 : 3, 4 * std::sqrt(std::log2(4.0 * n_fft))) < 1);
      }
    });
  }
}

}  // namespace melgrad
