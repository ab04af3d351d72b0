#pragma once
// One decoded clip in memory, and its identity.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/core/waveform_batch.hpp"

namespace melgrad {

// Mono samples at one rate, in one of two types. Both vectors keep their memory from clip to clip, so a
// Waveform that is used again allocates nothing.
struct Waveform {
  int sample_rate = 0;              // Hz
  bool is_int16 = true;             // which of the two vectors counts
  std::vector<std::int16_t> int16;  // [n_samples], full scale 32768 = 1.0
  std::vector<float> float32;       // [n_samples], full scale 1.0

  Index n_samples() const { return static_cast<Index>(is_int16 ? int16.size() : float32.size()); }
  double duration_s() const { return static_cast<double>(n_samples()) / sample_rate; }
  Samples samples() const {
    if (is_int16) return std::span<const std::int16_t>(int16);
    return std::span<const float>(float32);
  }
};

// 32 hexadecimal digits: XXH3, 128 bits, of the samples' little-endian bytes, seeded with the sample rate and
// the sample type. So WAV and FLAC of the same PCM agree, and so do mono and two identical channels; int16
// and the same values as float32 do not.
std::string audio_hash(const Waveform& waveform);

}  // namespace melgrad
