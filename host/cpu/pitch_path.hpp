#pragma once
// The pitch of a clip of speech: Boersma's autocorrelation candidates (Proc. Inst. Phonetic Sciences 17,
// 1993) and the path through them that costs least, with the costs of Praat's "To Pitch (ac)".

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/cpu/aligned.hpp"
#include "host/cpu/speech_frames.hpp"
#include "host/cpu/speech_kernels.hpp"
#include "host/cpu/track_statistics.hpp"

namespace melgrad {

// Of a clip, frame by frame. A clip with fewer than 6 voiced frames (whisper, silence) counts as voiced
// throughout, at 150 Hz in the frames without a pitch, so that every statistic has something to tell of.
struct PitchPath {
  std::vector<double> f0_hz;            // [n_frames] 0 where unvoiced
  std::vector<double> height;           // [n_frames] of the autocorrelation at the chosen lag; 0 if none
  std::vector<std::uint8_t> is_voiced;  // [n_frames]
  std::vector<Index> voiced;            // the voiced frames, at least one
  std::vector<double> semitones;        // [voiced.size()] 12 log2(f0 / 100 Hz)
  std::vector<double> contour;          // [n_frames] semitones, on lines through unvoiced frames
  std::vector<std::pair<Index, Index>> runs;  // [begin, end) of voiced frames side by side
  double median = 0;                          // of semitones
};

// The most periodic lag of each frame by itself. Frames without a pitch have one, too.
struct RoughPitch {
  std::vector<double> log_f0;       // [n_frames] log2 Hz, median of 5 frames
  std::vector<double> periodicity;  // [n_frames] the autocorrelation at the lag
  std::vector<double> raw_log_f0;   // [n_frames + 2] of a frame alone
};

// Keeps its memory from clip to clip.
class PitchFinder {
 public:
  PitchFinder(const SpeechKernels& kernels, LongFrames& frames);

  // samples: see pad_for_long_frames.
  void find(std::span<const float> samples, Index n_frames, PitchPath& path);
  const RoughPitch& rough() const { return rough_; }

 private:
  static constexpr int most_candidates = 10;  // of a frame, and the first of them is "unvoiced"
  struct Candidate {
    double lag;  // samples; 0: unvoiced
    double log2_lag;
    double strength;  // what the path gains
    double height;
    double total;  // of the best path to here
    int from;      // its candidate in the frame before
  };

  void find_candidates(std::span<const float> samples, Index n_frames);
  void add_candidate(Index frame, double before, double here, double after, int lag);
  void connect(Index frame);
  void filter_rough_pitch(std::span<const float> samples, Index n_frames);
  std::span<Candidate> candidates(Index frame);

  SpeechKernels kernels_;
  LongFrames& frames_;
  AlignedArray<float> r_;  // [n_lags][lanes]
  Correlations correlations_;
  std::vector<float> peaks_;       // [n_frames] largest |sample|
  std::vector<int> n_candidates_;  // [n_frames]
  RoughPitch rough_;
  Percentiles percentiles_;
  std::vector<Candidate> candidates_;  // [n_frames][most_candidates]
};

// Copies a clip into `padded` such that long frame i (of long_win_length samples, centred on frame i of the
// clip) begins at i * hop_length, with zeros around the clip and for `most_lanes` frames beyond it.
void pad_for_long_frames(std::span<const float> samples, std::vector<float>& padded);

}  // namespace melgrad
