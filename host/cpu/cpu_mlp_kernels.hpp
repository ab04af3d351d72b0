#pragma once
// One minibatch of one model on one core: layouts, buffers, and the functions that are compiled for each
// instruction set.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/cpu/aligned.hpp"
#include "host/engine/mlp.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad {

// Zeroed floats on a cache line's boundary.
class AlignedFloats {
 public:
  static constexpr std::size_t alignment = 64;

  AlignedFloats() = default;
  explicit AlignedFloats(Index size);
  float* data() const { return data_.get(); }
  Index size() const { return size_; }

 private:
  struct Free {
    void operator()(float* p) const { ::operator delete (p, std::align_val_t{alignment}); }
  };
  std::unique_ptr<float[], Free> data_;
  Index size_ = 0;
};

// Columns of a buffer are padded to whole vectors of 16 floats, and rows to an odd number of cache lines, so
// that the rows of a tile fall into different sets of the cache.
constexpr Index padded_columns(Index n) {
  return (n + 15) / 16 * 16;
}
constexpr Index row_stride(Index n) {
  return (padded_columns(n) / 16 | 1) * 16;
}

// Whether a right operand of a product, [depth, stride] floats, is larger than the caches near the core.
constexpr bool is_large_operand(Index depth, Index stride) {
  return depth * stride >= Index{1} << 16;
}

// How the parameters of a layer lie: as W [fan_in + 1, fan_out] with the bias as last row, which the units'
// constant last input of 1 feeds; or, where so few outputs would leave most of a vector empty, as its
// transpose [fan_out, fan_in + 1]. Padding is zero and stays zero.
struct MlpLayer {
  Index fan_in = 0;
  Index fan_out = 0;
  bool transposed = false;
  Index stride = 0;  // of a row
  Index offset = 0;  // of the first value in the model's parameters

  Index rows() const { return transposed ? fan_out : fan_in + 1; }
  Index cols() const { return transposed ? fan_in + 1 : fan_out; }
  Index at(Index in, Index out) const {
    return offset + (transposed ? out * stride + in : in * stride + out);
  }
};

// Batch normalisation of a hidden layer: four rows of parameters, whose padding is zero and stays zero. The
// layer's own bias then stays 0, because the units that feed it are 0.
struct MlpNorm {
  Index units = 0;
  Index stride = 0;  // of a row
  Index offset = 0;  // of the first value in the model's parameters

  Index gamma() const { return offset; }
  Index beta() const { return offset + stride; }
  Index running_mean() const { return offset + 2 * stride; }
  Index running_var() const { return offset + 3 * stride; }
};

struct MlpNetwork {
  Activation activation = Activation::relu;
  int n_classes = 0;
  bool bf16 = false;  // the first layer's products in training; it is then never transposed
  std::vector<MlpLayer> layers;
  std::vector<MlpNorm> norms;  // of each hidden layer with batch_norm, else empty
  Index n_values = 0;          // floats of a model's parameters, padding included

  MlpNetwork(Index n_features, const MlpSpec& spec, int n_classes_);
};

// What a hidden layer keeps for the way back; empty where no option asks for it.
struct MlpHidden {
  AlignedFloats slopes;       // [capacity, units + 1]: the derivative, times the factors of dropout
  AlignedFloats normalised;   // [capacity, units + 1]
  AlignedFloats inverse_std;  // [units]
};

// The operands of a first layer's products in bf16, as bf16_tiles.hpp takes them. Padding is zero.
struct MlpBf16 {
  Index input_stride = 0, transposed_stride = 0;  // elements of a row
  AlignedArray<std::uint16_t> inputs;             // [capacity, fan_in + 1] of a minibatch
  AlignedArray<std::uint16_t> transposed;         // [fan_in + 1, capacity]
  AlignedArray<std::uint32_t> right;  // pairs of rows of the weights, or of the gradient of the outputs
  // With is_resident, the rows of a minibatch lie in `resident`, which has every row of a job.
  bool is_resident = false;
  std::vector<const std::uint16_t*> input_rows;  // [capacity]
  AlignedArray<std::uint16_t> resident;
};

// What one worker needs to train or ask one model at a time.
struct MlpWorkspace {
  // has_slopes: for training with gelu or dropout.
  MlpWorkspace(const MlpNetwork& network, Index capacity, bool has_slopes);

