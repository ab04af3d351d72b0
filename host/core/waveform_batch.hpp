#pragma once
// What a feature extractor reads: several clips of one sample rate, one after another, ragged.

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "host/core/matrix.hpp"

namespace melgrad {

// Mono samples. int16 stays int16 until an engine has it in registers (full scale 32768 = 1.0); everything
// else is float32 with full scale 1.0.
using Samples = std::variant<std::span<const std::int16_t>, std::span<const float>>;

// Does not own. Clip i is samples[offsets[i] .. offsets[i + 1]).
struct WaveformBatch {
  int sample_rate = 0;  // Hz, of every clip
  Samples samples;
  std::span<const Index> offsets;  // [n_clips + 1], ascending, offsets[0] == 0; empty for no clips

  Index n_clips() const { return offsets.empty() ? 0 : static_cast<Index>(offsets.size()) - 1; }
  Index length(Index clip) const {
    return offsets[static_cast<std::size_t>(clip) + 1] - offsets[static_cast<std::size_t>(clip)];
  }
};

}  // namespace melgrad
