#pragma once
// Pitch, loudness and timing of a clip.

#include <span>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/cpu/speech_frames.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {

// The fundamental frequency frame by frame: that of the lag from 26 to 245 samples at which r[lag] less 0.02
// per octave of lag is largest.
struct PitchTrack {
  std::vector<double> log_f0;       // [n_frames], log2 Hz, median of 5 frames
  std::vector<double> periodicity;  // [n_frames], r at the lag
};

// Of a trimmed clip [n_samples] with n_frames frames.
void track_pitch(const SpeechPlan& plan, std::span<const float> samples, Index n_frames, PitchTrack& track);

// values [57] in the order of value_names(SpeechGroup::prosody). A frame is voiced if its periodicity is over
// 0.5 and its loudness within 30 dB of the loudest; if fewer than 5 are, the 5 most periodic ones count.
void put_prosody(const SpeechFrames& frames, const PitchTrack& track, float* values);

}  // namespace melgrad
