#pragma once
// The training of one MLP as plain loops in double precision: what every engine is compared with. It is
// itself compared with scikit-learn (tests/golden/mlp_fits.json) and torch (mlp_torch_fits.json). Random
// numbers, row order, initial weights and stopping come from training_rules.hpp; everything else is written
// again.

#include <span>
#include <vector>

#include "host/engine/mlp.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad::testing {

struct ReferenceNorm {
  std::vector<double> gamma, running_mean, running_var;  // [units]
};

struct ReferenceParameters {
  std::vector<Matrix<double>> weights;      // [fan_in, fan_out] of each layer
  std::vector<std::vector<double>> biases;  // [fan_out]
  std::vector<ReferenceNorm> batch_norms;   // [n_hidden] with batch_norm, else empty
};

// Rows of the training set at positions first .. of an epoch's order.
struct Minibatch {
  std::vector<int> rows;
  int first = 0;
  int epoch = 0;
  int index = 0;  // of the minibatch in its epoch
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
  double loss(const Minibatch& batch, ReferenceParameters* gradient) const;

 private:
  using Rows = Matrix<double>;
  // What a hidden layer left behind on the way forward.
  struct Hidden {
    std::vector<double> mean, var;  // [units] of the minibatch, or the running ones
    Rows normalised;                // [rows, units]; with batch_norm
    Rows linear;                    // what the activation is applied to
    Rows factors;                   // of dropout
  };
  struct Pass {
    std::vector<Rows> inputs;  // of each layer
    std::vector<Hidden> hidden;
    Rows logits;
  };

  Rows scaled(MatrixView<const float> features, std::span<const int> rows) const;
  Rows input_of(const Minibatch& batch) const;
  Rows mixed(const Rows& input, const Minibatch& batch) const;
  double factor_of_dropout(double rate, const Minibatch& batch, int layer, Index row, Index col) const;
  Pass forward(const Rows& input, const Minibatch* training) const;
  void normalise(std::size_t layer, bool training, Hidden& hidden) const;
  void drop_out(std::size_t layer, const Minibatch* training, Hidden& hidden, Rows& out) const;
  Rows targets(const Minibatch& batch, double& sum_of_weights) const;  // t [rows, n_classes]
  void backward_norm(std::size_t layer, const Hidden& hidden, Rows& delta,
                     ReferenceParameters& gradient) const;
  void update_running(const Minibatch& batch);
  void step(const ReferenceParameters& gradient);
  double validation_score() const;

  TrainingSet training_set_;
  MlpJob job_;
  TrainingRules rules_;
  TrainingState state_;
  MlpProgress progress_;
  std::vector<float> class_weights_;
  ReferenceParameters parameters_, first_moment_, second_moment_, best_;
};

ReferenceParameters to_reference(const MlpParameters& parameters);
MlpParameters to_float(const ReferenceParameters& parameters);

// The largest |actual - expected| of a layer's weights and biases, as a share of the layer's largest
// |expected|; the worst layer counts. NaN counts as infinite.
double relative_difference(const MlpParameters& actual, const ReferenceParameters& expected);

}  // namespace melgrad::testing
