#pragma once
// What a model's predictions under one protocol say.

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/engine/mlp.hpp"
#include "host/evaluation/metrics.hpp"

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
std::optional<ProtocolGap> protocol_gap(const std::vector<ProtocolResult>& results,
                                        const std::string& name = "mlp");

}  // namespace melgrad
