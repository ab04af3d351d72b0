#pragma once
// Trains many MLPs: groups jobs of one architecture into stacks, and each stack is one engine call.

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

class Trainer {
 public:
  explicit Trainer(Engine& engine) : engine_(engine) {}
  // [n_jobs], in the order of the jobs.
  std::vector<FittedMlp> fit(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                             Progress& progress);

 private:
  Engine& engine_;
};

}  // namespace melgrad
