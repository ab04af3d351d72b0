#include "host/cpu/lane_fft.hpp"

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
#include "host/cpu/simd.hpp"

namespace melgrad {
namespace {

// The definition, in double, in O(n^2).
std::vector<std::complex<double>> naive_transform(std::span<const float> frame,
                                                  std::span<const float> window) {
  const std::size_t n = frame.size();
  std::vector<std::complex<double>> roots(n), spectrum(n / 2 + 1);
  for (std::size_t j = 0; j < n; ++j)
    roots[j] = std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(j) / static_cast<double>(n));
  for (std::size_t k = 0; k < spectrum.size(); ++k)
    for (std::size_t j = 0; j < n; ++j)
      spectrum[k] += static_cast<double>(frame[j]) * static_cast<double>(window[j]) * roots[j * k % n];
  return spectrum;
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
                             : (j == frame % n_fft ? 1.0f : 0.0f);
  return frames;
}

// The largest error of |X| in a frame, in units of the frame's root mean square magnitude over bins times
// epsilon.
double worst_error(int n_fft, Index n_frames) {
  const Matrix<float> frames = hard_frames(n_frames, n_fft);
  std::vector<float> window(static_cast<std::size_t>(n_fft));
  for (std::size_t j = 0; j < window.size(); ++j)
    window[j] = 0.1f + 0.9f * static_cast<float>(j % 17) / 16;  // neither symmetric nor smooth
  const Matrix<float> power = power_spectra(frames.view(), window);
  double worst = 0;
  for (Index frame = 0; frame < n_frames; ++frame) {
    const auto truth = naive_transform(frames.row(frame), window);
    double sum = 0;
    for (const auto& value : truth) sum += std::norm(value);
    const double rms = std::sqrt(sum / static_cast<double>(truth.size()));
    for (std::size_t k = 0; k < truth.size(); ++k) {
      const double magnitude = std::sqrt(static_cast<double>(power(frame, static_cast<Index>(k))));
      worst = std::max(worst, std::abs(magnitude - std::abs(truth[k])) / rms);
    }
  }
  return worst / std::numeric_limits<float>::epsilon();
}

struct BestSimdAgain {
  ~BestSimdAgain() { choose_simd(); }
};

}  // namespace

TEST_SUITE("fft") {
  // An error of float arithmetic grows as epsilon * sqrt(log2 n) for a frame's root mean square; single bins
  // of a sine lie sqrt(n) above that, so the worst bin gets a factor of sqrt(n) / 2 more where there are
  // sines. Bluestein runs three transforms of up to 4 n points with chirps rounded to float.
  TEST_CASE("every size transforms as the definition does, with every instruction set") {
    const BestSimdAgain restore;
    for (const std::string& simd : available_simd()) {
      use_simd(simd);
      for (const int n_fft : {16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 17, 100, 255, 1103}) {
        CAPTURE(simd);
        CAPTURE(n_fft);
        const bool power_of_two = (n_fft & (n_fft - 1)) == 0;
        const double limit =
            (power_of_two ? 1 : 4) * std::sqrt(std::log2(n_fft)) * (1 + std::sqrt(n_fft) / 4);
        CHECK(worst_error(n_fft, 19) < limit);
      }
    }
  }
}

}  // namespace melgrad
