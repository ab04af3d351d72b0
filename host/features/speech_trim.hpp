#pragma once
// Where speech begins and ends in a recording.

#include <span>

#include "host/core/matrix.hpp"

namespace melgrad {

// Sums over blocks of 80 samples, of which five are a frame of 400 and two a hop of 160. Does not own. Who
// only cuts needs the squares alone.
struct SampleBlocks {
  static constexpr Index size = 80;
  static constexpr Index in_frame = 5;
  static constexpr Index in_hop = 2;

  const float* samples = nullptr;     // of block 0; samples[-1] is readable
  std::span<const float> squares;     // [n_blocks], sum of squares
  std::span<const int> sign_changes;  // [n_blocks], samples whose sign bit differs from the sample's before

  // Of the frame that begins with the block.
  double mean_square(Index block) const;
  // Share of the frame's 399 steps from sample to sample that change the sign bit.
  double zero_crossing_rate(Index block) const;
};

// 10 log10(mean_square + 1e-10)
double frame_db(double mean_square);

// Samples [begin, end) of a clip of n_samples >= 1: from three frames before the first frame that is less
// than 40 dB below the loudest to three frames after the last. begin is a multiple of the hop. There are
// blocks for a frame at every hop that begins in the clip or at its end, of zeros behind the clip.
struct SpeechCut {
  Index begin = 0;
  Index end = 0;
};
SpeechCut cut_silence(const SampleBlocks& blocks, Index n_samples);

}  // namespace melgrad
