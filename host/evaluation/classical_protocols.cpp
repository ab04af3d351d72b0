#include "host/evaluation/classical_protocols.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>

#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/data/speaker_normalisation.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/evaluation/inner_folds.hpp"
#include "host/evaluation/protocol_plan.hpp"
#include "host/evaluation/test_predictions.hpp"
#include "host/models/classical.hpp"

namespace melgrad {
namespace {

// A machine for each pair of labels, and kernel matrices of all training rows; counts of all labels at each
// cut that a tree tries.
constexpr int most_labels = 1000;
constexpr Index most_svm_rows = 20'000;

// Why such a model is not tried on such data; empty where it is.
std::string why_not_tried(ModelKind kind, const Dataset& dataset) {
  if (kind == ModelKind::knn) return {};
  if (dataset.n_classes() > most_labels)
    return fmt::format("it is not tried on more than {} labels, and here are {}", most_labels,
                       dataset.n_classes());
  if (kind == ModelKind::svm && dataset.n_rows() > most_svm_rows)
    return fmt::format("it is not tried on more than {} clips, and here are {}", most_svm_rows,
                       dataset.n_rows());
  return {};
}

// One model to train and to test: a split's, or that of the whole data set.
struct Job {
  TrainingPart train;
  MatrixView<const float> tested_features;  // rows of which are tested
  std::vector<int> test;
};

// Rows, standardised.
Matrix<float> scaled_rows(MatrixView<const float> features, std::span<const int> rows,
                          const FeatureScaling& scaling) {
  Matrix<float> scaled(static_cast<Index>(rows.size()), features.cols);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto from = features.row(rows[i]);
    const auto to = scaled.row(static_cast<Index>(i));
    for (std::size_t f = 0; f < from.size(); ++f) to[f] = (from[f] - scaling.mean[f]) / scaling.scale[f];
  }
  return scaled;
}

ClassicalOutcome run_job(const Dataset& dataset, const Job& job, ModelKind kind, Engine& engine) {
  const FeatureScaling scaling = fit_standard_scaler(dataset.features.view(), job.train.rows);
  const Matrix<float> train = scaled_rows(dataset.features.view(), job.train.rows, scaling);
  const Matrix<float> test = scaled_rows(job.tested_features, job.test, scaling);
  std::vector<int> labels;
  for (const int row : job.train.rows) labels.push_back(dataset.labels[static_cast<std::size_t>(row)]);
  std::vector<std::vector<int>> folds;  // in rows of `train`
  for (const Split& fold : inner_folds(dataset, job.train)) folds.push_back(fold.test);
  const ClassicalTask task{.train = train.view(),
                           .labels = labels,
                           .test = test.view(),
                           .folds = folds,
                           .n_classes = dataset.n_classes(),
                           .random_state = job.train.random_state};
  return with_context(fmt::format("{} of '{}'", to_name(kind), job.train.name), [&] {
    if (kind == ModelKind::svm) return run_svm(task);
    if (kind == ModelKind::random_forest) return run_random_forest(task);
    return run_knn(task, engine);
  });
}

// [n_jobs]
std::vector<ClassicalOutcome> run_jobs(const Dataset& dataset, const std::vector<Job>& jobs, ModelKind kind,
                                       Engine& engine, int n_threads, Progress& progress) {
  std::vector<ClassicalOutcome> outcomes(jobs.size());
  progress.begin(to_name(kind), static_cast<Index>(jobs.size()));
  // Nearest neighbours use the engine, which takes one call at a time and has threads of its own.
  const int n_at_once = kind == ModelKind::knn ? 1 : resolve_threads(n_threads);
  std::mutex one_at_a_time;  // progress is told by one thread at a time
  Index n_done = 0;
  parallel_for(static_cast<Index>(jobs.size()), n_at_once, [&](Index job, int) {
    {
      const std::scoped_lock lock(one_at_a_time);
      progress.stop_if_asked();
    }
    const auto i = static_cast<std::size_t>(job);
    outcomes[i] = run_job(dataset, jobs[i], kind, engine);
    const std::scoped_lock lock(one_at_a_time);
    progress.update(++n_done, "");
  });
  progress.end();
  return outcomes;
}

Json grid_of(ModelKind kind, Index n_features) {
  if (kind == ModelKind::svm) return svm_grid(n_features);
  return kind == ModelKind::random_forest ? random_forest_grid() : knn_grid();
}

ModelTimes times_of(const ClassicalOutcome& outcome) {
  return {.search_seconds = outcome.search.wall_seconds,
          .search_cpu_seconds = outcome.search.cpu_seconds,
          .fit_seconds = outcome.fit.wall_seconds,
          .fit_cpu_seconds = outcome.fit.cpu_seconds,
          .predict_seconds = outcome.predict.wall_seconds,
          .predict_cpu_seconds = outcome.predict.cpu_seconds};
}

// Adds a tested split. truth [n_test]
void add_split(SplitResult split, const ClassicalOutcome& outcome, const Dataset& tested,
               const std::vector<int>& rows, const std::vector<int>& truth, ProtocolResult& result) {
  split.parameters = outcome.parameters;
  split.times = times_of(outcome);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    result.predictions.push_back(prediction_of(tested.clips[static_cast<std::size_t>(rows[i])].path, truth[i],
                                               outcome.probabilities.row(static_cast<Index>(i))));
    result.predictions.back().split = static_cast<int>(result.splits.size());
  }
  result.splits.push_back(std::move(split));
}

