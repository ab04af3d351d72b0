#pragma once
// The groups of values that make up the `speech` feature set: what a speaker does with voice, mouth and time,
// of a recording at 16 kHz without the silence around it. A set has any of them, in this order.

#include <array>
#include <string>
#include <vector>

#include "host/core/fields.hpp"
#include "host/core/matrix.hpp"

namespace melgrad {

enum class SpeechGroup {
  // Mean and standard deviation over frames of a track, and prosody: 489 values
  mfcc,
  mfcc_delta,
  mfcc_delta2,
  log_mel,
  contrast,
  shape,
  shape_delta,
  prosody,
  // From the Viterbi pitch track, formants, voice quality and the course of a clip: 654 values
  pitch,
  loudness,
  voice,
  formants,
  voiced_mfcc,
  thirds,
  eighths,
  modulation,
  mfcc_correlation
};

template <>
inline constexpr auto enum_names<SpeechGroup> =
    std::array{"mfcc",        "mfcc_delta", "mfcc_delta2", "log_mel",    "contrast",        "shape",
               "shape_delta", "prosody",    "pitch",       "loudness",   "voice",           "formants",
               "voiced_mfcc", "thirds",     "eighths",     "modulation", "mfcc_correlation"};

inline constexpr Index n_values(SpeechGroup group) {
  constexpr std::array<Index, 17> counts{80, 80, 80, 128, 12, 26, 26, 57, 60,
                                         62, 76, 38, 138, 78, 48, 63, 91};
  return counts.at(static_cast<std::size_t>(group));
}

// All, in their order.
std::vector<SpeechGroup> all_speech_groups();

// [n_values(group)], each once among all groups: "mfcc_3_mean", "prosody_f0_median".
std::vector<std::string> value_names(SpeechGroup group);

}  // namespace melgrad
