#pragma once
// Everything about a FeatureSpec at one sample rate that does not depend on the clip: windows, filter banks
// and DCT tables, computed once, in double, and rounded once. Engines turn these tables into their own
// layouts. Formulas are those of librosa 0.10 and 0.11, which agree in all that is here.

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

// librosa.filters.mel(norm='slaney'): triangles between n_mels + 2 points that are evenly spaced in mel.
//   weight(m, k) = norm[m] * max(0, min((f_k - p[m]) / (p[m+1] - p[m]), (p[m+2] - f_k) / (p[m+2] - p[m+1])))
// with f_k = k * sample_rate / n_fft and norm[m] = 2 / (p[m+2] - p[m]).
struct MelBank {
  int n_mels = 0;
  std::vector<double> points;  // [n_mels + 2] Hz; those above the Nyquist frequency stay, as in librosa

  // By band: band m weighs bins first_bin[m] + i with weights[offset[m] + i], i in [0, offset[m + 1] -
  // offset[m]). A band without a bin (narrower than the bins' spacing, or above the Nyquist frequency) gives
  // 0, as in librosa.
  std::vector<int> first_bin;  // [n_mels]
  std::vector<int> offset;     // [n_mels + 1]
  std::vector<float> weights;  // [offset[n_mels]], all > 0, with norm

  // By bin, as two slopes: bins interval_begin[i] .. interval_begin[i + 1] lie in [p[i], p[i + 1]), i in
  // [0, n_mels]; such a bin k feeds band i (if i < n_mels) with norm[i] * rising[k] and band i - 1 (if i > 0)
  // with norm[i - 1] * falling[k]. Bins outside every interval have zero slopes.
  std::vector<int> interval_begin;  // [n_mels + 2]
  std::vector<float> rising;        // [n_bins], (f_k - p[i]) / (p[i + 1] - p[i])
  std::vector<float> falling;       // [n_bins], (p[i + 1] - f_k) / (p[i + 1] - p[i])
  std::vector<float> norm;          // [n_mels]

  int end_bin() const { return interval_begin.back(); }  // no bin from here on has a weight
};

// librosa.feature.chroma_stft(S = |STFT|): chroma_bank @ S, each frame divided by its maximum unless that is
// below the least normal float.
struct ChromaPlan {
  ChromaStft spec;
};

// librosa.feature.melspectrogram: bank @ |STFT|^power
struct MelPlan {
  MelSpectrogram spec;
  MelBank bank;
};

// librosa.feature.mfcc: dct @ max(d, max over the clip of d - top_db) with
// d = 10 log10(max(amin, bank @ |STFT|^2)) - ref_db
struct MfccPlan {
  Mfcc spec;
  MelBank bank;
  Matrix<float> dct;  // [n_mfcc, n_mels], DCT-II, ortho
  double ref_db = 0;  // 10 log10(max(amin, ref))
};

// librosa.feature.rms: sqrt(mean of x^2 over the n_fft samples x of a frame)
struct RmsPlan {};

// The values of descriptor i stand in a row at first_feature + functional * n_values + value. Functionals are
// taken over the clip's frames; std is that of the population, as numpy's.
struct DescriptorPlan {
  std::string name;
  Index n_values = 0;  // in a frame
  Index first_feature = 0;
  std::vector<Functional> functionals;
  std::variant<ChromaPlan, MelPlan, MfccPlan, RmsPlan> plan;
};

