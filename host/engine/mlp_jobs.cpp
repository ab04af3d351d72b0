#include "host/engine/mlp_jobs.hpp"

#include <algorithm>

#include "host/core/error.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad {
namespace {

void check_rows(const TrainingSet& training_set, std::span<const int> rows) {
  const Index n_rows = training_set.n_rows();
  for (int row : rows) {
    if (row < 0 || row >= n_rows) fail("row {} of a training set of {} rows", row, n_rows);
    const int label = training_set.labels[static_cast<std::size_t>(row)];
    if (label < 0 || label >= training_set.n_classes)
      fail("row {} has label {}, not one of {} classes", row, label, training_set.n_classes);
  }
}

}  // namespace

void check_jobs(const TrainingSet& training_set, std::span<const MlpJob> jobs) {
  if (jobs.empty()) fail("a stack of no models");
  if (training_set.n_classes < 2)
    fail("{} class in the training set: a classifier needs two at least", training_set.n_classes);
  if (training_set.features.cols < 1) fail("a training set without features");
  if (training_set.n_copies < 0 ||
      training_set.n_rows() * (1 + training_set.n_copies) != training_set.features.rows)
    fail("{} rows of features are not {} copies of as many rows", training_set.features.rows,
         1 + training_set.n_copies);
  const auto n_features = static_cast<std::size_t>(training_set.features.cols);
  for (const MlpJob& job : jobs) {
    if (job.spec.clip != 0 && job.spec.clip < 1)
      fail("clip: {}: scaled features are cut to +-1 at least, or with 0 not at all", job.spec.clip);
    if (!same_architecture(job.spec, jobs.front().spec)) fail("a stack of models of different architectures");
    check_rows(training_set, job.rows);
    check_rows(training_set, job.validation_rows);
    if (job.scaling != nullptr &&
        (job.scaling->mean.size() != n_features || job.scaling->scale.size() != n_features))
      fail("a scaling of {} features for {} features", job.scaling->mean.size(), n_features);
  }
}

void check_trainable(const MlpJob& job) {
  if (job.rows.empty()) fail("a model without training rows");
  if (job.spec.early_stopping && job.validation_rows.empty()) fail("early_stopping without validation rows");
  const int batch_size = resolve_batch_size(job.spec.batch_size, static_cast<int>(job.rows.size()));
  if (job.spec.batch_norm && batch_size < 2)
    fail("batch_norm with minibatches of {} row: a variance needs two at least", batch_size);
}

void check_parameters(const MlpParameters& parameters, Index n_features, const MlpSpec& spec, int n_classes) {
  const std::vector<Matrix<float>>& all_weights = parameters.weights;
  const std::vector<std::vector<float>>& all_biases = parameters.biases;
  const std::vector<BatchNorm>& batch_norms = parameters.batch_norms;
  const std::size_t n_hidden = spec.hidden_layer_sizes.size();
  if (all_weights.size() != n_hidden + 1 || all_biases.size() != n_hidden + 1)
    fail("{} weight matrices and {} bias vectors for {} hidden layers", all_weights.size(), all_biases.size(),
         n_hidden);
  if (batch_norms.size() != (spec.batch_norm ? n_hidden : 0))
    fail("{} batch normalisations for {} hidden layers {} batch_norm", batch_norms.size(), n_hidden,
         spec.batch_norm ? "with" : "without");
  Index fan_in = n_features;
  for (std::size_t l = 0; l <= n_hidden; ++l) {
    const Index fan_out = l < n_hidden ? spec.hidden_layer_sizes[l] : n_outputs(n_classes);
    const Matrix<float>& weights = all_weights[l];
    const std::vector<float>& biases = all_biases[l];
    if (weights.rows != fan_in || weights.cols != fan_out || static_cast<Index>(biases.size()) != fan_out)
      fail("layer {}: weights [{}, {}] and {} biases, where [{}, {}] is expected", l, weights.rows,
           weights.cols, biases.size(), fan_in, fan_out);
    fan_in = fan_out;
  }
  for (std::size_t l = 0; l < batch_norms.size(); ++l) {
    const BatchNorm& norm = batch_norms[l];
    const std::size_t units = all_biases[l].size();
    for (std::size_t size : {norm.gamma.size(), norm.running_mean.size(), norm.running_var.size()})
      if (size != units)
        fail("layer {}: batch normalisation of {} units, where {} are expected", l, size, units);
  }
}

std::vector<float> class_weights(const TrainingSet& training_set, const MlpJob& job) {
  if (job.spec.class_weight == ClassWeight::none) return {};
  std::vector<int> counts(static_cast<std::size_t>(training_set.n_classes));
  for (int row : job.rows)
    ++counts[static_cast<std::size_t>(training_set.labels[static_cast<std::size_t>(row)])];
  const auto n_present = counts.size() - static_cast<std::size_t>(std::ranges::count(counts, 0));
  std::vector<float> weights;
  for (int count : counts)
    weights.push_back(count == 0 ? 0.0f
                                 : static_cast<float>(static_cast<double>(job.rows.size()) /
                                                      (static_cast<double>(n_present) * count)));
  return weights;
}

}  // namespace melgrad
