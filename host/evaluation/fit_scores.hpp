#pragma once
// Many models, each trained on one side of a split and tested on the other: what searches and curves are made
// of.

#include <functional>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "host/core/progress.hpp"
#include "host/data/splits.hpp"
#include "host/engine/engine.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {

// What one fit is worth. A model whose loss became infinite or NaN has no scores.
struct FitScore {
  int n_iter = 0;
  StopReason stop_reason = StopReason::running;
  std::optional<double> loss;  // of the last epoch
  std::optional<double> test_accuracy;
  std::optional<double> test_balanced_accuracy;
  std::optional<double> train_accuracy;  // these two where they were asked for
  std::optional<double> train_balanced_accuracy;
  double fit_seconds = 0;      // wall clock: its share of its stack's
  double fit_cpu_seconds = 0;  // of all threads
  double score_seconds = 0;    // wall clock

  static constexpr auto fields() {
    return std::tuple{field("n_iter", &FitScore::n_iter, "epochs"),
                      field("stop_reason", &FitScore::stop_reason, "why training stopped"),
                      field("loss", &FitScore::loss, "of the last epoch"),
                      field("test_accuracy", &FitScore::test_accuracy, ""),
                      field("test_balanced_accuracy", &FitScore::test_balanced_accuracy, ""),
                      field("train_accuracy", &FitScore::train_accuracy, ""),
                      field("train_balanced_accuracy", &FitScore::train_balanced_accuracy, ""),
                      field("fit_seconds", &FitScore::fit_seconds, "wall clock"),
                      field("fit_cpu_seconds", &FitScore::fit_cpu_seconds, "of all threads"),
                      field("score_seconds", &FitScore::score_seconds, "wall clock")};
  }
  bool operator==(const FitScore&) const = default;
};

struct FitTask {
  MlpSpec spec;
  const Split* split = nullptr;
};

struct ScoredTask {
  std::size_t task;
  FitScore score;
};

struct ScoringOptions {
  bool train_scores = false;
  StackLimits limits = {.seconds = 5};
};

// Trains each task on its split's training rows, standardised over them alone, and tests it on the test rows.
// Finished tasks go to `keep`, a stack at a time. `progress` is told of them within a stage that the caller
// begins and ends; throws Interrupted where it asks to stop.
void score_fits(const Dataset& dataset, std::span<const FitTask> tasks, const ScoringOptions& options,
                Engine& engine, Progress& progress,
                const std::function<void(std::span<const ScoredTask>)>& keep);

}  // namespace melgrad
