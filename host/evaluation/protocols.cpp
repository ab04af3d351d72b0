#include "host/evaluation/protocols.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "host/core/clock.hpp"
#include "host/core/date.hpp"
#include "host/core/error.hpp"
#include "host/data/speaker_normalisation.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/evaluation/inner_folds.hpp"
#include "host/evaluation/predict.hpp"
#include "host/evaluation/protocol_plan.hpp"
#include "host/evaluation/test_predictions.hpp"
#include "host/models/training_rows.hpp"

namespace melgrad {
namespace {

constexpr const char* ensemble_name = "mlp_ensemble";

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
    const TrainingSet training_set{dataset_.all_versions(), dataset_.labels, dataset_.n_classes(),
                                   dataset_.n_copies};
    return Trainer(engine).fit(training_set, jobs, progress);
  }

  const MlpSpec& spec(std::size_t job) const { return jobs_[job].spec; }
  std::size_t size() const { return jobs_.size(); }
  // The jobs that there are, once more for each further member of an ensemble.
  void repeat_for_members(int n_members) {
    const std::vector<Job> first = jobs_;
    for (int member = 1; member < n_members; ++member) {
      for (Job job : first) {
        job.spec.random_state += member * seeds_between_members;
        jobs_.push_back(std::move(job));
      }
    }
  }

  // Of the networks of one job, one from each member.
  Classifier classifier(std::size_t job, const std::vector<const FittedMlp*>& members) const {
    Classifier made;
    made.spec = jobs_[job].spec;
    made.parameters = members.front()->parameters;
    for (std::size_t i = 1; i < members.size(); ++i) made.further_members.push_back(members[i]->parameters);
    made.is_speaker_normalised = dataset_.is_speaker_normalised;
    made.scaling = jobs_[job].scaling;
    made.features = dataset_.spec;
    made.labels = dataset_.label_names;
    return made;
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

// Networks of several seeds, trained on the same jobs: member by member, job by job.
struct FittedMembers {
  std::span<const FittedMlp> fitted;
  std::size_t n_jobs;  // of a member

  // Of one job, those of the first n_members.
  std::vector<const FittedMlp*> of_job(std::size_t job, std::size_t n_members) const {
    std::vector<const FittedMlp*> members;
    for (std::size_t member = 0; member < n_members; ++member)
      members.push_back(&fitted[member * n_jobs + job]);
    return members;
  }
  std::size_t n_members() const { return fitted.size() / n_jobs; }
};

// One of them whose training broke down; null where none did.
const FittedMlp* diverged(const std::vector<const FittedMlp*>& members) {
  const auto bad = std::ranges::find_if(
      members, [](const FittedMlp* each) { return each->progress.stop_reason == StopReason::not_finite; });
  return bad == members.end() ? nullptr : *bad;
}

FitTimes sum_of_times(const std::vector<const FittedMlp*>& members) {
  FitTimes sum;
  for (const FittedMlp* each : members) {
    sum.wall_seconds += each->times.wall_seconds;
    sum.cpu_seconds += each->times.cpu_seconds;
  }
  return sum;
}

// Rows of the recordings and of their copies, originals first.
Matrix<float> versions_of(const Dataset& recordings, const std::vector<int>& rows, int n_copies) {
  const MatrixView<const float> versions = recordings.all_versions();
  Matrix<float> taken((1 + n_copies) * static_cast<Index>(rows.size()), versions.cols);
  Index to = 0;
  for (int version = 0; version <= n_copies; ++version)
    for (const int row : rows)
      std::ranges::copy(versions.row(row + version * recordings.n_rows()), taken.row(to++).begin());
  return taken;
}

Matrix<float> predict_rows(const Classifier& classifier, const Dataset& recordings,
                           const std::vector<int>& rows, bool tta, Engine& engine) {
  const int n_copies = tta ? recordings.n_copies : 0;
  return predict_proba_with_copies(engine, classifier, versions_of(recordings, rows, n_copies).view(),
                                   n_copies);
}

// What a reader has to know of how the recordings were asked about.
void add_notes(const Dataset& recordings, bool tta, ProtocolResult& result) {
  if (recordings.is_speaker_normalised) result.notes.emplace_back(speaker_normalisation_note);
  if (tta)
    result.notes.push_back(fmt::format(
        "test-time copies: probabilities are averaged over each clip (twice) and {} altered copies",
        recordings.n_copies));
}

// Predicts rows of the recordings, whose labels in the classifier's words are `truth`, and adds what comes
// out to the result as one more split.
void test_split(const Classifier& classifier, const Dataset& recordings, const std::vector<int>& rows,
                const std::vector<int>& truth, bool tta, Engine& engine, SplitResult split,
                ProtocolResult& result) {
  const double wall_begin = wall_seconds(), cpu_begin = process_cpu_seconds();
  const Matrix<float> probabilities = predict_rows(classifier, recordings, rows, tta, engine);
  split.times.predict_seconds = wall_seconds() - wall_begin;
  split.times.predict_cpu_seconds = process_cpu_seconds() - cpu_begin;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<Index>(i);
    result.predictions.push_back(prediction_of(recordings.clips[static_cast<std::size_t>(rows[i])].path,
                                               truth[i], probabilities.row(row)));
    result.predictions.back().split = static_cast<int>(result.splits.size());
  }
  result.splits.push_back(std::move(split));
}

// Which options the network of each job has.
struct NetworkChoice {
  const MlpSpec& spec;  // where there are no candidates
  std::span<const Candidate> candidates;
  std::vector<ChosenCandidate> chosen;  // [n_jobs], or empty

