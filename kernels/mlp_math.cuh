#pragma once
// The formulas of training for one thread, shared by both routes: activations, the loss of a row, the
// optimiser, and where the rows of a minibatch come from.

#include "kernels/launch.cuh"
#include "kernels/mlp_device.hpp"

namespace melgrad::MELGRAD_KERNELS {

// N floats that move at once.
template <int N>
struct alignas(N * sizeof(float)) Floats {
  float at[N];
};
template <int N>
__device__ __forceinline__ Floats<N> load(const float* from) {
  return *reinterpret_cast<const Floats<N>*>(from);
}
template <int N>
__device__ __forceinline__ void store(float* to, const Floats<N>& value) {
  *reinterpret_cast<Floats<N>*>(to) = value;
}

// --- Activations ----------------------------------------------------------------------------------------

// f(z); `slope` takes f'(z) where f is gelu.
__device__ __forceinline__ float activate(Activation activation, float z, float* slope) {
  switch (activation) {
    case Activation::identity:
      return z;
    case Activation::logistic:
      return 1.0f / (1.0f + expf(-z));
    case Activation::tanh:
      return tanhf(z);
    case Activation::relu:
      return z < 0.0f ? 0.0f : z;  // NaN stays
    case Activation::gelu: {
      const float phi = 0.5f * erfcf(-0.70710678f * z);          // the normal distribution
      *slope = fmaf(z * 0.39894228f, expf(-0.5f * z * z), phi);  // 1 / sqrt(2 pi)
      return z * phi;
    }
  }
  return z;
}

// f'(z) as a function of h = f(z); gelu's is kept in slopes.
__device__ __forceinline__ float derivative(Activation activation, float h) {
  switch (activation) {
    case Activation::logistic:
      return h * (1.0f - h);
    case Activation::tanh:
      return fmaf(-h, h, 1.0f);
    case Activation::relu:
      return h == 0.0f ? 0.0f : 1.0f;
    case Activation::identity:
    case Activation::gelu:
      break;
  }
  return 1.0f;
}

// What dropout needs to know of a step.
struct DropoutDraw {
  std::int64_t random_state = 0;
  int epoch = 0;
  int layer = 0;
  std::uint32_t threshold = 0;  // 0: no dropout
  float scale = 1;
};

// Units col .. col + 3 of a row of a hidden layer: z, in which the bias is already, becomes f(z),
// times the factor of dropout; slopes, where kept, take f'(z) times the factor. Column `units` becomes 1, and
// those after it 0.
__device__ __forceinline__ void activate_quad(Activation activation, const DropoutDraw& dropout, int units,
                                              int col, std::uint32_t position, float* z, float* slopes) {
  Floats<4> h = load<4>(z), slope{};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (col + i < units) {
      h.at[i] = activate(activation, h.at[i], &slope.at[i]);
      if (activation != Activation::gelu) slope.at[i] = derivative(activation, h.at[i]);
    } else {
      h.at[i] = col + i == units ? 1.0f : 0.0f;
      slope.at[i] = 0.0f;
    }
  }
  if (dropout.threshold != 0) {
    const PhiloxBlock bits = dropout_bits(dropout.random_state, dropout.epoch, dropout.layer, position,
                                          static_cast<std::uint32_t>(col) / 4);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (col + i >= units) continue;
      const float factor =
          dropout_factor(bits[static_cast<std::size_t>(i)], dropout.threshold, dropout.scale);
      h.at[i] *= factor;
      slope.at[i] *= factor;
    }
  }
  store(z, h);
  if (slopes != nullptr) store(slopes, slope);
}

// --- Loss -----------------------------------------------------------------------------------------------

// What a row's loss needs to know of its model.
struct LossRule {
  int n_classes = 0;
  float label_smoothing = 0;
  const float* class_weights = nullptr;  // [n_classes], or null

  __device__ __forceinline__ float target(const RowTarget& row, int c) const {
    const float weight = class_weights != nullptr ? class_weights[c] : 1.0f;
    return target_of_class(row, c, smoothed_share(label_smoothing, n_classes, weight));
  }
};

// Two classes: z is the logit of class 1 and becomes T p - t.
__device__ __forceinline__ float logistic_loss(const LossRule& rule, const RowTarget& row, float* z) {
  const float x = *z;
  const float t_0 = rule.target(row, 0), t_1 = rule.target(row, 1);
  const float e = expf(-fabsf(x));
  const float rest = 1.0f / (1.0f + e);  // of the likelier class
  const float log_sum = log1pf(e);
  *z = fmaf(t_0 + t_1, x < 0.0f ? e * rest : rest, -t_1);
  const float surprise_0 = log_sum + (x > 0.0f ? x : 0.0f), surprise_1 = log_sum + (x < 0.0f ? -x : 0.0f);
  // Comparisons that leave NaN as it is.
  return fmaf(t_0, surprise_0 > max_row_loss ? max_row_loss : surprise_0,
              t_1 * (surprise_1 > max_row_loss ? max_row_loss : surprise_1)) +
         0.0f * x;
}

// The logits z [n_classes] of a row become the loss's gradient T p - t; gives the loss, sum of t_c times
// -log(p_c).
__device__ __forceinline__ float softmax_loss(const LossRule& rule, const RowTarget& row, float* z) {
  float maximum = z[0];
  for (int c = 1; c < rule.n_classes; ++c) maximum = fmaxf(maximum, z[c]);
  float sum = 0, total = 0;
  for (int c = 0; c < rule.n_classes; ++c) {
    sum += expf(z[c] - maximum);
    total += rule.target(row, c);
  }
  const float log_sum = logf(sum) + maximum, scale = total / sum;
  float loss = 0;
  for (int c = 0; c < rule.n_classes; ++c) {
    const float t = rule.target(row, c), surprise = log_sum - z[c];
    loss = fmaf(t, surprise > max_row_loss ? max_row_loss : surprise, loss);
    z[c] = fmaf(scale, expf(z[c] - maximum), -t);
  }
  return loss;
}

