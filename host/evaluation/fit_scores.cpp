#include "host/evaluation/fit_scores.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "host/core/clock.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/evaluation/predict.hpp"
#include "host/evaluation/prediction_metrics.hpp"
#include "host/models/training_rows.hpp"

namespace melgrad {
namespace {

// Rows to predict, and what is right.
struct Examples {
  Matrix<float> features;  // [rows, n_features]
  std::vector<int> labels;
};

Examples examples_of(const Dataset& dataset, const std::vector<int>& rows) {
  Examples examples{Matrix<float>(static_cast<Index>(rows.size()), dataset.features.cols), {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::ranges::copy(dataset.features.row(rows[i]), examples.features.row(static_cast<Index>(i)).begin());
    examples.labels.push_back(dataset.labels[static_cast<std::size_t>(rows[i])]);
  }
  return examples;
}

// What the tasks of one split share.
struct PreparedSplit {
  const Split* split;
  FeatureScaling scaling;
  Examples test;
};

Metrics metrics_on(const Examples& examples, MlpStack& stack, int model, int n_classes) {
  Matrix<float> probabilities(examples.features.rows, n_classes);
  stack.predict_proba(model, examples.features.view(), probabilities.view());
  return metrics_of(examples.labels, most_probable(probabilities), n_classes);
}

FitScore score_model(const Dataset& dataset, const PreparedSplit& prepared, bool train_scores,
                     MlpStack& stack, int model, const FitTimes& times) {
  const double begin = wall_seconds();
  const MlpProgress& training = stack.progress(model);
  FitScore score{.n_iter = training.n_iter,
                 .stop_reason = training.stop_reason,
                 .loss = {},
                 .test_accuracy = {},
                 .test_balanced_accuracy = {},
                 .train_accuracy = {},
                 .train_balanced_accuracy = {},
                 .fit_seconds = times.wall_seconds,
                 .fit_cpu_seconds = times.cpu_seconds,
                 .score_seconds = 0};
  if (training.stop_reason == StopReason::not_finite) return score;
  score.loss = training.loss_curve.back();
  const Metrics test = metrics_on(prepared.test, stack, model, dataset.n_classes());
  score.test_accuracy = test.accuracy;
  score.test_balanced_accuracy = test.balanced_accuracy;
  if (train_scores) {
    const Metrics train =
        metrics_on(examples_of(dataset, prepared.split->train), stack, model, dataset.n_classes());
    score.train_accuracy = train.accuracy;
    score.train_balanced_accuracy = train.balanced_accuracy;
  }
  score.score_seconds = wall_seconds() - begin;
  return score;
}

}  // namespace

void score_fits(const Dataset& dataset, std::span<const FitTask> tasks, const ScoringOptions& options,
                Engine& engine, Progress& progress,
                const std::function<void(std::span<const ScoredTask>)>& keep) {
  std::map<const Split*, PreparedSplit> prepared;
  std::vector<std::unique_ptr<TrainingRows>> rows;  // of tasks with early_stopping: each holds out its own
  std::vector<MlpJob> jobs;
  for (const FitTask& task : tasks) {
    const std::vector<int>& train = task.split->train;
    const auto [known, is_first] = prepared.try_emplace(task.split);
    if (is_first)
      known->second = {task.split, fit_standard_scaler(dataset.features.view(), train),
                       examples_of(dataset, task.split->test)};
    MlpJob& job = jobs.emplace_back(MlpJob{task.spec, train, {}, &known->second.scaling});
    if (!task.spec.early_stopping) continue;
    rows.push_back(
        std::make_unique<TrainingRows>(training_rows(dataset, task.spec, train, task.split->name)));
    job.rows = rows.back()->training;
    job.validation_rows = rows.back()->validation;
  }
  const TrainingSet training_set{dataset.all_versions(), dataset.labels, dataset.n_classes(),
                                 dataset.n_copies};
  Trainer(engine, options.limits).train(training_set, jobs, progress, [&](const FinishedStack& stack) {
    std::vector<ScoredTask> scored;
    for (std::size_t i = 0; i < stack.jobs.size(); ++i)
      scored.push_back(
          {stack.jobs[i], score_model(dataset, prepared.at(tasks[stack.jobs[i]].split), options.train_scores,
                                      stack.models, static_cast<int>(i), stack.times[i])});
    keep(scored);
  });
}

}  // namespace melgrad
