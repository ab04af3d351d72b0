#include "host/evaluation/metrics.hpp"

#include <cassert>
#include <cmath>

#include "host/evaluation/prediction_metrics.hpp"

namespace melgrad {
namespace {

double ratio(Index numerator, Index denominator) {
  return denominator == 0 ? 0.0 : static_cast<double>(numerator) / static_cast<double>(denominator);
}

// What the metrics follow from.
struct ClassCounts {
  Index right = 0;
  Index support = 0;
  Index n_predicted = 0;
};

Metrics metrics_of(std::span<const ClassCounts> counts) {
  Metrics metrics;
  Index n_right = 0, n_seen = 0, n_true = 0;
  double recall = 0;
  for (const auto& [right, support, n_predicted] : counts) {
    const ClassMetrics each{.precision = ratio(right, n_predicted),
                            .recall = ratio(right, support),
                            .f1 = ratio(2 * right, support + n_predicted),
                            .support = support,
                            .n_predicted = n_predicted};
    metrics.n_test += each.support;
    n_right += right;
    n_true += each.support > 0;
    n_seen += each.support > 0 || each.n_predicted > 0;
    recall += each.recall;
    metrics.macro_precision += each.precision;
    metrics.macro_f1 += each.f1;
    metrics.per_class.push_back(each);
  }
  metrics.accuracy = ratio(n_right, metrics.n_test);
  if (n_true > 0) {
    metrics.balanced_accuracy = recall / static_cast<double>(n_true);
    metrics.macro_recall = recall / static_cast<double>(n_seen);
    metrics.macro_precision /= static_cast<double>(n_seen);
    metrics.macro_f1 /= static_cast<double>(n_seen);
  }
  return metrics;
}

}  // namespace

Matrix<Index> confusion_matrix(std::span<const int> truth, std::span<const int> predicted, int n_classes) {
  assert(truth.size() == predicted.size());
  Matrix<Index> counts(n_classes, n_classes);
  for (std::size_t i = 0; i < truth.size(); ++i) ++counts(truth[i], predicted[i]);
  return counts;
}

Metrics metrics_of(const Matrix<Index>& confusion) {
  std::vector<ClassCounts> counts(static_cast<std::size_t>(confusion.rows));
  for (Index label = 0; label < confusion.rows; ++label) {
    ClassCounts& each = counts[static_cast<std::size_t>(label)];
    each.right = confusion(label, label);
    for (Index other = 0; other < confusion.rows; ++other) {
      each.support += confusion(label, other);
      each.n_predicted += confusion(other, label);
    }
  }
  return metrics_of(counts);
}

Metrics metrics_of(std::span<const int> truth, std::span<const int> predicted, int n_classes,
                   std::span<const int> times) {
  assert(truth.size() == predicted.size() && (times.empty() || times.size() == truth.size()));
  std::vector<ClassCounts> counts(static_cast<std::size_t>(n_classes));
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const int n = times.empty() ? 1 : times[i];
    counts[static_cast<std::size_t>(truth[i])].support += n;
    counts[static_cast<std::size_t>(predicted[i])].n_predicted += n;
    if (truth[i] == predicted[i]) counts[static_cast<std::size_t>(truth[i])].right += n;
  }
  return metrics_of(counts);
}

Matrix<double> normalise_rows(const Matrix<Index>& confusion) {
  Matrix<double> shares(confusion.rows, confusion.cols);
  for (Index row = 0; row < confusion.rows; ++row) {
    Index sum = 0;
    for (const Index count : confusion.row(row)) sum += count;
    for (Index col = 0; col < confusion.cols; ++col) shares(row, col) = ratio(confusion(row, col), sum);
  }
  return shares;
}

Spread spread_of(std::span<const double> values) {
  Spread spread;
  if (values.empty()) return spread;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) spread.mean += value;
  spread.mean /= n;
  if (values.size() == 1) return spread;
  double sum_of_squares = 0;
  for (const double value : values) sum_of_squares += (value - spread.mean) * (value - spread.mean);
  spread.std = std::sqrt(sum_of_squares / (n - 1));
  spread.standard_error = spread.std / std::sqrt(n);
  return spread;
}

}  // namespace melgrad
