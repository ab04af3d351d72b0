#pragma once
// Everything about a FeatureSpec at one sample rate that does not depend on the clip: windows, filter banks
// and DCT tables, computed once, in double, and rounded once. Engines turn these tables into their own
// layouts.

#include <vector>

#include "host/core/matrix.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

struct FeaturePlan {
  FeatureSpec spec;
  int sample_rate = 0;  // Hz, of every waveform

  // Of a waveform of so many samples, at least 1 of them: librosa's count, 1 + n_samples / hop_length if
  // centred.
  Index n_frames(Index n_samples) const;
};

// Throws UsageError where the spec makes no sense at this rate (fmin above the Nyquist frequency).
FeaturePlan make_feature_plan(const FeatureSpec& spec, int sample_rate);

}  // namespace melgrad
