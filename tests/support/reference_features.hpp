#pragma once
// The definition of every feature in plain double-precision code, after librosa's source line by line: the
// oracle that engines are compared with where no golden file reaches. It shares no table and no formula with
// FeaturePlan.

#include <span>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad::testing {

struct ReferenceFeatures {
  std::vector<Matrix<double>> tracks;  // of each descriptor, [n_values, n_frames]
  std::vector<double> tunings;         // of each descriptor; 0 where it has none
  std::vector<double> row;             // [n_features]
};

// samples [n >= 1] with full scale 1, at the spec's rate.
ReferenceFeatures reference_features(const FeatureSpec& spec, int sample_rate,
                                     std::span<const double> samples);

// librosa.filters.mel(n_mels, fmin, fmax, htk), [n_mels, 1 + n_fft / 2]; fmax 0 is sample_rate / 2.
Matrix<double> reference_mel_bank(int sample_rate, int n_fft, int n_mels, double fmin, double fmax, bool htk);

// librosa.filters.chroma(n_chroma, tuning), [n_chroma, 1 + n_fft / 2]
Matrix<double> reference_chroma_bank(int sample_rate, int n_fft, int n_chroma, double tuning);

}  // namespace melgrad::testing
