#include "host/evaluation/bootstrap.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "host/core/philox.hpp"
#include "host/evaluation/prediction_metrics.hpp"

namespace melgrad {
namespace {

// Calls body(times) for each resample; times [n_units]: how often each unit was drawn.
template <class Body>
void for_each_resample(int n_units, std::int64_t random_state, int n_resamples, Body&& body) {
  std::vector<int> times(static_cast<std::size_t>(n_units));
  for (int resample = 0; resample < n_resamples; ++resample) {
    PhiloxSequence random(static_cast<std::uint64_t>(random_state), RandomStream::bootstrap,
                          static_cast<std::uint32_t>(resample));
    std::ranges::fill(times, 0);
    for (int draw = 0; draw < n_units; ++draw)
      ++times[random.next_below(static_cast<std::uint32_t>(n_units))];
    body(times);
  }
}

Interval percentiles(std::vector<double>& values) {
  return {quantile(values, 0.025), quantile(values, 0.975)};
}

}  // namespace

double quantile(std::vector<double>& values, double q) {
  assert(!values.empty());
  std::ranges::sort(values);
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - std::floor(place)) * (values[above] - values[below]);
}

BootstrapIntervals bootstrap_intervals(const UnitPredictions& predictions, std::int64_t random_state,
                                       int n_resamples) {
  std::vector<double> accuracy, balanced_accuracy, macro_f1;
  // Not by confusion matrices: of 10 000 classes one has 800 MB.
  std::vector<int> of_row(predictions.truth.size());
  for_each_resample(predictions.n_units, random_state, n_resamples, [&](const std::vector<int>& times) {
    for (std::size_t i = 0; i < of_row.size(); ++i)
      of_row[i] = times[static_cast<std::size_t>(predictions.unit[i])];
    const Metrics metrics =
        metrics_of(predictions.truth, predictions.predicted, predictions.n_classes, of_row);
    accuracy.push_back(metrics.accuracy);
    balanced_accuracy.push_back(metrics.balanced_accuracy);
    macro_f1.push_back(metrics.macro_f1);
  });
  return {.unit = {},
          .n_units = predictions.n_units,
          .n_resamples = n_resamples,
          .accuracy = percentiles(accuracy),
          .balanced_accuracy = percentiles(balanced_accuracy),
          .macro_f1 = percentiles(macro_f1)};
}

Interval bootstrap_mean(std::span<const int> values, std::span<const int> unit, int n_units,
                        std::int64_t random_state, int n_resamples) {
  std::vector<Index> sums(static_cast<std::size_t>(n_units)), counts(sums.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[static_cast<std::size_t>(unit[i])] += values[i];
    ++counts[static_cast<std::size_t>(unit[i])];
  }
  std::vector<double> means;
  for_each_resample(n_units, random_state, n_resamples, [&](const std::vector<int>& times) {
    Index sum = 0, count = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
      sum += times[i] * sums[i];
      count += times[i] * counts[i];
    }
    means.push_back(static_cast<double>(sum) / static_cast<double>(count));
  });
  return percentiles(means);
}

}  // namespace melgrad