// The logits of a row, [stride], become the gradient, with zeros in the padding.
__device__ __forceinline__ float row_loss(const LossRule& rule, const RowTarget& row, float* z, int stride) {
  const int n_units = n_outputs(rule.n_classes);
  const float loss = n_units == 1 ? logistic_loss(rule, row, z) : softmax_loss(rule, row, z);
  for (int c = n_units; c < stride; ++c) z[c] = 0.0f;
  return loss;
}

// The class that logits z [n_outputs] predict: the first of the likeliest.
__device__ __forceinline__ int predicted_class(int n_classes, const float* z) {
  if (n_classes == 2) return z[0] > 0.0f;
  int best = 0;
  for (int c = 1; c < n_classes; ++c)
    if (z[c] > z[best]) best = c;
  return best;
}

// Logits [n_outputs] of a row become probabilities [n_classes].
__device__ __forceinline__ void row_probabilities(int n_classes, const float* z, float* probabilities) {
  if (n_classes == 2) {
    const float e = expf(-fabsf(z[0])), rest = 1.0f / (1.0f + e);
    probabilities[1] = z[0] < 0.0f ? e * rest : rest;
    probabilities[0] = 1.0f - probabilities[1];
    return;
  }
  float maximum = z[0], sum = 0;
  for (int c = 1; c < n_classes; ++c) maximum = fmaxf(maximum, z[c]);
  for (int c = 0; c < n_classes; ++c) sum += expf(z[c] - maximum);
  const float scale = 1.0f / sum;
  for (int c = 0; c < n_classes; ++c) probabilities[c] = expf(z[c] - maximum) * scale;
}

// --- Optimiser ------------------------------------------------------------------------------------------

// One parameter with the sum of its gradients over the rows; see StepRates. `decays` for weights, not for
// biases and gammas. Gives alpha w^2 of before, for the loss.
__device__ __forceinline__ float update(const DeviceHyper& hyper, const DeviceStep& step, bool decays,
                                        float sum, float& w, float& first, float& second) {
  if (hyper.rules.solver == Solver::adamw) {
    if (decays) w = fmaf(-step.weight_decay, w, w);
    sum *= step.inverse_weight;
  }
  float penalty = 0;
  if (hyper.rules.solver != Solver::adamw) {
    const float decayed = decays ? hyper.alpha * w : 0.0f;
    penalty = decayed * w;
    sum = (sum + decayed) * step.inverse_weight;
  }
  if (hyper.rules.solver == Solver::sgd) {
    const float descent = step.learning_rate * sum;
    first = fmaf(hyper.momentum, first, -descent);
    w += hyper.nesterovs_momentum ? fmaf(hyper.momentum, first, -descent) : first;
  } else {
    first = fmaf(hyper.beta_1, first, hyper.one_minus_beta_1 * sum);
    second = fmaf(hyper.beta_2, second, hyper.one_minus_beta_2 * sum * sum);
    w -= step.learning_rate * first / (sqrtf(second) + step.epsilon);
  }
  return penalty;
}

// Likewise for N parameters that lie side by side, at an offset of the model's. has_non_finite is set if one
// is not finite afterwards.
template <int N>
__device__ __forceinline__ float update_side_by_side(const DeviceModel& model, const DeviceStep& step,
                                                     bool decays, const float* sums, Index at,
                                                     bool& has_non_finite) {
  Floats<N> w = load<N>(model.parameters + at), first = load<N>(model.first_moment + at), second{};
  if (model.second_moment != nullptr) second = load<N>(model.second_moment + at);
  float penalty = 0;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    penalty += update(model.hyper, step, decays, sums[i], w.at[i], first.at[i], second.at[i]);
    has_non_finite = has_non_finite || !(fabsf(w.at[i]) <= 3.402823466e38f);
  }
  store(model.parameters + at, w);
  store(model.first_moment + at, first);
  if (model.second_moment != nullptr) store(model.second_moment + at, second);
  return penalty;
}

// The rates of the step over the minibatch that begins at row `first` of the epoch, and its mixup.
__device__ __forceinline__ DeviceStep begin_step(const DeviceHyper& hyper, const TrainingState& state,
                                                 int first) {
  DeviceStep step;
  const StepRates rates = step_rates(hyper.rules, state);
  step.n_rows = std::min(hyper.batch_size, hyper.n_used - first);
  step.learning_rate = static_cast<float>(rates.learning_rate);
  step.epsilon = static_cast<float>(rates.epsilon);
  step.weight_decay = static_cast<float>(rates.weight_decay);
  step.inverse_weight = 1.0f / static_cast<float>(step.n_rows);
  step.mixup = mixup(hyper.random_state, state.n_iter, first / hyper.batch_size, step.n_rows, hyper.mixup);
  return step;
}

// The row of the resident matrix at a position of the epoch: an original or one of its copies.
__device__ __forceinline__ int row_at(const DeviceModel& model, const EpochPermutation& permutation,
                                      int position) {
  const DeviceHyper& hyper = model.hyper;
  const auto at = static_cast<std::uint32_t>(position);
  const int original = model.rows[hyper.shuffle ? permutation(at) : at];
  return original + hyper.n_originals * copy_of(hyper.random_state, model.state.n_iter, at, hyper.n_copies);
}

}  // namespace melgrad::MELGRAD_KERNELS
