#pragma once
// What a stack of models looks like in device memory, for both routes (cuda_mlp_stack.hpp).
//
// Parameters of a model are one run of floats: for each layer W [fan_in + 1, w_stride] with the bias as last
// row, which the inputs' constant last column of 1 feeds, so that a bias costs neither a kernel nor a sum of
// its own; then for each hidden layer with batch_norm its gamma, running mean and running variance
// [w_stride]. Rows of activations have fan_out values, the 1, and zeros up to `stride`. All strides and
// offsets are multiples of 4 floats, and padding is zero, so that everything moves by 16 bytes.

#include "host/core/matrix.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad {

struct DeviceLayer {
  int fan_in = 0;
  int fan_out = 0;
  int w_stride = 0;   // of a row of W
  int in_stride = 0;  // of a row of the layer's inputs: of `stride` of the layer below
  int stride = 0;     // of a row of its outputs
  Index weights = 0;  // offset in the model's parameters
  Index norm = -1;    // offset of gamma, running mean, running variance; -1 without batch_norm
  Index outputs = 0;  // offset of its outputs in a workspace, in floats per row of the minibatch
};

// The network that all models of a stack share; `layers` lies in device memory where a kernel reads it.
struct DeviceNetwork {
  const DeviceLayer* layers = nullptr;  // [n_layers], the last gives the logits
  int n_layers = 0;
  int n_classes = 0;
  int widest = 0;  // stride of the widest hidden layer, or 0
  Activation activation = Activation::relu;
  Index n_values = 0;   // floats of a model's parameters
  Index n_outputs = 0;  // floats per row of all layers' outputs
};

// Hyper-parameters of one model, as kernels want them.
struct DeviceHyper {
  TrainingRules rules;
  std::int64_t random_state = 0;
  double mixup = 0;
  int batch_size = 0;  // resolved
  int n_used = 0;      // rows_of_epoch()
  float alpha = 0;
  float momentum = 0;
  float beta_1 = 0, beta_2 = 0;
  float one_minus_beta_1 = 0, one_minus_beta_2 = 0;  // rounded from double
  float label_smoothing = 0;
  float dropout_scale = 1, input_dropout_scale = 1;
  std::uint32_t dropout_threshold = 0, input_dropout_threshold = 0;
  float clip = 0;       // scaled features are cut to +- this; infinite where they are not
  int n_copies = 0;     // of each row of the resident matrix
  int n_originals = 0;  // the matrix's first rows
  bool nesterovs_momentum = true;
  bool shuffle = true;
  bool has_soft_targets = false;  // mixup, label_smoothing or class weights
};

// One model: pointers into device memory, and the state that lives between epochs.
struct DeviceModel {
  float* parameters = nullptr;     // [n_values], and so are the moments
  float* first_moment = nullptr;   // or the velocity
  float* second_moment = nullptr;  // null for sgd
  float* best = nullptr;           // with early_stopping: parameters of the best epoch
  const int* rows = nullptr;       // [n_rows] of the resident matrix
  const int* validation_rows = nullptr;
  const float* mean = nullptr;           // [stride of the resident matrix]; 0 in the column of ones
  const float* inverse_scale = nullptr;  // 1 in the column of ones, 0 in the padding
  const float* class_weights = nullptr;  // [n_classes], or null
  int n_rows = 0;
  int n_validation = 0;
  int has_non_finite = 0;  // a parameter of the model is not finite
  DeviceHyper hyper;
  TrainingState state;
};

// The resident matrix: [n_rows, stride], features as extracted, then a column of ones, then zeros. Copies of
// rows are rows of their own.
struct DeviceRows {
  const float* features = nullptr;
  const int* labels = nullptr;  // [n_rows]
  Index stride = 0;
};

// One step of the optimiser.
struct DeviceStep {
  int n_rows = 0;  // of the minibatch
  float learning_rate = 0;
  float epsilon = 0;
  float weight_decay = 0;
  float inverse_weight = 0;  // of the sum of the rows' weights
  Mixup mixup;
};

constexpr int round_up(int n, int multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

}  // namespace melgrad
