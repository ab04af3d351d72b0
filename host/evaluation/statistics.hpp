#pragma once
// What predictions tell beyond their scores: how sure the scores are, for whom they hold, whether the
// probabilities can be believed, and what a split leaks.

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "host/core/fields.hpp"
#include "host/core/matrix.hpp"

namespace melgrad {

struct Interval {
  double low = 0;
  double high = 1;

  static constexpr auto fields() {
    return std::tuple{field("low", &Interval::low, ""), field("high", &Interval::high, "")};
  }
  bool operator==(const Interval&) const = default;
};

// Bounds of the share that n_right of n clips tell of, at 95 % confidence (Wilson, 1927).
Interval wilson_interval(Index n_right, Index n);

// 95 % percentile intervals of a bootstrap that draws whole units with replacement: what of the data would be
// drawn anew, were the test done again. All predictions of a unit come along.
struct BootstrapIntervals {
  std::string unit;   // "group": the speakers; "clip": each with its predictions of all splits
  Index n_units = 0;  // an interval of few units is too narrow
  int n_resamples = 0;
  Interval accuracy;
  Interval balanced_accuracy;
  Interval macro_f1;
  bool operator==(const BootstrapIntervals&) const = default;
};

// The test clips of one group, or those with one value of an attribute.
struct Subgroup {
  std::string attribute;  // "group", "sex", "intensity" ..
  std::string value;
  Index n_test = 0;
  double accuracy = 0;
  Interval interval;  // of the accuracy: Wilson's
  bool operator==(const Subgroup&) const = default;
};

// Predictions whose probability of the predicted label is in (low, high].
struct ReliabilityBin {
  double low = 0;
  double high = 0;
  Index n_test = 0;
  double mean_probability = 0;  // 0 where there are none, as the next
  double accuracy = 0;

  static constexpr auto fields() {
    return std::tuple{field("low", &ReliabilityBin::low, ""), field("high", &ReliabilityBin::high, ""),
                      field("n_test", &ReliabilityBin::n_test, "predictions in this bin"),
                      field("mean_probability", &ReliabilityBin::mean_probability, "of the predicted label"),
                      field("accuracy", &ReliabilityBin::accuracy, "")};
  }
  bool operator==(const ReliabilityBin&) const = default;
};

struct Calibration {
  std::vector<ReliabilityBin> bins;
  // Mean |accuracy - mean_probability| of the bins, weighed by their predictions (Naeini et al., AAAI 2015).
  double expected_calibration_error = 0;
  // Mean over predictions of the sum over labels of (probability - truth)^2, in [0, 2] (Brier, 1950).
  double brier_score = 0;
  bool operator==(const Calibration&) const = default;
};

// How much of the accuracy is due to training clips that are nearly the test clip: "siblings".
struct SiblingLeak {
  std::string siblings;  // what makes two clips siblings: "same group, label and statement"
  Index n_with = 0;      // predictions of clips with a sibling in their split's training set
  Index n_without = 0;
  std::optional<double> accuracy_with;  // null where there are none
  std::optional<double> accuracy_without;

  static constexpr auto fields() {
    return std::tuple{
        field("siblings", &SiblingLeak::siblings, "what makes two clips siblings"),
        field("n_with", &SiblingLeak::n_with, "predictions of clips with a sibling in training"),
        field("n_without", &SiblingLeak::n_without, "predictions of clips without"),
        field("accuracy_with", &SiblingLeak::accuracy_with, ""),
        field("accuracy_without", &SiblingLeak::accuracy_without, "")};
  }
  bool operator==(const SiblingLeak&) const = default;
};

// Clips of one label that were taken for another.
struct ConfusedPair {
  int truth = 0;
  int predicted = 0;
  Index count = 0;                 // predictions
  double share = 0;                // of the predictions of clips of `truth`
  std::vector<std::string> paths;  // each clip once, those first that the model was surest of
  bool operator==(const ConfusedPair&) const = default;
};

struct PredictionStatistics {
  BootstrapIntervals intervals;
  std::vector<Subgroup> subgroups;  // of each group, and of each value of what the clips' names say
  Calibration calibration;
  std::optional<SiblingLeak> leak;           // of random and given splits, where the clips name a group
  std::vector<ConfusedPair> confused_pairs;  // the largest shares first
  bool operator==(const PredictionStatistics&) const = default;
};

// Do two models that were tested on the same clips differ? McNemar's test (1947), as statsmodels' mcnemar.
// Each clip counts once: with the first split that tests it.
struct ModelComparison {
  std::string protocol;
  std::string first;  // names of the models
  std::string second;
  Index n_test = 0;
  Index only_first_right = 0;
  Index only_second_right = 0;
  std::string method;  // "exact": binomial, below 25 disagreements; "chi2": with continuity correction
  double statistic = 0;
  double p_value = 1;
  double adjusted_p_value = 1;  // Holm's (1979), over the protocol's pairs of models
  // Accuracy of the first minus that of the second, of all predictions, with the paired bootstrap's 95 %
  // interval over the units of BootstrapIntervals.
  double difference = 0;
  Interval interval;
  bool operator==(const ModelComparison&) const = default;
};

// How far the mean of the recordings lies from the training set's, feature by feature.
struct FeatureDrift {
  std::string column;        // "mfcc_0_mean"
  double shift = 0;          // (mean of the recordings - mean of training) / std of training
  double spread = 0;         // std of the recordings / std of training
  double typical_shift = 0;  // median |shift| of the training set's own groups; 0 where none are known

  static constexpr auto fields() {
    return std::tuple{field("column", &FeatureDrift::column, ""),
                      field("shift", &FeatureDrift::shift, "of the mean, in standard deviations of training"),
                      field("spread", &FeatureDrift::spread, "standard deviation, in those of training"),
                      field("typical_shift", &FeatureDrift::typical_shift,
                            "median of |shift| over the training set's own groups")};
  }
  bool operator==(const FeatureDrift&) const = default;
};

struct Drift {
  Index n_recordings = 0;
  double mean_shift = 0;               // mean |shift| of all features
  double typical_mean_shift = 0;       // median of the same over the training set's own groups; 0: unknown
  double share_beyond_one = 0;         // of the features whose |shift| is above 1
  std::vector<FeatureDrift> features;  // those that moved most, the farthest first
  bool operator==(const Drift&) const = default;
};

}  // namespace melgrad
