#include "host/evaluation/predict.hpp"

#include <algorithm>
#include <numeric>

namespace melgrad {

Matrix<float> predict_proba(Engine& engine, const Classifier& classifier, MatrixView<const float> features) {
  const auto n_classes = static_cast<int>(classifier.labels.size());
  Matrix<float> probabilities(features.rows, n_classes);
  if (features.rows == 0) return probabilities;

  // A stack is built around a training set; here it holds the rows to predict, and is never trained.
  const std::vector<int> labels(static_cast<std::size_t>(features.rows), 0);
  std::vector<int> rows(labels.size());
  std::iota(rows.begin(), rows.end(), 0);
  const TrainingSet rows_to_predict{features, labels, n_classes};
  MlpSpec spec = classifier.spec;
  spec.early_stopping = false;
  const MlpJob job{spec, rows, {}, &classifier.scaling};
  const auto stack = engine.mlp_stack(rows_to_predict, {&job, 1});
  stack->set_parameters(0, classifier.parameters);
  stack->predict_proba(0, features, probabilities.view());
  return probabilities;
}

std::vector<int> most_probable(const Matrix<float>& probabilities) {
  std::vector<int> classes;
  for (Index row = 0; row < probabilities.rows; ++row) {
    const auto values = probabilities.row(row);
    classes.push_back(static_cast<int>(std::ranges::max_element(values) - values.begin()));
  }
  return classes;
}

}  // namespace melgrad