ProtocolResult result_of(const PlannedProtocol& planned, const Dataset& dataset, ModelKind kind,
                         std::span<const ClassicalOutcome> outcomes) {
  ProtocolResult result;
  result.name = std::string(to_name(kind));
  result.protocol = planned.protocol;
  result.why_not = planned.plan.why_not;
  result.notes = planned.plan.notes;
  if (dataset.is_speaker_normalised) result.notes.emplace_back(speaker_normalisation_note);
  result.labels = dataset.label_names;
  result.grid = grid_of(kind, dataset.features.cols);
  for (std::size_t i = 0; i < planned.plan.splits.size(); ++i) {
    const Split& split = planned.plan.splits[i];
    std::vector<int> truth;
    for (const int row : split.test) truth.push_back(dataset.labels[static_cast<std::size_t>(row)]);
    SplitResult split_result;
    split_result.name = split.name;
    split_result.n_train = static_cast<Index>(split.train.size());
    split_result.n_left_out = static_cast<Index>(split.left_out.size());
    add_split(std::move(split_result), outcomes[i], dataset, split.test, truth, result);
  }
  pool_predictions(result);
  return result;
}

// The own recordings that a network was tested on, by their rows.
std::vector<int> rows_of(const ProtocolResult& own_result, const Dataset& own) {
  std::map<std::string, int> rows;
  for (std::size_t row = 0; row < own.clips.size(); ++row)
    rows.emplace(own.clips[row].path, static_cast<int>(row));
  std::vector<int> tested;
  for (const Prediction& each : own_result.predictions) tested.push_back(rows.at(each.path));
  return tested;
}

ProtocolResult own_result_of(const ProtocolResult& network, const Dataset& dataset, const Dataset& own,
                             const std::vector<int>& rows, ModelKind kind, const ClassicalOutcome& outcome) {
  ProtocolResult result;
  result.name = std::string(to_name(kind));
  result.protocol = Protocol::own;
  result.why_not = network.why_not;
  result.notes = network.notes;
  // These models are not asked about copies.
  std::erase_if(result.notes, [](const std::string& note) { return note.starts_with("test-time copies"); });
  result.labels = network.labels;
  result.grid = grid_of(kind, dataset.features.cols);
  result.refused = network.refused;
  result.left_out = network.left_out;
  if (!result.why_not.empty()) return result;
  std::vector<int> truth;
  for (const Prediction& each : network.predictions) truth.push_back(each.truth);
  SplitResult split;
  split.name = network.splits.front().name;
  split.n_train = network.splits.front().n_train;
  split.n_left_out = network.splits.front().n_left_out;
  add_split(std::move(split), outcome, own, rows, truth, result);
  pool_predictions(result);
  return result;
}

}  // namespace

std::vector<ProtocolResult> evaluate_classical(const Dataset& dataset, const Dataset* own,
                                               const ProtocolResult* own_result, const ModelChoice& choice,
                                               const EvaluationOptions& options, Engine& engine,
                                               int n_threads, Progress& progress) {
  const std::vector<PlannedProtocol> planned = plan_protocols(dataset, options);
  std::vector<Job> jobs;
  for (const auto& [protocol, plan] : planned)
    for (std::size_t i = 0; i < plan.splits.size(); ++i)
      jobs.push_back({.train = {.name = plan.splits[i].name,
                                .rows = plan.splits[i].train,
                                .grouped = protocol != Protocol::random,
                                .random_state = options.random_state + static_cast<std::int64_t>(i)},
                      .tested_features = dataset.features.view(),
                      .test = plan.splits[i].test});
  std::vector<int> own_rows;
  if (own != nullptr && own_result != nullptr) own_rows = rows_of(*own_result, *own);
  if (!own_rows.empty()) {
    std::vector<int> every_row(dataset.clips.size());
    std::iota(every_row.begin(), every_row.end(), 0);
    jobs.push_back({.train = {.name = "the whole data set",
                              .rows = std::move(every_row),
                              .grouped = true,
                              .random_state = options.random_state},
                    .tested_features = own->features.view(),
                    .test = own_rows});
  }

  std::vector<ProtocolResult> results;
  for (const ModelKind kind : {ModelKind::svm, ModelKind::random_forest, ModelKind::knn}) {
    if (std::ranges::find(choice.models, kind) == choice.models.end()) continue;
    if (const std::string why_not = why_not_tried(kind, dataset); !why_not.empty()) {
      std::vector<Protocol> protocols;
      for (const PlannedProtocol& each : planned) protocols.push_back(each.protocol);
      if (own != nullptr && own_result != nullptr) protocols.push_back(Protocol::own);
      for (const Protocol protocol : protocols)
        results.push_back(
            result_of({protocol, {.splits = {}, .why_not = why_not, .notes = {}}}, dataset, kind, {}));
      continue;
    }
    const std::vector<ClassicalOutcome> outcomes = run_jobs(dataset, jobs, kind, engine, n_threads, progress);
    std::size_t first = 0;
    for (const PlannedProtocol& each : planned) {
      results.push_back(result_of(each, dataset, kind, std::span(outcomes).subspan(first)));
      first += each.plan.splits.size();
    }
    if (own != nullptr && own_result != nullptr)
      results.push_back(own_result_of(*own_result, dataset, *own, own_rows, kind,
                                      own_rows.empty() ? ClassicalOutcome{} : outcomes.back()));
  }
  return results;
}

}  // namespace melgrad
