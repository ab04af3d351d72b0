#pragma once
// How good predictions are, in scikit-learn's words and with its meaning (sklearn.metrics, zero_division=0).

#include <span>
#include <tuple>
#include <vector>

#include "host/core/fields.hpp"
#include "host/core/matrix.hpp"

namespace melgrad {

// precision_recall_fscore_support of one class; 0 where a ratio is 0 / 0.
struct ClassMetrics {
  double precision = 0;  // true positives / n_predicted
  double recall = 0;     // true positives / support
  double f1 = 0;         // 2 * true positives / (support + n_predicted)
  Index support = 0;     // rows of this class
  Index n_predicted = 0;

  static constexpr auto fields() {
    return std::tuple{field("precision", &ClassMetrics::precision, "true positives / n_predicted"),
                      field("recall", &ClassMetrics::recall, "true positives / support"),
                      field("f1", &ClassMetrics::f1, "harmonic mean of precision and recall"),
                      field("support", &ClassMetrics::support, "test clips of this class"),
                      field("n_predicted", &ClassMetrics::n_predicted, "test clips taken for this class")};
  }
  bool operator==(const ClassMetrics&) const = default;
};

// Classes that are neither in the truth nor predicted count in no average, as in scikit-learn where labels
// are not given. Classes that are predicted and not in the truth count 0 in the macro averages, and do not
// count in balanced_accuracy, as in balanced_accuracy_score.
struct Metrics {
  Index n_test = 0;
  double accuracy = 0;
  double balanced_accuracy = 0;  // unweighted average recall (UAR)
  double macro_precision = 0;
  double macro_recall = 0;
  double macro_f1 = 0;
  std::vector<ClassMetrics> per_class;  // [n_classes]
  bool operator==(const Metrics&) const = default;
};

// counts(t, p) of rows whose class is t and whose prediction is p. [n_classes, n_classes]
Matrix<Index> confusion_matrix(std::span<const int> truth, std::span<const int> predicted, int n_classes);

Metrics metrics_of(const Matrix<Index>& confusion);

// Each row divided by its sum; rows of no clips stay 0: confusion_matrix(normalize='true').
Matrix<double> normalise_rows(const Matrix<Index>& confusion);

// Of one number over several splits.
struct Spread {
  double mean = 0;
  double std = 0;             // sample standard deviation (n - 1); 0 for one split
  double standard_error = 0;  // std / sqrt(n)

  static constexpr auto fields() {
    return std::tuple{field("mean", &Spread::mean, "over the splits"),
                      field("std", &Spread::std, "sample standard deviation over the splits"),
                      field("standard_error", &Spread::standard_error, "std / sqrt(number of splits)")};
  }
  bool operator==(const Spread&) const = default;
};
Spread spread_of(std::span<const double> values);

}  // namespace melgrad
