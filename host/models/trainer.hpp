#pragma once
// Trains many MLPs: groups jobs of one architecture into stacks, and each stack is trained side by side.

#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "host/core/progress.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

// How many models a stack has. A model's result does not depend on it.
struct StackLimits {
  // The parameters of a model and of its optimiser take four floats a weight: a stack has as many models as
  // fit into this, and one at least.
  Index bytes = Index{1} << 30;
  // A stack is to take about that long, so that finished work comes in often: its size follows from the pace
  // of the stacks before it, but it has enough models to keep every core busy.
  double seconds = std::numeric_limits<double>::infinity();
};

// What the training of one model took: its stack's seconds, divided among the stack's models by epochs.
struct FitTimes {
  double wall_seconds = 0;
  double cpu_seconds = 0;  // of all threads of this process
};

// Models that have stopped, each by its own rules. Valid during the call that it is given to.
struct FinishedStack {
  std::span<const std::size_t> jobs;  // [n_models], index of each model's job
  MlpStack& models;
  std::span<const FitTimes> times;  // [n_models]
};

struct FittedMlp {
  MlpParameters parameters;
  MlpProgress progress;
  FitTimes times;
};

class Trainer {
 public:
  explicit Trainer(Engine& engine, const StackLimits& limits = {}) : engine_(engine), limits_(limits) {}

  // Every job is in one of the stacks that `take` is given, one after the other. `progress` is told of
  // finished models within a stage that the caller begins and ends. Throws Interrupted, and drops the running
  // stack, where `progress` asks to stop. A stack that the engine's memory does not hold is halved, with a
  // warning, until single models are refused.
  void train(const TrainingSet& training_set, std::span<const MlpJob> jobs, Progress& progress,
             const std::function<void(const FinishedStack&)>& take);

  // [n_jobs], in the order of the jobs; the same whatever the stacks. Stage "training" of `progress`.
  std::vector<FittedMlp> fit(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                             Progress& progress);

 private:
  Engine& engine_;
  StackLimits limits_;
};

}  // namespace melgrad