  const MlpSpec& spec_of(std::size_t job) const {
    return chosen.empty() ? spec : candidates[chosen[job].candidate].spec;
  }
  FitTimes times_of(std::size_t job) const { return chosen.empty() ? FitTimes{} : chosen[job].times; }
};

void add_times(const FitTimes& search, const FitTimes& fit, ModelTimes& times) {
  times.search_seconds = search.wall_seconds;
  times.search_cpu_seconds = search.cpu_seconds;
  times.fit_seconds = fit.wall_seconds;
  times.fit_cpu_seconds = fit.cpu_seconds;
}

// `first_job` is the job of the plan's first split. The model of the first n_members: a network or an
// ensemble.
ProtocolResult test_protocol(const PlannedProtocol& planned, const Dataset& dataset, const JobList& jobs,
                             const NetworkChoice& choice, const FittedMembers& fitted, std::size_t n_members,
                             std::size_t first_job, bool tta, Engine& engine) {
  ProtocolResult result;
  if (n_members > 1) result.name = ensemble_name;
  result.protocol = planned.protocol;
  result.why_not = planned.plan.why_not;
  result.notes = planned.plan.notes;
  add_notes(dataset, tta, result);
  result.labels = dataset.label_names;
  result.grid = values_of(choice.candidates);
  for (std::size_t i = 0; i < planned.plan.splits.size(); ++i) {
    const Split& split = planned.plan.splits[i];
    const auto members = fitted.of_job(first_job + i, n_members);
    if (const FittedMlp* bad = diverged(members)) {
      result.notes.push_back(
          fmt::format("left out: the training of '{}' stopped after {} epochs, because its "
                      "loss was no longer finite",
                      split.name, bad->progress.n_iter));
      continue;
    }
    std::vector<int> truth;
    for (const int row : split.test) truth.push_back(dataset.labels[static_cast<std::size_t>(row)]);
    SplitResult split_result{.name = split.name,
                             .n_train = static_cast<Index>(split.train.size()),
                             .n_left_out = static_cast<Index>(split.left_out.size()),
                             .metrics = {},
                             .parameters = to_json_fields(jobs.spec(first_job + i)),
                             .training = members.front()->progress,
                             .times = {}};
    add_times(choice.times_of(first_job + i), sum_of_times(members), split_result.times);
    test_split(jobs.classifier(first_job + i, members), dataset, split.test, truth, tta, engine,
               std::move(split_result), result);
  }
  if (result.splits.empty() && result.why_not.empty())
    result.why_not = "the loss of every model became infinite or NaN in training";
  pool_predictions(result);
  return result;
}

Json provenance_of(const Dataset& dataset, const MlpProgress& training, std::size_t n_members,
                   const Engine& engine) {
  std::map<std::string, Index> label_counts;
  for (const int label : dataset.labels) ++label_counts[dataset.label_names[static_cast<std::size_t>(label)]];
  Json provenance;
  provenance["melgrad"] = MELGRAD_VERSION;
  provenance["date"] = utc_date();
  provenance["device"] = std::string(engine.name());
  provenance["n_clips"] = dataset.n_rows();
  provenance["label_counts"] = label_counts;
  provenance["groups"] = dataset.group_names;
  provenance["n_copies"] = dataset.n_copies;
  provenance["n_members"] = n_members;
  provenance["n_iter"] = training.n_iter;
  provenance["stop_reason"] = std::string(to_name(training.stop_reason));
  provenance["loss"] = training.loss_curve.empty() ? Json() : Json(training.loss_curve.back());
  provenance["audio_hash"] = dataset.audio_hash;
  return provenance;
}

// The model of a member's last job, the one of the whole data set: of the first n_members.
TrainedClassifier finished(const Dataset& dataset, const JobList& jobs, const FittedMembers& fitted,
                           std::size_t n_members, const Engine& engine) {
  const auto members = fitted.of_job(fitted.n_jobs - 1, n_members);
  TrainedClassifier trained{jobs.classifier(fitted.n_jobs - 1, members), members.front()->progress,
                            sum_of_times(members)};
  if (const FittedMlp* bad = diverged(members))
    fail(
        "training on the whole data set: the loss is no longer finite after {} epochs "
        "(learning_rate_init {} may be too large)",
        bad->progress.n_iter, trained.classifier.spec.learning_rate_init);
  trained.classifier.provenance = provenance_of(dataset, trained.training, n_members, engine);
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
                              const EvaluationOptions& options, Progress& progress,
                              std::span<const Candidate> candidates) {
  const auto planned = plan_protocols(dataset, options);
  std::vector<TrainingPart> parts;
  for (const auto& [protocol, plan] : planned)
    for (std::size_t i = 0; i < plan.splits.size(); ++i)
      parts.push_back({.name = plan.splits[i].name,
                       .rows = plan.splits[i].train,
                       .grouped = protocol != Protocol::random,
                       .random_state = static_cast<std::int64_t>(i)});
  parts.push_back({.name = "the whole data set", .rows = every_row(dataset), .grouped = true});
  NetworkChoice choice{spec, candidates, {}};
  if (!candidates.empty()) choice.chosen = choose_candidates(dataset, parts, candidates, engine, progress);

  JobList jobs(dataset);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    MlpSpec seeded = choice.spec_of(i);
    seeded.random_state += parts[i].random_state;
    jobs.add(seeded, parts[i].rows, parts[i].name);
  }
  const std::size_t n_jobs = jobs.size();
  jobs.repeat_for_members(options.ensemble);
  const std::vector<FittedMlp> networks = jobs.fit(engine, progress);
  const FittedMembers fitted{networks, n_jobs};
  const std::size_t n_members = fitted.n_members();

