#pragma once
// What the CPU feature extractor has compiled once per instruction set.

#include <cstddef>

#include "host/cpu/lane_fft.hpp"

namespace melgrad {

struct FeatureTables;
struct Workspace;
struct ClipTask;

struct FeatureKernels {
  int lanes;        // frames that are computed side by side
  int fft_columns;  // see make_lane_fft
  // |X|^2 [n_bins][lanes] of a tile's frames.
  void (*transform)(const LaneFft& fft, const void* tile, float* scratch, float* power);
  // 10 log10(max(amin, x)), n a multiple of lanes; within 1e-5 dB + 1.2e-7 of the value.
  void (*decibels)(const float* x, std::size_t n, float amin, float* db);
  // A clip's sums and statistics, or its tracks, in a workspace that is prepared for it.
  void (*extract_clip)(const FeatureTables& tables, Workspace& workspace, const ClipTask& task);
};

// Those of the present instruction set (simd.hpp).
FeatureKernels feature_kernels();

}  // namespace melgrad
