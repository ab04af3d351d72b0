#pragma once
// The training of one MLP as plain loops in double precision: what every engine is compared with. It is
// itself compared with scikit-learn (tests/golden/mlp_fits.json). Row order, initial weights and stopping
// come from training_rules.hpp; everything else is written again.

#include <span>
#include <vector>

#include "host/engine/mlp.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad::testing {

struct ReferenceParameters {
  std::vector<Matrix<double>> weights;      // [fan_in, fan_out] of each layer
  std::vector<std::vector<double>> biases;  // [fan_out]
};

class ReferenceMlp {
 public:
  ReferenceMlp(const TrainingSet& training_set, const MlpJob& job);

  void train(int n_epochs);
  const MlpProgress& progress() const { return progress_; }
  const TrainingState& state() const { return state_; }
  const ReferenceParameters& parameters() const { return parameters_; }
  ReferenceParameters& parameters() { return parameters_; }
  Matrix<double> predict_proba(MatrixView<const float> features) const;  // [n_rows, n_classes]

  // Mean loss of a minibatch, penalty included, and its gradient if asked for.
  double loss(std::span<const int> rows, ReferenceParameters* gradient) const;

 private:
  using Rows = Matrix<double>;
  Rows scaled(MatrixView<const float> features, std::span<const int> rows) const;
  std::vector<Rows> forward(const Rows& input) const;  // activations of all layers; the last: probabilities
  void step(const ReferenceParameters& gradient);
  double validation_score() const;

  TrainingSet training_set_;
  MlpJob job_;
  TrainingRules rules_;
  TrainingState state_;
  MlpProgress progress_;
  ReferenceParameters parameters_, first_moment_, second_moment_, best_;
};

ReferenceParameters to_reference(const MlpParameters& parameters);
MlpParameters to_float(const ReferenceParameters& parameters);

// The largest |actual - expected| of a layer's weights and biases, as a share of the layer's largest
// |expected|; the worst layer counts. NaN counts as infinite.
double relative_difference(const MlpParameters& actual, const ReferenceParameters& expected);

}  // namespace melgrad::testing