  Index capacity;                          // rows at most
  std::vector<AlignedFloats> activations;  // [n_layers + 1] of [capacity, units + 1]; the last: outputs
  // The rows that a transposed first layer reads: gathered ones in activations[0], or without a copy those of
  // `resident`, which has every row of a job, standardised, where that is small enough.
  std::vector<const float*> input_rows;  // [capacity]
  AlignedFloats resident;
  std::vector<int> labels;         // [capacity]
  AlignedFloats row_terms[2];      // [capacity]: what the rows' losses are made of
  AlignedFloats delta[2];          // [capacity, widest hidden layer]
  AlignedFloats panel;             // of a right operand: [deepest product, 48 columns], or a large gradient's
  MlpBf16 bf16;                    // only for a network with bf16
  std::vector<MlpHidden> hidden;   // [n_hidden]
  AlignedFloats factors;           // [widest layer, inputs included] of dropout, of one row
  AlignedFloats norm_gradient;     // [2, widest hidden layer]: of gamma and beta
  bool soft_targets = false;       // targets instead of labels
  std::vector<RowTarget> targets;  // [capacity]
  AlignedFloats smoothed;          // [n_classes] smoothed_share() of each class
  float smoothed_sum = 0;
  AlignedFloats target_row, logit_row;  // [n_classes] of one row
  std::vector<AlignedFloats> decay;     // [n_layers] of [cols]: 0 for biases, else alpha, or 1 with adamw
  AlignedFloats no_decay;               // zeros
  AlignedFloats mean, inverse_scale;    // [n_features] of the model's scaling
  float clip = 0;                       // its features are cut to +- this; 0: they are not
  std::vector<int> drawn;               // [capacity]: rows of the features, copies among them
  std::vector<std::uint32_t> permuted;  // [domain of the row order]
  std::vector<std::uint32_t> order;     // [rows of the largest job]

  // Makes ready for a model, with class_weights [n_classes] or empty; reserve_order for training it on n_rows
  // rows.
  void use(const MlpNetwork& network, const MlpJob& job, std::span<const float> class_weights);
  void reserve_order(int n_rows);
  void reserve_bf16(const MlpLayer& first);
  // Room for n_rows rows in `resident`, with the constant input of 1 or 0 after the features, or for a
  // network with bf16 in bf16.resident.
  void reserve_resident(const MlpNetwork& network, Index n_rows);
};

// One step of the optimiser: the first three as step_rates() gives them.
struct OptimiserStep {
  Solver solver = Solver::adam;
  bool nesterovs_momentum = true;
  float learning_rate = 0;
  float epsilon = 0;
  float weight_decay = 0;
  float momentum = 0;
  float beta_1 = 0;
  float beta_2 = 0;
  float one_minus_beta_1 = 0;  // rounded from double
  float one_minus_beta_2 = 0;
  float inverse_weight = 0;  // 1 / sum of the weights of the minibatch's rows
};

// A rate of dropout, as dropout_factor() takes it.
struct DropoutRate {
  std::uint32_t threshold = 0;  // 0: none
  float scale = 1;
};

// Dropout in one step.
struct StepOptions {
  DropoutRate inputs, hidden;
  std::int64_t random_state = 0;
  int epoch = 0;
  Index first = 0;  // position of the minibatch's first row
};

// Parameters [network.n_values] and the optimiser's two moments of the same layout: adam's, or the velocity
// and null.
struct MlpBuffers {
  float* parameters = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
};

// Which rows of a feature matrix: rows[order[i]], or rows[i] without an order, or i without rows; from first.
struct RowChoice {
  const int* rows = nullptr;
  const std::uint32_t* order = nullptr;
  Index first = 0;

  Index position(Index i) const {  // in rows
    return order != nullptr ? static_cast<Index>(order[first + i]) : first + i;
  }
  Index operator[](Index i) const { return rows != nullptr ? rows[position(i)] : position(i); }
};

// The functions for one instruction set.
struct MlpKernels {
  std::string lack_of_bf16;  // what keeps a network with bf16 from being trained, or ""

  // workspace.order = the permutation's rows, for positions 0 .. n_rows - 1.
  void (*order_rows)(const EpochPermutation& permutation, int n_rows, MlpWorkspace& workspace);

  // Row i of inputs, which lies as activations[0] or resident, = the standardised, clipped features of row
  // choice[i], for i in [0, n_rows), mixed with its partner's.
  void (*gather)(const MlpNetwork& network, MatrixView<const float> features, const RowChoice& choice,
                 Index n_rows, const Mixup& mixup, const MlpWorkspace& workspace, float* inputs);

  // out [n_rows of bf16.input_stride] = the first n_rows of activations[0]; null where bf16 is lacking.
  void (*round_inputs)(const MlpNetwork& network, Index n_rows, const MlpWorkspace& workspace,
                       std::uint16_t* out);

  // Forward, backward and one step over the first n_rows of activations[0], or input_rows, and
  // workspace.labels, or .targets. Gives the sum of the rows' losses, plus alpha / 2 times the sum of squared
  // weights before the step, but for adamw.
  double (*train_step)(const MlpNetwork& network, const MlpBuffers& buffers, const OptimiserStep& step,
                       const StepOptions& options, Index n_rows, MlpWorkspace& workspace);

  // The same rows' outputs: probabilities [n_rows, n_outputs], as the last of workspace.activations. The
  // parameters are left as they are.
  void (*forward)(const MlpNetwork& network, float* parameters, Index n_rows, MlpWorkspace& workspace);

  // n is a multiple of 16.
  bool (*all_finite)(const float* values, Index n);

  // y[i] = f(x[i]) for i < n, a multiple of 16; for the tests of vector_math-inl.hpp.
  void (*exp)(const float* x, float* y, Index n);
  void (*logistic)(const float* x, float* y, Index n);
  void (*tanh)(const float* x, float* y, Index n);
  void (*gelu)(const float* x, float* y, Index n);
  void (*gelu_slope)(const float* x, float* y, Index n);
};

// Those of the best instruction set that choose_simd() or use_simd() left.
MlpKernels mlp_kernels();

}  // namespace melgrad
