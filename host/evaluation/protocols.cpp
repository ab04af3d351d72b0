#include "host/evaluation/protocols.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "host/core/clock.hpp"
#include "host/core/date.hpp"
#include "host/core/error.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/evaluation/predict.hpp"
#include "host/models/training_rows.hpp"

namespace melgrad {
namespace {

std::string clips(std::size_t n) {
  return n == 1 ? "1 clip" : fmt::format("{} clips", n);
}

// Jobs over one data set, with everything that they point to.
class JobList {
 public:
  explicit JobList(const Dataset& dataset) : dataset_(dataset) {}

  // A model of `rows`, standardised over all of them, as a scikit-learn pipeline does, those held out for
  // early_stopping included.
  void add(const MlpSpec& spec, const std::vector<int>& rows, std::string_view name) {
    jobs_.push_back({spec, training_rows(dataset_, spec, rows, name),
                     fit_standard_scaler(dataset_.features.view(), rows)});
  }

  std::vector<FittedMlp> fit(Engine& engine, Progress& progress) const {
    std::vector<MlpJob> jobs;
    for (const Job& job : jobs_)
      jobs.push_back({job.spec, job.rows.training, job.rows.validation, &job.scaling});
    const TrainingSet training_set{dataset_.features.view(), dataset_.labels, dataset_.n_classes()};
    return Trainer(engine).fit(training_set, jobs, progress);
  }

  const MlpSpec& spec(std::size_t job) const { return jobs_[job].spec; }
  Classifier classifier(std::size_t job, const FittedMlp& fitted) const {
    return {jobs_[job].spec, fitted.parameters, jobs_[job].scaling, dataset_.spec, dataset_.label_names, {}};
  }

