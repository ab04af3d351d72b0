#include "host/audio/time_stretch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

namespace melgrad {
namespace {

constexpr int n_fft = 1024;
constexpr int hop_length = n_fft / 4;
constexpr int n_bins = n_fft / 2 + 1;
constexpr Index n_lanes = FrameFft::n_frames;

FrameFft::Spectrum make_spectrum(float re) {
  return {std::vector<float>(n_bins, re), std::vector<float>(n_bins, 0.0f)};
}

}  // namespace

TimeStretch::TimeStretch(double rate)
    : rate_(rate),
      fft_(n_fft),
      columns_{fft_.make_spectra(), fft_.make_spectra()},
      zeros_(make_spectrum(0)),
      phasors_(make_spectrum(1)),
      stretched_(fft_.make_spectra()) {
  for (int j = 0; j < n_fft; ++j)
    window_.push_back(static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * j / n_fft)));
  frames_.fill(std::vector<float>(n_fft));
}

// Frame t is centred at sample t * hop_length, with zeros beyond the ends.
void TimeStretch::analyse(Index batch) {
  const auto n_samples = static_cast<Index>(samples_.size());
  std::array<const float*, FrameFft::n_frames> frames{};
  for (Index lane = 0; lane < n_lanes; ++lane) {
    std::vector<float>& frame = frames_[static_cast<std::size_t>(lane)];
    const Index first = (n_lanes * batch + lane) * hop_length - n_fft / 2;
    const Index begin = std::clamp<Index>(-first, 0, n_fft);
    const Index end = std::clamp<Index>(n_samples - first, begin, n_fft);
    std::fill(frame.begin(), frame.begin() + begin, 0.0f);
    for (Index j = begin; j < end; ++j) {
      const auto at = static_cast<std::size_t>(j);
      frame[at] = samples_[static_cast<std::size_t>(first + j)] * window_[at];
    }
    std::fill(frame.begin() + end, frame.end(), 0.0f);
    frames[static_cast<std::size_t>(lane)] = frame.data();
  }
  const auto slot = static_cast<std::size_t>(batch % 2);
  fft_.forward(frames, columns_[slot]);
  batch_[slot] = batch;
}

// Columns are asked for in ascending order, two neighbours at a time.
const FrameFft::Spectrum& TimeStretch::column(Index index) {
  if (index >= n_columns_) return zeros_;
  const Index batch = index / n_lanes;
  const auto slot = static_cast<std::size_t>(batch % 2);
  if (batch_[slot] != batch) analyse(batch);
  return columns_[slot][static_cast<std::size_t>(index % n_lanes)];
}

// out = the magnitudes between two columns with the accumulated phases, which then advance by the difference
// of the columns' phases. (librosa adds the wrapped deviation from a bin's own advance to that advance: the
// same, modulo a turn.) The phase of 0 is 0.
void TimeStretch::advance(const FrameFft::Spectrum& now, const FrameFft::Spectrum& next, float share,
                          FrameFft::Spectrum& out) {
  const float *now_re = now.re.data(), *now_im = now.im.data(), *next_re = next.re.data(),
              *next_im = next.im.data();
  float *re = phasors_.re.data(), *im = phasors_.im.data(), *out_re = out.re.data(), *out_im = out.im.data();
  for (int k = 0; k < n_bins; ++k) {
    const float now_magnitude = std::sqrt(now_re[k] * now_re[k] + now_im[k] * now_im[k]);
    const float next_magnitude = std::sqrt(next_re[k] * next_re[k] + next_im[k] * next_im[k]);
    const float magnitude = (1 - share) * now_magnitude + share * next_magnitude;
    out_re[k] = magnitude * re[k];
    out_im[k] = magnitude * im[k];
    const float by_now = now_magnitude > 0 ? 1 / now_magnitude : 0.0f;
    const float by_next = next_magnitude > 0 ? 1 / next_magnitude : 0.0f;
    const float a_re = now_magnitude > 0 ? now_re[k] * by_now : 1.0f, a_im = now_im[k] * by_now;
    const float b_re = next_magnitude > 0 ? next_re[k] * by_next : 1.0f, b_im = next_im[k] * by_next;
    const float turn_re = b_re * a_re + b_im * a_im, turn_im = b_im * a_re - b_re * a_im;
    const float turned_re = re[k] * turn_re - im[k] * turn_im, turned_im = re[k] * turn_im + im[k] * turn_re;
    const float length = std::sqrt(turned_re * turned_re + turned_im * turned_im);
    re[k] = turned_re / length;
    im[k] = turned_im / length;
  }
}

// Frames first .. first + n_valid of the output, windowed again and overlapped.
void TimeStretch::synthesise(Index first, Index n_valid) {
  fft_.inverse(stretched_, synthesised_);
  const auto n_output = static_cast<Index>(sum_.size());
  for (Index lane = 0; lane < n_valid; ++lane) {
    const Index offset = (first + lane) * hop_length - n_fft / 2;
    const Index end = std::min<Index>(n_fft, n_output - offset);
    for (Index j = std::max<Index>(0, -offset); j < end; ++j) {
      const auto at = static_cast<std::size_t>(j), to = static_cast<std::size_t>(offset + j);
      sum_[to] += synthesised_[at].at[static_cast<std::size_t>(lane)] * window_[at];
      weight_[to] += window_[at] * window_[at];
    }
  }
}

std::span<const float> TimeStretch::stretch(std::span<const float> samples) {
  samples_ = samples;
  batch_ = {-1, -1};
  n_columns_ = 1 + static_cast<Index>(samples.size()) / hop_length;
  // Python's round(): to even.
  const auto n_output = static_cast<Index>(std::nearbyint(static_cast<double>(samples.size()) / rate_));
  sum_.assign(static_cast<std::size_t>(n_output), 0.0f);
  weight_.assign(static_cast<std::size_t>(n_output), 0.0f);
  const auto n_stretched = static_cast<Index>(std::ceil(static_cast<double>(n_columns_) / rate_));
  const Index n_frames = std::min<Index>(n_stretched, (n_output + n_fft + hop_length - 1) / hop_length);

  const FrameFft::Spectrum& begin = column(0);
  for (std::size_t k = 0; k < n_bins; ++k) {
    const float magnitude = std::sqrt(begin.re[k] * begin.re[k] + begin.im[k] * begin.im[k]);
    phasors_.re[k] = magnitude > 0 ? begin.re[k] / magnitude : 1.0f;
    phasors_.im[k] = magnitude > 0 ? begin.im[k] / magnitude : 0.0f;
  }
  for (Index frame = 0; frame < n_frames; ++frame) {
    const double step = static_cast<double>(frame) * rate_;
    const auto now = static_cast<Index>(step);
    const Index lane = frame % n_lanes;
    advance(column(now), column(now + 1), static_cast<float>(step - std::floor(step)),
            stretched_[static_cast<std::size_t>(lane)]);
    if (lane + 1 == n_lanes || frame + 1 == n_frames) synthesise(frame - lane, lane + 1);
  }
  for (std::size_t i = 0; i < sum_.size(); ++i)
    if (weight_[i] > std::numeric_limits<float>::min()) sum_[i] /= weight_[i];
  return sum_;
}

}  // namespace melgrad
