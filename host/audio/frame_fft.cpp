#include "host/audio/frame_fft.hpp"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

namespace melgrad {
namespace {

using Lanes = FrameFft::Lanes;
using Point = FrameFft::Point;
constexpr std::size_t n_lanes = FrameFft::n_frames;

// sum = a + b; turned = (a - b) (c - i s).
void butterfly(const Point& a, const Point& b, float c, float s, Point& sum, Point& turned) {
  for (std::size_t l = 0; l < n_lanes; ++l) {
    const float re = a.re.at[l] - b.re.at[l], im = a.im.at[l] - b.im.at[l];
    sum.re.at[l] = a.re.at[l] + b.re.at[l];
    sum.im.at[l] = a.im.at[l] + b.im.at[l];
    turned.re.at[l] = re * c + im * s;
    turned.im.at[l] = im * c - re * s;
  }
}

}  // namespace

FrameFft::FrameFft(int n_fft) : n_fft_(n_fft) {
  assert(n_fft >= 4 && std::has_single_bit(static_cast<unsigned>(n_fft)));
  const auto m = static_cast<std::size_t>(n_fft / 2);
  for (std::size_t k = 0; k < m; ++k) {
    const double angle = std::numbers::pi * static_cast<double>(k) / static_cast<double>(m);
    cos_.push_back(static_cast<float>(std::cos(angle)));
    sin_.push_back(static_cast<float>(std::sin(angle)));
  }
  points_.resize(m);
  other_.resize(m);
}

FrameFft::Spectra FrameFft::make_spectra() const {
  Spectra spectra;
  for (Spectrum& each : spectra) {
    each.re.resize(static_cast<std::size_t>(n_fft_ / 2 + 1));
    each.im.resize(each.re.size());
  }
  return spectra;
}

void FrameFft::transform() {
  const std::size_t m = points_.size();
  for (std::size_t n = m, stride = 1; n > 1; n /= 2, stride *= 2) {
    for (std::size_t p = 0; p < n / 2; ++p) {
      // exp(-2 pi i p / n) is entry p * stride of a table of steps pi / m: every second one.
      const float c = cos_[2 * p * stride], s = sin_[2 * p * stride];
      for (std::size_t q = 0; q < stride; ++q)
        butterfly(points_[q + stride * p], points_[q + stride * (p + n / 2)], c, s,
                  other_[q + stride * 2 * p], other_[q + stride * (2 * p + 1)]);
    }
    std::swap(points_, other_);
  }
}

void FrameFft::forward(const std::array<const float*, n_frames>& frames, Spectra& spectra) {
  const std::size_t m = points_.size();
  for (std::size_t l = 0; l < n_lanes; ++l) {
    for (std::size_t j = 0; j < m; ++j) {
      points_[j].re.at[l] = frames[l][2 * j];
      points_[j].im.at[l] = frames[l][2 * j + 1];
    }
  }
  transform();
  for (std::size_t l = 0; l < n_lanes; ++l) {
    auto& [re, im] = spectra[l];
    re[0] = points_[0].re.at[l] + points_[0].im.at[l];
    re[m] = points_[0].re.at[l] - points_[0].im.at[l];
    im[0] = im[m] = 0;
    for (std::size_t k = 1; k < m; ++k) {
      const Point &z = points_[k], &y = points_[m - k];
      const float even_re = z.re.at[l] + y.re.at[l], even_im = z.im.at[l] - y.im.at[l];
      const float odd_re = z.im.at[l] + y.im.at[l], odd_im = y.re.at[l] - z.re.at[l];
      re[k] = 0.5f * (even_re + odd_re * cos_[k] + odd_im * sin_[k]);
      im[k] = 0.5f * (even_im + odd_im * cos_[k] - odd_re * sin_[k]);
    }
  }
}

// Z[k] = (X[k] + X'[m-k]) / 2 + i w^-k (X[k] - X'[m-k]) / 2. Parts change places on the way in and out: that
// makes the inverse of a transform.
void FrameFft::inverse(const Spectra& spectra, std::vector<Lanes>& frames) {
  const std::size_t m = points_.size();
  const float scale = 0.5f / static_cast<float>(m);
  for (std::size_t l = 0; l < n_lanes; ++l) {
    const auto& [re, im] = spectra[l];
    for (std::size_t k = 0; k < m; ++k) {
      // The imaginary parts of X[0] and X[m] have no part in the real inverse.
      const float im_k = k == 0 ? 0.0f : im[k], im_m = k == 0 ? 0.0f : im[m - k];
      const float even_re = re[k] + re[m - k], even_im = im_k - im_m;
      const float odd_re = re[k] - re[m - k], odd_im = im_k + im_m;
      const float turned_re = odd_re * cos_[k] - odd_im * sin_[k];
      const float turned_im = odd_im * cos_[k] + odd_re * sin_[k];
      points_[k].im.at[l] = scale * (even_re - turned_im);
      points_[k].re.at[l] = scale * (even_im + turned_re);
    }
  }
  transform();
  frames.resize(2 * m);
  for (std::size_t j = 0; j < m; ++j) {
    frames[2 * j] = points_[j].im;
    frames[2 * j + 1] = points_[j].re;
  }
}

}  // namespace melgrad
