#pragma once
// What the speech set reads of a clip's spectra, frame by frame.

#include <array>

#include "host/core/matrix.hpp"
#include "host/cpu/lane_fft.hpp"
#include "host/cpu/speech_track_kernels.hpp"
#include "host/cpu/speech_trim.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {

// The values of SpeechTracks::shape, of magnitudes m[k] at f[k] Hz with total = sum m + 1e-9:
enum class SpectralShape {
  centroid,    // Hz, sum f m / total
  bandwidth,   // Hz, sqrt(sum (f - centroid)^2 m / total)
  rolloff_25,  // Hz of the first bin up to which 25 % of sum m lie
  rolloff_50,
  rolloff_85,
  rolloff_95,
  flatness,            // mean of log(max(m^2, 1e-10)) less log(mean of m^2 + 1e-10)
  zero_crossing_rate,  // of the unwindowed frame
  rms_db,              // of the unwindowed frame
  flux,                // |m / total - that of the frame before|, 0 in the first
  alpha_ratio,         // dB of sum m^2 + 1e-9 below 1 kHz over that of 1 to 5 kHz
  hammarberg_index,    // dB below 500 Hz over 2 kHz and more, likewise
  slope                // of the log mel bands, dB per band
};
inline constexpr Index n_shapes = 13;

// Edges in Hz of the bands of SpeechTracks::contrast: dB of the mean of a band's greatest 2 % of magnitudes
// (at least one) over that of its least, each at least 1e-5.
inline constexpr std::array contrast_edges{0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 8001.0};
inline constexpr Index n_contrasts = 6;

// What all workers share.
struct SpeechTables {
  FeaturePlan plan;
  SpeechTrackKernels kernels;
  LaneFft fft;  // of a frame

  explicit SpeechTables(const FeaturePlan& plan);
};

// One clip after another; keeps its memory.
class SpeechTracks {
 public:
  TrackRows mel, log_mel, mfcc, contrast, shape;
  TrackRows mfcc_slopes, mfcc_curvatures, shape_slopes;  // delta of mfcc, delta of that, delta of shape

  // Of a clip of n_samples >= 400 that begins with first_block. Behind it samples are readable for
  // samples_behind(tables).
  void compute(const SpeechTables& tables, const SampleBlocks& blocks, Index first_block, Index n_samples);
  static Index samples_behind(const SpeechTables& tables);

 private:
  TrackScratch scratch_;
};

// statistics [2 * n_values]: the mean of each track, then the standard deviation of each (of the population).
void put_mean_and_std(const SpeechTrackKernels& kernels, const TrackRows& tracks, float* statistics);

}  // namespace melgrad
