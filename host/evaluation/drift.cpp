#include "host/evaluation/drift.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "host/evaluation/bootstrap.hpp"

namespace melgrad {
namespace {

struct Moments {
  std::vector<double> mean;  // [n_features]
  std::vector<double> std;   // population standard deviation
};

Moments moments_of(const Matrix<float>& features, const std::vector<int>& rows) {
  const auto n_features = static_cast<std::size_t>(features.cols);
  const auto n = static_cast<double>(rows.size());
  Moments moments{std::vector<double>(n_features), std::vector<double>(n_features)};
  for (const int row : rows)
    for (std::size_t f = 0; f < n_features; ++f) moments.mean[f] += features(row, static_cast<Index>(f)) / n;
  for (const int row : rows)
    for (std::size_t f = 0; f < n_features; ++f)
      moments.std[f] += std::pow(features(row, static_cast<Index>(f)) - moments.mean[f], 2) / n;
  for (double& std : moments.std) std = std::sqrt(std);
  return moments;
}

std::vector<int> rows_of_group(const Dataset& dataset, int group) {
  std::vector<int> rows;
  for (std::size_t row = 0; row < dataset.groups.size(); ++row)
    if (dataset.groups[row] == group) rows.push_back(static_cast<int>(row));
  return rows;
}

std::vector<int> every_row(const Dataset& dataset) {
  std::vector<int> rows(dataset.clips.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

Drift feature_drift(const Dataset& training, const Dataset& recordings, std::size_t most) {
  const Moments trained = moments_of(training.features, every_row(training));
  const Moments moved = moments_of(recordings.features, every_row(recordings));
  std::vector<std::size_t> varying;  // features whose spread is more than what rounding makes of a constant
  for (std::size_t f = 0; f < trained.std.size(); ++f)
    if (trained.std[f] > 1e-6 * std::abs(trained.mean[f])) varying.push_back(f);

  const auto shifts_of = [&](const Moments& moments) {
    std::vector<double> shifts;
    for (const std::size_t f : varying)
      shifts.push_back((moments.mean[f] - trained.mean[f]) / trained.std[f]);
    return shifts;
  };
  const auto sizes_of = [](std::vector<double> shifts) {
    for (double& shift : shifts) shift = std::abs(shift);
    return shifts;
  };
  Drift drift;
  drift.n_recordings = recordings.n_rows();
  if (varying.empty() || recordings.n_rows() == 0) return drift;
  const std::vector<double> shifts = shifts_of(moved);
  const std::vector<double> sizes = sizes_of(shifts);
  drift.mean_shift = mean_of(sizes);
  drift.share_beyond_one =
      static_cast<double>(std::ranges::count_if(sizes, [](double size) { return size > 1; })) /
      static_cast<double>(sizes.size());

  std::vector<std::vector<double>> of_groups;  // sizes
  std::vector<double> mean_of_groups;
  for (int group = 0; group < static_cast<int>(training.group_names.size()); ++group) {
    of_groups.push_back(sizes_of(shifts_of(moments_of(training.features, rows_of_group(training, group)))));
    mean_of_groups.push_back(mean_of(of_groups.back()));
  }
  if (!of_groups.empty()) drift.typical_mean_shift = quantile(mean_of_groups, 0.5);

  std::vector<std::size_t> order(varying.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return sizes[i]; });
  order.resize(std::min(order.size(), most));
  for (const std::size_t i : order) {
    const std::size_t f = varying[i];
    std::vector<double> typical;
    for (const auto& group : of_groups) typical.push_back(group[i]);
    drift.features.push_back({training.columns[f], shifts[i], moved.std[f] / trained.std[f],
                              typical.empty() ? 0 : quantile(typical, 0.5)});
  }
  return drift;
}

}  // namespace melgrad
