#pragma once
// Multilayer perceptrons in scikit-learn's words (sklearn.neural_network.MLPClassifier) and with its
// semantics.

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "host/core/fields.hpp"
#include "host/core/matrix.hpp"

namespace melgrad {

enum class Activation { identity, logistic, tanh, relu };
enum class Solver { sgd, adam };
enum class LearningRate { constant, invscaling, adaptive };

template <>
inline constexpr auto enum_names<Activation> = std::array{"identity", "logistic", "tanh", "relu"};
template <>
inline constexpr auto enum_names<Solver> = std::array{"sgd", "adam"};
template <>
inline constexpr auto enum_names<LearningRate> = std::array{"constant", "invscaling", "adaptive"};

// The parameters of MLPClassifier, with its defaults.
struct MlpSpec {
  std::vector<int> hidden_layer_sizes = {100};
  Activation activation = Activation::relu;
  Solver solver = Solver::adam;
  double alpha = 1e-4;
  int batch_size = 0;                                   // 0 is scikit-learn's 'auto': min(200, n_rows)
  LearningRate learning_rate = LearningRate::constant;  // acts for sgd only, as in scikit-learn
  double learning_rate_init = 1e-3;
  double power_t = 0.5;
  int max_iter = 200;
  bool shuffle = true;
  std::int64_t random_state = 0;
  double tol = 1e-4;
  double momentum = 0.9;
  bool nesterovs_momentum = true;
  bool early_stopping = false;
  double validation_fraction = 0.1;
  double beta_1 = 0.9;
  double beta_2 = 0.999;
  double epsilon = 1e-8;
  int n_iter_no_change = 10;

  static constexpr auto fields() {
    return std::tuple{
        field("hidden_layer_sizes", &MlpSpec::hidden_layer_sizes, "units of each hidden layer", 1, 65536),
        field("activation", &MlpSpec::activation, "of the hidden layers"),
        field("solver", &MlpSpec::solver, "optimiser"),
        field("alpha", &MlpSpec::alpha, "strength of the L2 penalty", 0, 1e6),
        field("batch_size", &MlpSpec::batch_size, "rows in a minibatch; 0: min(200, n_rows)", 0, 1 << 24),
        field("learning_rate", &MlpSpec::learning_rate, "schedule, for sgd"),
        field("learning_rate_init", &MlpSpec::learning_rate_init, "first learning rate", 1e-12, 1e3),
        field("power_t", &MlpSpec::power_t, "exponent of invscaling", 0, 10),
        field("max_iter", &MlpSpec::max_iter, "epochs at most", 1, 1e7),
        field("shuffle", &MlpSpec::shuffle, "new row order in each epoch"),
        field("random_state", &MlpSpec::random_state, "seed", 0, 9e15),
        field("tol", &MlpSpec::tol, "an epoch that improves the loss by less does not count", 0, 1e6),
        field("momentum", &MlpSpec::momentum, "of sgd", 0, 1),
        field("nesterovs_momentum", &MlpSpec::nesterovs_momentum, "Nesterov's momentum for sgd"),
        field("early_stopping", &MlpSpec::early_stopping, "stop on the accuracy of held-out rows"),
        field("validation_fraction", &MlpSpec::validation_fraction, "share of rows held out for it", 0.001,
              0.999),
        field("beta_1", &MlpSpec::beta_1, "decay of adam's first moment", 0, 0.9999999),
        field("beta_2", &MlpSpec::beta_2, "decay of adam's second moment", 0, 0.9999999),
        field("epsilon", &MlpSpec::epsilon, "adam's guard against division by zero", 1e-30, 1),
        field("n_iter_no_change", &MlpSpec::n_iter_no_change, "epochs without improvement before stopping", 1,
              1e7)};
  }
  bool operator==(const MlpSpec&) const = default;
};

// Weights [fan_in, fan_out] and biases [fan_out] of each layer, as scikit-learn's coefs_ and intercepts_.
struct MlpParameters {
  std::vector<Matrix<float>> weights;
  std::vector<std::vector<float>> biases;
  bool operator==(const MlpParameters&) const = default;
};

// The rows that every model of a stack draws from. Does not own.
struct TrainingSet {
  MatrixView<const float> features;  // [n_rows, n_features], as extracted: each job brings its own scaling
  std::span<const int> labels;       // [n_rows], in [0, n_classes)
  int n_classes = 0;
};

// Standardisation (x - mean) / scale per feature, as sklearn.preprocessing.StandardScaler.
struct FeatureScaling {
  std::vector<float> mean;   // [n_features]
  std::vector<float> scale;  // [n_features], never 0
  bool operator==(const FeatureScaling&) const = default;
};

// One model to train: jobs of one architecture make a stack. Does not own its rows.
struct MlpJob {
  MlpSpec spec;
  std::span<const int> rows;                // rows of the training set, without the held-out ones
  std::span<const int> validation_rows;     // for early_stopping; else empty
  const FeatureScaling* scaling = nullptr;  // null: features are used as they are
};

enum class StopReason { running, max_iter, no_improvement, not_finite };
template <>
inline constexpr auto enum_names<StopReason> =
    std::array{"running", "max_iter", "no_improvement", "not_finite"};

// How the training of one model goes or went, in the words of MLPClassifier.
struct MlpProgress {
  int n_iter = 0;  // epochs done
  StopReason stop_reason = StopReason::running;
  std::vector<double> loss_curve;         // [n_iter]
  std::vector<double> validation_scores;  // [n_iter] with early_stopping, else empty
  bool operator==(const MlpProgress&) const = default;
};

}  // namespace melgrad
