#pragma once
// In what order the lanes of a block go through the weights of mel and chroma banks.

#include <vector>

#include "host/features/feature_plan.hpp"
#include "kernels/feature_layout.hpp"

namespace melgrad::MELGRAD_KERNELS {

// Slices, groups and steps of all mel stages of a plan, as FeatureTables has them.
struct MelSchedule {
  std::vector<MelSlice> slices;
  std::vector<MelGroup> groups;
  std::vector<MelStep> steps;
  std::vector<float> norms;

  // Appends the bank, cut into slices that differ from `slice` in their places.
  void add(const MelBank& bank, const MelSlice& slice, StageShape shape);
};

// All chroma banks of a plan.
struct ChromaSchedule {
  std::vector<ChromaBank> banks;
  std::vector<ChromaTask> tasks;
  std::vector<float4> step_weights;
  std::vector<ChromaStep> steps;
  std::vector<float> wide;
  std::vector<int> entry_begin, entries;

  // Appends a bank [n_chroma, n_bins].
  void add(const Matrix<float>& bank, StageShape shape);
};

}  // namespace melgrad::MELGRAD_KERNELS