 private:
  struct Job {
    MlpSpec spec;
    TrainingRows rows;
    FeatureScaling scaling;
  };
  const Dataset& dataset_;
  std::vector<Job> jobs_;
};

Matrix<float> rows_of(const Matrix<float>& features, const std::vector<int>& rows) {
  Matrix<float> taken(static_cast<Index>(rows.size()), features.cols);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::ranges::copy(features.row(rows[i]), taken.row(static_cast<Index>(i)).begin());
  return taken;
}

double squared_error(std::span<const float> probabilities, int truth) {
  double sum = 0;
  for (std::size_t label = 0; label < probabilities.size(); ++label)
    sum += std::pow(probabilities[label] - (static_cast<int>(label) == truth ? 1.0 : 0.0), 2);
  return sum;
}

// Predicts rows of the recordings, whose labels in the classifier's words are `truth`, and adds what comes
// out to the result as one more split.
void test_split(const Classifier& classifier, const Dataset& recordings, const std::vector<int>& rows,
                const std::vector<int>& truth, Engine& engine, SplitResult split, ProtocolResult& result) {
  const Matrix<float> features = rows_of(recordings.features, rows);
  const double wall_begin = wall_seconds(), cpu_begin = process_cpu_seconds();
  const Matrix<float> probabilities = predict_proba(engine, classifier, features.view());
  split.times.predict_seconds = wall_seconds() - wall_begin;
  split.times.predict_cpu_seconds = process_cpu_seconds() - cpu_begin;
  const std::vector<int> predicted = most_probable(probabilities);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<Index>(i);
    result.predictions.push_back({.path = recordings.clips[static_cast<std::size_t>(rows[i])].path,
                                  .truth = truth[i],
                                  .predicted = predicted[i],
                                  .probability = probabilities(row, predicted[i]),
                                  .probability_of_truth = probabilities(row, truth[i]),
                                  .squared_error = squared_error(probabilities.row(row), truth[i]),
                                  .split = static_cast<int>(result.splits.size())});
  }
  result.splits.push_back(std::move(split));
}

struct PlannedProtocol {
  Protocol protocol;
  SplitPlan plan;
};

std::vector<PlannedProtocol> plan_protocols(const Dataset& dataset, const EvaluationOptions& options) {
  std::vector<PlannedProtocol> planned;
  if (options.n_splits > 0)
    planned.push_back({Protocol::random, random_splits(dataset, options.n_splits, options.test_fraction,
                                                       options.random_state)});
  planned.push_back({Protocol::speaker, speaker_folds(dataset, options.n_folds, options.random_state)});
  if (std::ranges::any_of(dataset.clips, [](const Clip& clip) { return !clip.split.empty(); }))
    planned.push_back({Protocol::given, given_split(dataset)});
  return planned;
}

// `first_job` is the job of the plan's first split.
ProtocolResult test_protocol(const PlannedProtocol& planned, const Dataset& dataset, const JobList& jobs,
                             std::span<const FittedMlp> fitted, std::size_t first_job, Engine& engine) {
  ProtocolResult result;
  result.protocol = planned.protocol;
  result.why_not = planned.plan.why_not;
  result.notes = planned.plan.notes;
  result.labels = dataset.label_names;
  for (std::size_t i = 0; i < planned.plan.splits.size(); ++i) {
    const Split& split = planned.plan.splits[i];
    const FittedMlp& model = fitted[first_job + i];
    if (model.progress.stop_reason == StopReason::not_finite) {
      result.notes.push_back(
          fmt::format("left out: the training of '{}' stopped after {} epochs, because its "
                      "loss was no longer finite",
                      split.name, model.progress.n_iter));
      continue;
    }
    std::vector<int> truth;
    for (const int row : split.test) truth.push_back(dataset.labels[static_cast<std::size_t>(row)]);
    SplitResult split_result{
        .name = split.name,
        .n_train = static_cast<Index>(split.train.size()),
        .n_left_out = static_cast<Index>(split.left_out.size()),
        .metrics = {},
        .parameters = to_json_fields(jobs.spec(first_job + i)),
        .training = model.progress,
        .times = {.fit_seconds = model.times.wall_seconds, .fit_cpu_seconds = model.times.cpu_seconds}};
    test_split(jobs.classifier(first_job + i, model), dataset, split.test, truth, engine,
               std::move(split_result), result);
  }
  if (result.splits.empty() && result.why_not.empty())
    result.why_not = "the loss of every model became infinite or NaN in training";
  pool_predictions(result);
  return result;
}

Json provenance_of(const Dataset& dataset, const FittedMlp& model, const Engine& engine) {
  std::map<std::string, Index> label_counts;
  for (const int label : dataset.labels) ++label_counts[dataset.label_names[static_cast<std::size_t>(label)]];
  Json provenance;
  provenance["melgrad"] = MELGRAD_VERSION;
  provenance["date"] = utc_date();
  provenance["device"] = std::string(engine.name());
  provenance["n_clips"] = dataset.n_rows();
  provenance["label_counts"] = label_counts;
  provenance["groups"] = dataset.group_names;
  provenance["n_iter"] = model.progress.n_iter;
  provenance["stop_reason"] = std::string(to_name(model.progress.stop_reason));
  provenance["loss"] = model.progress.loss_curve.empty() ? Json() : Json(model.progress.loss_curve.back());
  provenance["audio_hash"] = dataset.audio_hash;
  return provenance;
}

// The model of the last job: the one of the whole data set.
TrainedClassifier finished(const Dataset& dataset, const JobList& jobs, std::span<const FittedMlp> fitted,
                           const Engine& engine) {
  const FittedMlp& model = fitted.back();
  if (model.progress.stop_reason == StopReason::not_finite)
    fail(
        "training on the whole data set: the loss is no longer finite after {} epochs "
        "(learning_rate_init {} may be too large)",
        model.progress.n_iter, jobs.classifier(fitted.size() - 1, model).spec.learning_rate_init);
  TrainedClassifier trained{jobs.classifier(fitted.size() - 1, model), model.progress, model.times};
  trained.classifier.provenance = provenance_of(dataset, model, engine);
  return trained;
}

std::vector<int> every_row(const Dataset& dataset) {
  std::vector<int> rows(static_cast<std::size_t>(dataset.n_rows()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

std::set<std::string> trained_audio(const Classifier& classifier) {
  if (!classifier.provenance.contains("audio_hash")) return {};
  return classifier.provenance["audio_hash"].get<std::set<std::string>>();
}

}  // namespace

Evaluation evaluate_protocols(const Dataset& dataset, const Dataset* own, const MlpSpec& spec, Engine& engine,
                              const EvaluationOptions& options, Progress& progress) {
  const auto planned = plan_protocols(dataset, options);
  JobList jobs(dataset);
  for (const auto& [protocol, plan] : planned) {
    for (std::size_t i = 0; i < plan.splits.size(); ++i) {
      MlpSpec seeded = spec;
      seeded.random_state += static_cast<std::int64_t>(i);
      jobs.add(seeded, plan.splits[i].train, plan.splits[i].name);
    }
  }
  jobs.add(spec, every_row(dataset), "the whole data set");
  const std::vector<FittedMlp> fitted = jobs.fit(engine, progress);

  Evaluation evaluation{finished(dataset, jobs, fitted, engine), {}};
  std::size_t first_job = 0;
  for (const PlannedProtocol& each : planned) {
    evaluation.results.push_back(test_protocol(each, dataset, jobs, fitted, first_job, engine));
    first_job += each.plan.splits.size();
  }
  if (own != nullptr) {
    ProtocolResult result = test_classifier(evaluation.classifier, *own, engine);
    for (SplitResult& split : result.splits) {
      split.training = evaluation.training;
      split.parameters = to_json_fields(spec);
      split.times.fit_seconds = evaluation.times.wall_seconds;
      split.times.fit_cpu_seconds = evaluation.times.cpu_seconds;
    }
    pool_predictions(result);
    evaluation.results.push_back(std::move(result));
  }
  return evaluation;
}

TrainedClassifier train_classifier(const Dataset& dataset, const MlpSpec& spec, Engine& engine,
                                   Progress& progress) {
  JobList jobs(dataset);
  jobs.add(spec, every_row(dataset), "the whole data set");
  return finished(dataset, jobs, jobs.fit(engine, progress), engine);
}

ProtocolResult test_classifier(const Classifier& classifier, const Dataset& recordings, Engine& engine) {
  if (!(classifier.features == recordings.spec))
    fail("the model's features are not those of the recordings: {}",
         difference(classifier.features, recordings.spec));
  ProtocolResult result;
  result.protocol = Protocol::own;
  result.labels = classifier.labels;

  const std::set<std::string> trained = trained_audio(classifier);
  std::set<std::string> unknown, tested;
  std::vector<int> rows, truth;
  for (const int row : every_row(recordings)) {
    const auto i = static_cast<std::size_t>(row);
    const Clip& clip = recordings.clips[i];
    const auto label = std::ranges::find(classifier.labels, clip.label);
    if (label == classifier.labels.end()) {
      unknown.insert(clip.label);
      result.refused.push_back(
          {clip.path, fmt::format("the model does not know the label '{}'", clip.label)});
    } else if (trained.contains(recordings.audio_hash[static_cast<std::size_t>(recordings.audio[i])])) {
      result.left_out.push_back({clip.path, "the model was trained on the same audio"});
    } else {
      rows.push_back(row);
      truth.push_back(static_cast<int>(label - classifier.labels.begin()));
      tested.insert(clip.label);
    }
  }
  if (!unknown.empty())
    result.notes.push_back(fmt::format("{} refused: the model does not know {}", clips(result.refused.size()),
                                       fmt::join(unknown, ", ")));
  if (!result.left_out.empty())
    result.notes.push_back(
        fmt::format("{} left out: the model was trained on the same audio", clips(result.left_out.size())));
  if (rows.empty()) {
    result.why_not = result.left_out.empty()
                         ? "no recording has a label that the model knows"
                         : "the model was trained on every recording whose label it knows";
    return result;
  }
  std::vector<std::string> missing;
  std::ranges::copy_if(classifier.labels, std::back_inserter(missing),
                       [&](const std::string& label) { return !tested.contains(label); });
  if (!missing.empty()) result.notes.push_back(fmt::format("no recordings of: {}", fmt::join(missing, ", ")));

  SplitResult split;
  split.name = "own";
  split.n_train = classifier.provenance.value("n_clips", Index{0});
  split.n_left_out = static_cast<Index>(result.left_out.size());
  test_split(classifier, recordings, rows, truth, engine, std::move(split), result);
  pool_predictions(result);
  return result;
}

}  // namespace melgrad
