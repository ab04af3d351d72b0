#include "host/data/standard_scaler.hpp"

#include <cassert>
#include <cmath>
#include <limits>
#include <vector>

namespace melgrad {

FeatureScaling fit_standard_scaler(MatrixView<const float> features, std::span<const int> rows) {
  assert(!rows.empty());
  const auto n_features = static_cast<std::size_t>(features.cols);
  const auto n = static_cast<double>(rows.size());

  std::vector<double> mean(n_features, 0.0);
  for (const int row : rows) {
    const float* x = features.row(row).data();
    for (std::size_t f = 0; f < n_features; ++f) mean[f] += x[f];
  }
  for (double& m : mean) m /= n;

  // variance = (sum d^2 - (sum d)^2 / n) / n with d = x - mean: the second term takes out the mean's
  // rounding.
  std::vector<double> sum(n_features, 0.0), sum_of_squares(n_features, 0.0);
  for (const int row : rows) {
    const float* x = features.row(row).data();
    for (std::size_t f = 0; f < n_features; ++f) {
      const double d = x[f] - mean[f];
      sum[f] += d;
      sum_of_squares[f] += d * d;
    }
  }

  FeatureScaling scaling{std::vector<float>(n_features), std::vector<float>(n_features)};
  for (std::size_t f = 0; f < n_features; ++f) {
    const double variance = (sum_of_squares[f] - sum[f] * sum[f] / n) / n;
    // sklearn.preprocessing._data._is_constant_feature: what rounding alone can make of a constant.
    constexpr double eps = std::numeric_limits<double>::epsilon();
    const double rounding = n * eps * variance + std::pow(n * mean[f] * eps, 2);
    const auto scale = static_cast<float>(std::sqrt(variance));
    scaling.mean[f] = static_cast<float>(mean[f]);
    scaling.scale[f] = variance <= rounding || !(scale > 0) ? 1.0f : scale;
  }
  return scaling;
}

}  // namespace melgrad
