#pragma once
// What the speech set reads of a clip's spectra, frame by frame; values of contrast and shape as
// spectral_shape.hpp says.

#include "host/core/matrix.hpp"
#include "host/cpu/lane_fft.hpp"
#include "host/cpu/speech_track_kernels.hpp"
#include "host/features/feature_plan.hpp"
#include "host/features/spectral_shape.hpp"
#include "host/features/speech_trim.hpp"

namespace melgrad {

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
