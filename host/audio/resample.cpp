#include "host/audio/resample.hpp"

#include <soxr.h>

#include <algorithm>
#include <cstddef>
#include <variant>

#include "host/audio/decode.hpp"
#include "host/core/error.hpp"

namespace melgrad {

Resampler::Resampler(int sample_rate, ResampleQuality quality)
    : sample_rate_(sample_rate), quality_(quality) {
  if (sample_rate < min_sample_rate || sample_rate > max_sample_rate)
    fail("cannot resample to {} Hz; the limits are {} and {} Hz", sample_rate, min_sample_rate,
         max_sample_rate);
}

void Resampler::resample(Waveform& waveform) {
  if (waveform.sample_rate == sample_rate_) return;
  const Index from = waveform.sample_rate, to = sample_rate_;
  const auto n_output = static_cast<std::size_t>((waveform.n_samples() * to + from - 1) / from);
  output_.resize(n_output);

  const auto type = soxr_io_spec(waveform.is_int16 ? SOXR_INT16_I : SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const auto quality = soxr_quality_spec(quality_ == ResampleQuality::hq ? SOXR_HQ : SOXR_VHQ, 0);
  std::size_t n_done = 0;
  const soxr_error_t error = std::visit(
      [&](auto samples) {
        return soxr_oneshot(static_cast<double>(from), static_cast<double>(to), 1, samples.data(),
                            samples.size(), nullptr, output_.data(), n_output, &n_done, &type, &quality,
                            nullptr);
      },
      waveform.samples());
  if (error != nullptr) fail("resampling from {} to {} Hz failed: {}", from, to, error);

  // soxr rounds the length; the rest is the silence after the clip, as librosa.util.fix_length.
  std::fill(output_.begin() + static_cast<std::ptrdiff_t>(n_done), output_.end(), 0.0f);
  waveform.float32.swap(output_);
  waveform.is_int16 = false;
  waveform.sample_rate = sample_rate_;
}

}  // namespace melgrad
