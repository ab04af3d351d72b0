#pragma once
// A FeaturePlan's tables in the layouts of the feature kernels, in device memory.

#include <cstddef>

#include "host/features/feature_plan.hpp"
#include "kernels/cuda_handles.hpp"
#include "kernels/feature_layout.hpp"

namespace melgrad::MELGRAD_KERNELS {

class DeviceFeatureTables {
 public:
  // is_fused: spectra come from transform_tile, else from device memory.
  DeviceFeatureTables(const FeaturePlan& plan, bool is_fused);

  // For features, and with per-frame values of every descriptor for tracks.
  const FeatureTables& tables(bool with_tracks) const { return with_tracks ? for_tracks_ : for_features_; }
  const float* window() const { return window_; }  // [n_fft], over 32768
  int frames_of_chunk() const { return frames_of_chunk_; }
  int n_track_rows() const { return n_track_rows_; }  // values of all descriptors in a frame

 private:
  FeatureTables for_features_{}, for_tracks_{};
  const float* window_ = nullptr;
  int frames_of_chunk_ = 0;
  int n_track_rows_ = 0;
  DeviceBuffer<std::byte> memory_;
};

}  // namespace melgrad::MELGRAD_KERNELS
