#pragma once
// What a model's predictions under one protocol say.

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/core/json.hpp"
#include "host/engine/mlp.hpp"
#include "host/evaluation/metrics.hpp"
#include "host/evaluation/statistics.hpp"

namespace melgrad {

enum class Protocol {
  random,   // stratified random splits: other clips of the same speakers are in the training set
  speaker,  // folds of unheard speakers
  own,      // trained on the whole data set, tested on the user's own recordings
  given     // the split that the manifest gives
};
template <>
inline constexpr auto enum_names<Protocol> = std::array{"random", "speaker", "own", "given"};

struct Prediction {
  std::string path;
  int truth = 0;                    // index into the result's labels
  int predicted = 0;                // the most probable
  double probability = 0;           // of the predicted label
  double probability_of_truth = 0;  // of the right label
  double squared_error = 0;         // sum over labels of (probability - truth)^2
  bool has_sibling = false;         // a training clip is nearly this one: see SiblingLeak
  int split = 0;                    // index into the result's splits
  bool operator==(const Prediction&) const = default;
};

// Wall clock, and processor time of all threads.
struct ModelTimes {
  double search_seconds = 0;  // choosing hyper-parameters inside the training rows
  double search_cpu_seconds = 0;
  double fit_seconds = 0;  // the training of the model that was tested
  double fit_cpu_seconds = 0;
  double predict_seconds = 0;
  double predict_cpu_seconds = 0;

  static constexpr auto fields() {
    return std::tuple{field("search_seconds", &ModelTimes::search_seconds, "choosing hyper-parameters"),
                      field("search_cpu_seconds", &ModelTimes::search_cpu_seconds, ""),
                      field("fit_seconds", &ModelTimes::fit_seconds, "training the model that was tested"),
                      field("fit_cpu_seconds", &ModelTimes::fit_cpu_seconds, ""),
                      field("predict_seconds", &ModelTimes::predict_seconds, ""),
                      field("predict_cpu_seconds", &ModelTimes::predict_cpu_seconds, "")};
  }
  ModelTimes& operator+=(const ModelTimes& other);
  bool operator==(const ModelTimes&) const = default;
};

struct SplitResult {
  std::string name;
  Index n_train = 0;
  Index n_left_out = 0;
  Metrics metrics;
  Json parameters = Json::object();  // the hyper-parameters of this split's model
  MlpProgress training;              // of a network; else n_iter is 0
  ModelTimes times;
  bool operator==(const SplitResult&) const = default;
};

// One model under one protocol.
struct ProtocolResult {
  std::string name = "mlp";  // "mlp", "mlp_ensemble", "svm", "random_forest", "knn"
  Protocol protocol = Protocol::random;
  std::string why_not;  // not empty: the data does not allow this protocol, and nothing below is set
  std::vector<std::string> notes;  // for the reader: what was left out, and why
  std::vector<std::string> labels;
  Json grid = Json::object();  // values that were tried for each hyper-parameter; empty: nothing was searched
  Matrix<Index> confusion;     // [n_classes, n_classes], of the test rows of all splits together
  Metrics metrics;             // of that matrix
  Spread accuracy;             // over the splits, as are the next
  Spread balanced_accuracy;
  Spread macro_f1;
  std::vector<SplitResult> splits;
  std::vector<Prediction> predictions;  // split by split
  std::vector<Refusal> refused;         // clips that could not be tested: their label is unknown to the model
  std::vector<Refusal> left_out;        // clips that were not tested: they are in the training set
  ModelTimes times;                     // of all splits
  PredictionStatistics statistics;      // not set where there are no predictions
  bool operator==(const ProtocolResult&) const = default;
};

// Computes everything that follows from the predictions: the metrics of each split, the confusion matrix and
// the metrics of all together, the spreads, and the sums of the splits' times.
void pool_predictions(ProtocolResult& result);

// The numbers of `random` minus those of `speaker`, in percentage points.
struct ProtocolGap {
  double accuracy = 0;
  double balanced_accuracy = 0;
  double macro_f1 = 0;

  static constexpr auto fields() {
    return std::tuple{field("accuracy", &ProtocolGap::accuracy, "percentage points"),
                      field("balanced_accuracy", &ProtocolGap::balanced_accuracy, "percentage points"),
                      field("macro_f1", &ProtocolGap::macro_f1, "percentage points")};
  }
  bool operator==(const ProtocolGap&) const = default;
};
// Where the model of that name has results of both protocols.
std::optional<ProtocolGap> protocol_gap(const std::vector<ProtocolResult>& results, const std::string& name);

// The names of the models, each once, in the order of the results.
std::vector<std::string> model_names(const std::vector<ProtocolResult>& results);

// The model's result of that protocol; null where there is none, or the data does not allow it.
const ProtocolResult* find_result(const std::vector<ProtocolResult>& results, const std::string& name,
                                  Protocol protocol);

}  // namespace melgrad
