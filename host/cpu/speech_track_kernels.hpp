#pragma once
// What the tracks of the speech set have compiled once per instruction set.

#include <cstddef>
#include <cstdint>

#include "host/core/matrix.hpp"
#include "host/cpu/aligned.hpp"
#include "host/cpu/lane_fft.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {

// Tracks [n_values, n_frames] whose rows have room for whole vectors.
class TrackRows {
 public:
  // Contents are lost; n_values * stride floats.
  void require(Index n_values, Index n_frames, Index lanes) {
    stride_ = (n_frames + lanes - 1) / lanes * lanes;
    n_values_ = n_values;
    n_frames_ = n_frames;
    values_.require(static_cast<std::size_t>(n_values * stride_));
  }
  float* row(Index value) const { return values_.data() + value * stride_; }
  Index stride() const { return stride_; }
  MatrixView<float> view() const { return {values_.data(), n_values_, n_frames_, stride_}; }

 private:
  Index n_values_ = 0, n_frames_ = 0, stride_ = 0;
  AlignedArray<float> values_;
};

// Memory of one worker for `lanes` frames side by side, [..][lanes] each.
struct TrackScratch {
  AlignedArray<std::int32_t> tile;
  AlignedArray<float> fft;
  AlignedArray<float> power, magnitude;  // [n_bins]
  AlignedArray<float> relative;  // [n_bins][2 lanes]: magnitude / total of the frames before, and of these
  AlignedArray<float> bands, coefficients;  // [64], [40]
};

// What is read of a clip, and where it goes.
struct TrackTask {
  const SpeechPlan* plan;
  const LaneFft* fft;    // of frames of 512 samples every 160, the window being 0 from 400 on
  const float* samples;  // of frame 0; readable up to 4 hops after `lanes` frames more than there are
  Index n_frames;
  TrackRows *mel, *log_mel, *mfcc, *contrast, *shape;
};

struct SpeechTrackKernels {
  int lanes;        // frames that are computed side by side
  int fft_columns;  // see make_lane_fft
  // All of a clip's tracks but zero_crossing_rate and rms_db of its shape.
  void (*analyse)(const TrackTask& task, TrackScratch& scratch);
  // The slope of the line through 9 values around each of n > 9, at the ends that of the first and last 9.
  void (*slopes)(const float* x, Index n, float* out);
  // Mean and standard deviation (of the population) of n values.
  void (*mean_and_std)(const float* x, Index n, float& mean, float& std);
  // Of each block of 80 samples the sum of squares, and the number of samples whose sign bit differs from the
  // sample's before; samples[-1] is readable.
  void (*sum_blocks)(const float* samples, Index n_blocks, float* squares, int* sign_changes);
  // int16 of full scale 32768.
  void (*to_float)(const std::int16_t* from, Index n, float* to);
};

// Those of the present instruction set (simd.hpp).
SpeechTrackKernels speech_track_kernels();

}  // namespace melgrad
