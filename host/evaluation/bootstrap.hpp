#pragma once
// How sure scores are: the test clips are drawn anew with replacement, many times (Efron, 1979), and always
// whole units of them: a speaker with all clips, a clip with all of its predictions.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/evaluation/metrics.hpp"
#include "host/evaluation/statistics.hpp"

namespace melgrad {

// The ends' own error by chance, from so many resamples, is about a 25th of the interval's width.
inline constexpr int default_resamples = 2000;

// Predictions, and the unit in [0, n_units) that each belongs to. Does not own.
struct UnitPredictions {
  std::span<const int> truth;
  std::span<const int> predicted;
  std::span<const int> unit;
  int n_units = 0;
  int n_classes = 0;
};

// The 2.5 % and 97.5 % quantiles of the resampled scores: scipy.stats.bootstrap(method='percentile') over the
// units. Resample i is drawn by (random_state, i) alone.
BootstrapIntervals bootstrap_intervals(const UnitPredictions& predictions, std::int64_t random_state,
                                       int n_resamples = default_resamples);

// The same of the mean of `values`, each of which belongs to a unit: the paired difference of two models'
// accuracies, of the values 1, 0 and -1.
Interval bootstrap_mean(std::span<const int> values, std::span<const int> unit, int n_units,
                        std::int64_t random_state, int n_resamples = default_resamples);

// numpy.quantile(values, q): linear between the two nearest. Sorts the values, of which there is one at
// least.
double quantile(std::vector<double>& values, double q);

}  // namespace melgrad
