#pragma once
// Multilayer perceptrons in scikit-learn's words (sklearn.neural_network.MLPClassifier) and with its
// semantics, and with torch's where scikit-learn has no such thing.
//
// A hidden layer is: product with the weights, batch_norm or else the bias, activation, dropout. The formulas
// of the options are in training_rules.hpp.

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "host/core/fields.hpp"
#include "host/core/matrix.hpp"

namespace melgrad {

enum class Activation { identity, logistic, tanh, relu, gelu };  // gelu: x Phi(x), with the exact erf
enum class Solver { sgd, adam, adamw };
enum class LearningRate { constant, invscaling, adaptive, cosine, one_cycle };
enum class ClassWeight { none, balanced };
enum class Precision { float32, bf16 };

template <>
inline constexpr auto enum_names<Activation> = std::array{"identity", "logistic", "tanh", "relu", "gelu"};
template <>
inline constexpr auto enum_names<Solver> = std::array{"sgd", "adam", "adamw"};
template <>
inline constexpr auto enum_names<LearningRate> =
    std::array{"constant", "invscaling", "adaptive", "cosine", "one_cycle"};
template <>
inline constexpr auto enum_names<ClassWeight> = std::array{"none", "balanced"};
template <>
inline constexpr auto enum_names<Precision> = std::array{"float32", "bf16"};

// The parameters of MLPClassifier, with its defaults, and what its users ask for and do not get.
struct MlpSpec {
  std::vector<int> hidden_layer_sizes = {100};
  Activation activation = Activation::relu;
  Solver solver = Solver::adam;
  double alpha = 1e-4;                                  // adamw's is torch's weight_decay, of weights alone
  int batch_size = 0;                                   // 0 is scikit-learn's 'auto': min(200, n_rows)
  LearningRate learning_rate = LearningRate::constant;  // scikit-learn's own act for sgd only
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
  double dropout = 0;
  double input_dropout = 0;
  double clip = 0;
  bool batch_norm = false;
  double label_smoothing = 0;
  double mixup = 0;
  ClassWeight class_weight = ClassWeight::none;
  // Of the first layer's products in training, where nearly all the work of small networks is; weights stay
  // float32, and so does prediction. bf16 is refused by engines and processors that have not got it.
  Precision precision = Precision::float32;

  static constexpr auto fields() {
    return std::tuple{
        field("hidden_layer_sizes", &MlpSpec::hidden_layer_sizes, "units of each hidden layer", 1, 65536),
        field("activation", &MlpSpec::activation, "of the hidden layers"),
        field("solver", &MlpSpec::solver, "optimiser"),
        field("alpha", &MlpSpec::alpha, "strength of the L2 penalty, or adamw's weight decay", 0, 1e6),
        field("batch_size", &MlpSpec::batch_size, "rows in a minibatch; 0: min(200, n_rows)", 0, 1 << 24),
        field("learning_rate", &MlpSpec::learning_rate,
              "schedule, for sgd; cosine and one_cycle for every solver"),
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
        field("beta_1", &MlpSpec::beta_1, "decay of adam's and adamw's first moment", 0, 0.9999999),
        field("beta_2", &MlpSpec::beta_2, "decay of their second moment", 0, 0.9999999),
        field("epsilon", &MlpSpec::epsilon, "their guard against division by zero", 1e-30, 1),
        field("n_iter_no_change", &MlpSpec::n_iter_no_change, "epochs without improvement before stopping", 1,
              1e7),
        field("dropout", &MlpSpec::dropout, "share of each hidden layer's units left out in each step", 0,
              0.99),
        field("input_dropout", &MlpSpec::input_dropout, "share of the inputs left out in each step", 0, 0.99),
        field("clip", &MlpSpec::clip, "scaled features are cut to +- this, 1 at least; 0: they are not", 0,
              1e6),
        field("batch_norm", &MlpSpec::batch_norm, "normalise hidden layers over the minibatch"),
        field("label_smoothing", &MlpSpec::label_smoothing, "share of the label spread over all classes", 0,
              0.99),
        field("mixup", &MlpSpec::mixup, "alpha of the Beta that pairs of rows are mixed by; 0: none", 0, 1e3),
        field("class_weight", &MlpSpec::class_weight, "balanced: rows of rare classes weigh more"),
        field("precision", &MlpSpec::precision, "of the first layer's products in training")};
  }
  bool operator==(const MlpSpec&) const = default;
};

// Models of one architecture can be trained in one stack: their parameters have the same shapes, and their
// products the same precision.
inline bool same_architecture(const MlpSpec& a, const MlpSpec& b) {
  return a.hidden_layer_sizes == b.hidden_layer_sizes && a.activation == b.activation &&
         a.batch_norm == b.batch_norm && a.precision == b.precision;
}

// torch.nn.BatchNorm1d of a layer, [units] each: gamma (x - mean) / sqrt(var + epsilon) + bias, where mean
// and var are the minibatch's in training and the running ones in prediction. torch's `weight` is gamma and
// its `bias` is the layer's own in MlpParameters, as a bias before the normalisation would have no effect.
struct BatchNorm {
  std::vector<float> gamma;
  std::vector<float> running_mean;
  std::vector<float> running_var;
  bool operator==(const BatchNorm&) const = default;
};

// Weights [fan_in, fan_out] and biases [fan_out] of each layer, as scikit-learn's coefs_ and intercepts_.
struct MlpParameters {
  std::vector<Matrix<float>> weights;
  std::vector<std::vector<float>> biases;
  std::vector<BatchNorm> batch_norms;  // of each hidden layer with batch_norm, else empty
  bool operator==(const MlpParameters&) const = default;
};

// The rows that every model of a stack draws from, with altered copies of them: copy c > 0 of row r is row
// r + c * n_rows() of the features. In each epoch a row that is trained on is the original or one of the
// copies (copy_of() of training_rules.hpp); the rows of jobs are originals. Does not own.
struct TrainingSet {
  MatrixView<const float>
      features;                 // [(1 + n_copies) * n_rows, n_features], as extracted, before any scaling
  std::span<const int> labels;  // [n_rows], in [0, n_classes)
  int n_classes = 0;
  int n_copies = 0;  // of each row

  Index n_rows() const { return features.rows / (1 + n_copies); }
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
