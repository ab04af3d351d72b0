#pragma once
// Signals of integer arithmetic, and what librosa says of them: tests/golden/features_clips.json, made by
// tools/golden/make_features.py, which holds the same formulas in Python.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad::testing {

// A recipe for n_samples of int16 at sample_rate. kind "voice": syllables of eight harmonics that glide up,
// with a little noise and a silent end; "noise": white; "click": one sample in the middle; "silence".
struct GoldenSignal {
  std::string kind;
  int sample_rate = 0;
  Index n_samples = 0;
  std::uint32_t seed = 1;
};

std::vector<std::int16_t> golden_signal(const GoldenSignal& signal);

// One descriptor's values in one frame.
struct GoldenFrame {
  Index descriptor = 0;
  Index frame = 0;
  std::vector<double> values;
};

// What librosa computes in double of golden_signal / 32768.
struct GoldenClip {
  std::string name;  // for messages: "notebook voice 48000 Hz 144000"
  FeatureSpec spec;
  GoldenSignal signal;
  Index n_frames = 0;
  // Of the first chroma descriptor that estimates it. Not stable: noise of 3e-7 of the spectrum's maximum, as
  // of rounding to float, moves the estimate, so that only the features for a given tuning are comparable.
  std::optional<double> tuning;
  bool tuning_is_stable = true;
  std::vector<double> row;  // [n_features]
  std::vector<GoldenFrame> frames;
};

std::vector<GoldenClip> golden_clips();

// The clip's spec with every estimated tuning replaced by librosa's.
FeatureSpec with_given_tuning(const GoldenClip& clip);

}  // namespace melgrad::testing