  Evaluation evaluation{finished(dataset, jobs, fitted, n_members, engine), {}};
  for (const std::size_t n :
       n_members > 1 ? std::vector{n_members, std::size_t{1}} : std::vector{n_members}) {
    std::size_t first_job = 0;
    for (const PlannedProtocol& each : planned) {
      evaluation.results.push_back(
          test_protocol(each, dataset, jobs, choice, fitted, n, first_job, options.tta, engine));
      first_job += each.plan.splits.size();
    }
    if (own == nullptr) continue;
    const TrainedClassifier model = finished(dataset, jobs, fitted, n, engine);
    ProtocolResult result = test_classifier(model.classifier, *own, engine, options.tta);
    result.grid = values_of(candidates);
    for (SplitResult& split : result.splits) {
      split.training = model.training;
      split.parameters = to_json_fields(model.classifier.spec);
      add_times(choice.times_of(n_jobs - 1), model.times, split.times);
    }
    pool_predictions(result);
    evaluation.results.push_back(std::move(result));
  }
  return evaluation;
}

TrainedClassifier train_classifier(const Dataset& dataset, const MlpSpec& spec, Engine& engine,
                                   Progress& progress, int ensemble) {
  JobList jobs(dataset);
  jobs.add(spec, every_row(dataset), "the whole data set");
  jobs.repeat_for_members(ensemble);
  const std::vector<FittedMlp> networks = jobs.fit(engine, progress);
  return finished(dataset, jobs, {networks, 1}, networks.size(), engine);
}

ProtocolResult test_classifier(const Classifier& classifier, const Dataset& recordings, Engine& engine,
                               bool tta) {
  if (classifier.is_speaker_normalised != recordings.is_speaker_normalised)
    fail("the model is of {}speaker-normalised features, the recordings' are {}",
         classifier.is_speaker_normalised ? "" : "not ", recordings.is_speaker_normalised ? "so" : "not");
  if (!(classifier.features == recordings.spec))
    fail("the model's features are not those of the recordings: {}",
         difference(classifier.features, recordings.spec));
  ProtocolResult result;
  result.protocol = Protocol::own;
  if (!classifier.further_members.empty()) result.name = ensemble_name;
  add_notes(recordings, tta, result);
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
  test_split(classifier, recordings, rows, truth, tta, engine, std::move(split), result);
  pool_predictions(result);
  return result;
}

}  // namespace melgrad
