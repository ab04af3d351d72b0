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
  const auto n_members = static_cast<int>(1 + classifier.further_members.size());
  const std::vector<MlpJob> jobs(static_cast<std::size_t>(n_members), {spec, rows, {}, &classifier.scaling});
  const auto stack = engine.mlp_stack(rows_to_predict, jobs);
  stack->set_parameters(0, classifier.parameters);
  stack->predict_proba(0, features, probabilities.view());
  if (n_members == 1) return probabilities;
  Matrix<float> others(features.rows, n_classes);
  for (int member = 1; member < n_members; ++member) {
    stack->set_parameters(member, classifier.further_members[static_cast<std::size_t>(member) - 1]);
    stack->predict_proba(member, features, others.view());
    for (std::size_t i = 0; i < others.values.size(); ++i) probabilities.values[i] += others.values[i];
  }
  for (float& each : probabilities.values) each /= static_cast<float>(n_members);
  return probabilities;
}

Matrix<float> predict_proba_with_copies(Engine& engine, const Classifier& classifier,
                                        MatrixView<const float> versions, int n_copies) {
  const Index n_rows = versions.rows / (1 + n_copies);
  Matrix<float> probabilities = predict_proba(engine, classifier, versions.rows_from(0, n_rows));
  if (n_copies == 0) return probabilities;
  for (float& each : probabilities.values) each *= 2;
  for (int copy = 1; copy <= n_copies; ++copy) {
    const Matrix<float> of_copy =
        predict_proba(engine, classifier, versions.rows_from(copy * n_rows, n_rows));
    for (std::size_t i = 0; i < of_copy.values.size(); ++i) probabilities.values[i] += of_copy.values[i];
  }
  for (float& each : probabilities.values) each /= static_cast<float>(2 + n_copies);
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
