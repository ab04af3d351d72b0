#pragma once
// The questions that an evaluation asks: how well are unheard clips recognised, unheard speakers, and own
// recordings?

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "host/core/progress.hpp"
#include "host/data/splits.hpp"
#include "host/engine/engine.hpp"
#include "host/evaluation/metrics.hpp"
#include "host/models/model_file.hpp"

namespace melgrad {

enum class Protocol {
  random,   // stratified random splits: other clips of the same speakers are in the training set
  speaker,  // folds of unheard speakers
  own,      // trained on the whole data set, tested on the user's own recordings
  given     // the split that the manifest gives
};
template <>
inline constexpr auto enum_names<Protocol> = std::array{"random", "speaker", "own", "given"};

struct EvaluationOptions {
  int n_splits = 5;  // the standard error of the mean is known to a third of itself, at the price of 5 fits
  double test_fraction = 0.2;
  int n_folds = 0;
  std::int64_t random_state = 0;

  static constexpr auto fields() {
    return std::tuple{field("n_splits", &EvaluationOptions::n_splits, "random splits; 0: none", 0, 1000),
                      field("test_fraction", &EvaluationOptions::test_fraction,
                            "share of clips tested in a random split", 0.001, 0.999),
                      field("n_folds", &EvaluationOptions::n_folds,
                            "folds of unheard speakers; 0: from their number", 0, 10000),
                      field("random_state", &EvaluationOptions::random_state, "seed of the splits", 0, 9e15)};
  }
  bool operator==(const EvaluationOptions&) const = default;
};

struct Prediction {
  std::string path;
  int truth = 0;                    // index into the result's labels
  int predicted = 0;                // the most probable
  double probability = 0;           // of the predicted label
  double probability_of_truth = 0;  // of the right label
  int split = 0;                    // index into the result's splits
  bool operator==(const Prediction&) const = default;
};

struct SplitResult {
  std::string name;
  Index n_train = 0;
  Index n_left_out = 0;
  Metrics metrics;
  MlpProgress training;
  double fit_seconds = 0;
  double predict_seconds = 0;
  bool operator==(const SplitResult&) const = default;
};

// One model under one protocol.
struct ProtocolResult {
  std::string name = "mlp";
  Protocol protocol = Protocol::random;
  std::string why_not;  // not empty: the data does not allow this protocol, and nothing below is set
  std::vector<std::string> notes;  // for the reader: what was left out, and why
  std::vector<std::string> labels;
  Matrix<Index> confusion;  // [n_classes, n_classes], of the test rows of all splits together
  Metrics metrics;          // of that matrix
  Spread accuracy;          // over the splits, as are the next
  Spread balanced_accuracy;
  Spread macro_f1;
  std::vector<SplitResult> splits;
  std::vector<Prediction> predictions;  // split by split
  std::vector<Refusal> refused;         // clips that could not be tested: their label is unknown to the model
  std::vector<Refusal> left_out;        // clips that were not tested: they are in the training set
  double fit_seconds = 0;               // of all splits
  double predict_seconds = 0;
  bool operator==(const ProtocolResult&) const = default;
};

struct Evaluation {
  std::vector<ProtocolResult>
      results;             // random, speaker, given (if the manifest gives one), own (if asked for)
  Classifier classifier;   // trained on the whole data set
  MlpProgress training;    // of the classifier
  double fit_seconds = 0;  // of the classifier
};

// Every model of every protocol is trained in one call of Trainer::fit. The model of split i is seeded with
// spec.random_state + i, the classifier with spec.random_state. `own` may be null; it must have the same
// features.
Evaluation evaluate_protocols(const Dataset& dataset, const Dataset* own, const MlpSpec& spec, Engine& engine,
                              const EvaluationOptions& options, Progress& progress);

// A model trained on the whole data set and nothing else.
struct TrainedClassifier {
  Classifier classifier;
  MlpProgress training;
  double fit_seconds = 0;
};
TrainedClassifier train_classifier(const Dataset& dataset, const MlpSpec& spec, Engine& engine,
                                   Progress& progress);

// A finished model tested on recordings (protocol `own`). Its labels are the model's; clips whose label the
// model does not know are refused by name; clips whose audio hash is in the model's provenance were trained
// on and are left out.
ProtocolResult test_classifier(const Classifier& classifier, const Dataset& recordings, Engine& engine);

// Accuracy of `random` minus accuracy of `speaker` in percentage points, where both were possible.
std::optional<double> protocol_gap(const std::vector<ProtocolResult>& results);

}  // namespace melgrad