// librosa.estimate_tuning(S = |STFT|, bins_per_octave = n_chroma). Peaks: in each frame the bins k in
// [first_bin, end_bin) with S[k] > 0.1 max(S), S[k] > S[k-1], S[k] >= S[k+1]. With
//   a = S[k+1] + S[k-1] - 2 S[k],  b = (S[k+1] - S[k-1]) / 2,  shift = |b| < |a| ? -b / a : 0
// a peak's pitch is (k + shift) * hz_per_bin and its magnitude S[k] + b * shift / 2. Peaks of pitch > 0 whose
// magnitude is at least the median of all peaks' (mean of the middle two) vote with the residual
//   r = n_chroma * log2(pitch / 27.5) mod 1, less 1 if r >= 0.5
// in n_tunings bins between tuning_edges (numpy.histogram); the tuning is the left edge of the first fullest
// bin, and 0 if there are no peaks. On float32 audio librosa rounds S, shift, magnitude, pitch and r to
// float.
//
// Rounding decides some estimates: a frame of digital silence with a single non-zero sample has a flat
// spectrum, whose "peaks" (about 45 a frame at 48 kHz) are rounding noise and count in the median all the
// same. Of 1200 RAVDESS clips librosa in float32 and in float64 disagrees on 26, and on 70 where such spectra
// are rounded until they are exactly flat; in all other frames the peaks are the same.
struct TuningPlan {
  static constexpr double threshold = 0.1;
  static constexpr int n_tunings = 100;
  int first_bin = 0;  // the first bin at or above 150 Hz
  int end_bin = 0;    // the first bin at or above 4000 Hz or the Nyquist frequency
  // sample_rate / (2 (n_bins - 1)): librosa infers n_fft from the spectrogram, which is off by 1 if it is odd
  double hz_per_bin = 0;
};

// Edges of the tuning histogram: numpy.linspace(-0.5, 0.5, 101), to the bit (a table, because a compiler may
// fuse a multiplication and an addition at run time).
inline constexpr auto tuning_edges = [] {
  std::array<double, TuningPlan::n_tunings + 1> edges{};
  for (int i = 0; i < TuningPlan::n_tunings; ++i) edges[static_cast<std::size_t>(i)] = i * 0.01 + -0.5;
  edges.back() = 0.5;
  return edges;
}();

// Tables of the speech set. Frame t of a clip is its samples from t * hop_length on.
struct SpeechPlan {
  std::vector<SpeechGroup> groups;
  std::vector<Index> first_feature;  // [n_groups]
  std::vector<float> window;         // [n_fft], periodic Hann of win_length, then zeros
  MelBank mel;                       // 64 bands of 50 to 8000 Hz, on a power spectrum
  Matrix<float> dct;                 // [40, 64], DCT-II, ortho
};

struct FeaturePlan {
  FeatureSpec spec;
  int sample_rate = 0;  // Hz, of every waveform
  int n_bins = 0;       // 1 + n_fft / 2; bin k is k * sample_rate / n_fft Hz
  Index n_features = 0;
  std::vector<float> window;  // [n_fft], win_length values in the middle of zeros
  TuningPlan tuning;
  std::vector<DescriptorPlan> descriptors;
  std::optional<SpeechPlan> speech;  // the speech set; there are no descriptors then

  double hz_of_bin(int bin) const { return static_cast<double>(bin) * sample_rate / spec.stft.n_fft; }
  // Of a waveform of so many samples, at least 1 of them: librosa's count, 1 + n_samples / hop_length if
  // centred (and n_fft even). 0 if not centred and shorter than n_fft: such a clip has no features. Of
  // speech, frames of win_length, at least 1.
  Index n_frames(Index n_samples) const;
  // Sample under the first value of the window; below 0 in the padding at the begin of a centred clip.
  Index first_sample(Index frame) const {
    return frame * spec.stft.hop_length - (spec.stft.center ? spec.stft.n_fft / 2 : 0);
  }
};

// Where numpy.pad takes sample i of a waveform of n >= 1 samples from, for any i: an index in [0, n), or -1
// for a zero.
constexpr Index padded_sample(Index i, Index n, PadMode pad_mode) {
  if (i >= 0 && i < n) return i;
  if (pad_mode == PadMode::constant) return -1;
  if (pad_mode == PadMode::edge || n == 1) return i < 0 ? 0 : n - 1;
  const Index period = 2 * (n - 1);  // reflect: the ends are not repeated
  const Index j = ((i % period) + period) % period;
  return j < n ? j : period - j;
}

// Throws UsageError where the spec makes no sense at this rate (fmin above the Nyquist frequency).
FeaturePlan make_feature_plan(const FeatureSpec& spec, int sample_rate);

// librosa.filters.chroma(tuning=tuning, n_chroma=n_chroma), [n_chroma, n_bins], for a tuning in fractions of
// a chroma bin.
Matrix<float> chroma_bank(const FeaturePlan& plan, int n_chroma, double tuning);

}  // namespace melgrad
