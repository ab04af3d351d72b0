#include "host/audio/resample.hpp"

#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "host/audio/decode.hpp"
#include "host/core/error.hpp"

namespace melgrad {

void resample_by(const Samples& samples, double from, double to, ResampleQuality quality,
                 std::vector<float>& out) {
  const auto n_input = std::visit([](auto each) { return each.size(); }, samples);
  const auto n_output = static_cast<std::size_t>(std::ceil(static_cast<double>(n_input) * to / from));
  out.resize(n_output);
  const bool is_int16 = std::holds_alternative<std::span<const std::int16_t>>(samples);
  const auto type = soxr_io_spec(is_int16 ? SOXR_INT16_I : SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const auto recipe = soxr_quality_spec(quality == ResampleQuality::hq ? SOXR_HQ : SOXR_VHQ, 0);
  std::size_t n_done = 0;
  const soxr_error_t error = std::visit(
      [&](auto each) {
        return soxr_oneshot(from, to, 1, each.data(), each.size(), nullptr, out.data(), n_output, &n_done,
                            &type, &recipe, nullptr);
      },
      samples);
  if (error != nullptr) fail("resampling from {} to {} Hz failed: {}", from, to, error);
  // soxr rounds the length; the rest is the silence after the clip, as librosa.util.fix_length.
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(n_done), out.end(), 0.0f);
}

Resampler::Resampler(int sample_rate, ResampleQuality quality)
    : sample_rate_(sample_rate), quality_(quality) {
  if (sample_rate < min_sample_rate || sample_rate > max_sample_rate)
    fail("cannot resample to {} Hz; the limits are {} and {} Hz", sample_rate, min_sample_rate,
         max_sample_rate);
}

void Resampler::resample(Waveform& waveform) {
  if (waveform.sample_rate == sample_rate_) return;
  resample_by(waveform.samples(), waveform.sample_rate, sample_rate_, quality_, output_);
  waveform.float32.swap(output_);
  waveform.is_int16 = false;
  waveform.sample_rate = sample_rate_;
}

}  // namespace melgrad
