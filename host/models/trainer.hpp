#pragma once
// Trains many MLPs: groups jobs of one architecture into stacks, and each stack is trained side by side.

#include <span>
#include <vector>

#include "host/core/progress.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

struct FittedMlp {
  MlpParameters parameters;
  MlpProgress progress;
  double fit_seconds = 0;  // wall clock of its stack, divided among the stack's models by epochs
};

// The parameters of a model and of its optimiser take four floats a weight: a stack has as many models as fit
// into this, and one at least.
inline constexpr Index default_stack_bytes = Index{1} << 30;

class Trainer {
 public:
  explicit Trainer(Engine& engine, Index stack_bytes = default_stack_bytes)
      : engine_(engine), stack_bytes_(stack_bytes) {}

  // [n_jobs], in the order of the jobs; the same whatever the stacks. Stage "training" of `progress` counts
  // finished models.
  std::vector<FittedMlp> fit(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                             Progress& progress);

 private:
  Engine& engine_;
  Index stack_bytes_;
};

}  // namespace melgrad
