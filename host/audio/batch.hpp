#pragma once
// Packs clips into the ragged storage that a feature extractor reads.

#include <cstdint>
#include <vector>

#include "host/audio/waveform.hpp"
#include "host/core/waveform_batch.hpp"

namespace melgrad {

// Clips of one sample rate, one after another: int16 while all of them are, else float32 for all, which
// changes no value. Keeps its memory when cleared.
class BatchBuilder {
 public:
  void clear();
  // Copies the samples. An Error if the rate is not the batch's.
  void append(const Waveform& waveform);

  // Valid until the next append or clear.
  WaveformBatch view() const;
  Index n_clips() const { return static_cast<Index>(offsets_.size()) - 1; }
  Index n_samples() const { return offsets_.back(); }

 private:
  void widen();

  int sample_rate_ = 0;
  bool is_int16_ = true;
  std::vector<std::int16_t> int16_;  // [n_samples] while is_int16_
  std::vector<float> float32_;       // [n_samples] otherwise
  std::vector<Index> offsets_ = {0};
};

}  // namespace melgrad
