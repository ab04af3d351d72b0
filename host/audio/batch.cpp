#include "host/audio/batch.hpp"

#include <cstddef>
#include <span>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

// int16 as float32, exactly.
void append_scaled(std::span<const std::int16_t> samples, std::vector<float>& out) {
  const std::size_t n_before = out.size();
  out.resize(n_before + samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i)
    out[n_before + i] = static_cast<float>(samples[i]) * 0x1p-15f;
}

}  // namespace

void BatchBuilder::clear() {
  is_int16_ = true;
  int16_.clear();
  float32_.clear();
  offsets_.assign(1, 0);
}

void BatchBuilder::widen() {
  append_scaled(int16_, float32_);
  int16_.clear();
  is_int16_ = false;
}

void BatchBuilder::append(const Waveform& waveform) {
  if (n_clips() == 0) sample_rate_ = waveform.sample_rate;
  if (waveform.sample_rate != sample_rate_)
    fail("a batch of {} Hz cannot take a clip of {} Hz", sample_rate_, waveform.sample_rate);
  if (is_int16_ && !waveform.is_int16) widen();
  if (is_int16_)
    int16_.insert(int16_.end(), waveform.int16.begin(), waveform.int16.end());
  else if (waveform.is_int16)
    append_scaled(waveform.int16, float32_);
  else
    float32_.insert(float32_.end(), waveform.float32.begin(), waveform.float32.end());
  offsets_.push_back(n_samples() + waveform.n_samples());
}

WaveformBatch BatchBuilder::view() const {
  WaveformBatch batch{sample_rate_, {}, offsets_};
  if (is_int16_)
    batch.samples = std::span<const std::int16_t>(int16_);
  else
    batch.samples = std::span<const float>(float32_);
  return batch;
}

}  // namespace melgrad
