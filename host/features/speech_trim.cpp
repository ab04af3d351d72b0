#include "host/features/speech_trim.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

constexpr Index win_length = SampleBlocks::size * SampleBlocks::in_frame;
constexpr Index hop_length = SampleBlocks::size * SampleBlocks::in_hop;
constexpr double least_db = 40;  // below the loudest frame
constexpr Index margin = 3;      // frames that are kept before and after

}  // namespace

double frame_db(double mean_square) {
  return 10 * std::log10(mean_square + 1e-10);
}

double SampleBlocks::mean_square(Index block) const {
  double sum = 0;
  for (Index i = block; i < block + in_frame; ++i) sum += static_cast<double>(squares[at(i)]);
  return sum / win_length;
}

double SampleBlocks::zero_crossing_rate(Index block) const {
  const float* const first = samples + block * size;
  int n = std::signbit(first[0]) != std::signbit(first[-1]) ? -1 : 0;
  for (Index i = block; i < block + in_frame; ++i) n += sign_changes[at(i)];
  return static_cast<double>(n) / (win_length - 1);
}

SpeechCut cut_silence(const SampleBlocks& blocks, Index n_samples) {
  const Index n_frames = 1 + n_samples / hop_length;
  double loudest = 0;
  for (Index frame = 0; frame < n_frames; ++frame)
    loudest = std::max(loudest, blocks.mean_square(frame * SampleBlocks::in_hop));
  const double limit = frame_db(loudest) - least_db;
  const auto is_loud = [&](Index frame) {
    return frame_db(blocks.mean_square(frame * SampleBlocks::in_hop)) > limit;
  };
  Index first = 0, last = n_frames - 1;
  while (!is_loud(first)) ++first;
  while (!is_loud(last)) --last;
  return {std::max<Index>(0, first - margin) * hop_length,
          std::min(n_samples, (last + 1 + margin) * hop_length + win_length)};
}

}  // namespace melgrad
