#include "host/audio/augment.hpp"

#include <cmath>
#include <cstddef>

#include "host/audio/resample.hpp"

namespace melgrad {

Augmenter::Augmenter(double speed, double pitch) : speed_(speed), rate_(std::exp2(-pitch / 12)) {
  if (pitch != 0) stretch_.emplace(rate_);
}

void Augmenter::apply(Waveform& waveform) {
  if (speed_ != 1) change_speed(waveform);
  if (stretch_) shift_pitch(waveform);
}

void Augmenter::change_speed(Waveform& waveform) {
  resample_by(waveform.samples(), speed_, 1, ResampleQuality::hq, buffer_);
  waveform.float32.swap(buffer_);
  waveform.is_int16 = false;
}

void Augmenter::shift_pitch(Waveform& waveform) {
  if (waveform.is_int16) {
    waveform.float32.clear();
    for (const std::int16_t sample : waveform.int16)
      waveform.float32.push_back(static_cast<float>(sample) / 32768);
    waveform.is_int16 = false;
  }
  const std::size_t n_samples = waveform.float32.size();
  resample_by(stretch_->stretch(waveform.float32), 1 / rate_, 1, ResampleQuality::hq, buffer_);
  buffer_.resize(n_samples);  // rounding makes it a sample longer or shorter; the rest is 0
  waveform.float32.swap(buffer_);
}

}  // namespace melgrad
