#pragma once
// A small classification problem of random rows, for tests of training.

#include <numeric>
#include <utility>
#include <vector>

#include "host/core/philox.hpp"
#include "host/engine/mlp.hpp"

namespace melgrad::testing {

// Rows are a class's centre plus noise, off zero and of different scales, so that scaling matters. The stride
// is wider than a row.
struct MlpProblem {
  MlpProblem(int n_rows, int n_features, int n_classes_, int seed = 1)
      : features(n_rows, n_features + 3),
        labels(static_cast<std::size_t>(n_rows)),
        rows(labels.size()),
        n_classes(n_classes_) {
    PhiloxSequence random(static_cast<std::uint64_t>(seed), RandomStream::split);
    const auto uniform = [&] { return 2 * random.next_uniform01() - 1; };
    Matrix<float> centres(n_classes, n_features);
    for (float& value : centres.values) value = uniform();
    for (int k = 0; k < n_features; ++k) {
      scaling.mean.push_back(uniform());
      scaling.scale.push_back(1.5f + uniform());
    }
    for (int row = 0; row < n_rows; ++row) {
      const auto label = static_cast<int>(random.next_below(static_cast<std::uint32_t>(n_classes)));
      labels[static_cast<std::size_t>(row)] = label;
      for (int k = 0; k < n_features; ++k) {
        const auto at = static_cast<std::size_t>(k);
        features(row, k) = scaling.mean[at] + scaling.scale[at] * (centres(label, k) + uniform());
      }
    }
    std::iota(rows.begin(), rows.end(), 0);
  }

  // The same rows with other noise, n times, behind the originals.
  void add_copies(int n) {
    const Index n_rows = features.rows;
    Matrix<float> with_copies((1 + n) * n_rows, features.cols);
    PhiloxSequence random(2, RandomStream::split);
    for (Index row = 0; row < with_copies.rows; ++row)
      for (Index k = 0; k < features.cols; ++k)
        with_copies(row, k) =
            features(row % n_rows, k) + (row < n_rows ? 0.0f : random.next_uniform01() - 0.5f);
    features = std::move(with_copies);
    n_copies = n;
  }

  int n_features() const { return static_cast<int>(features.cols) - 3; }
  MatrixView<const float> view() const {
    return {features.values.data(), features.rows, n_features(), features.cols};
  }
  TrainingSet training_set() const { return {view(), labels, n_classes, n_copies}; }
  MlpJob job(const MlpSpec& spec) const { return {spec, rows, validation_rows, &scaling}; }

  Matrix<float> features;
  std::vector<int> labels;
  std::vector<int> rows;
  std::vector<int> validation_rows;
  FeatureScaling scaling;
  int n_classes;
  int n_copies = 0;
};

}  // namespace melgrad::testing
