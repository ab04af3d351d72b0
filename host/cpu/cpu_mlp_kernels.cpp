#include "host/cpu/cpu_mlp_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

// Everything up to HWY_ONCE is compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/cpu_mlp_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "host/cpu/gemm-inl.hpp"
#include "host/cpu/mlp_bf16-inl.hpp"
#include "host/cpu/mlp_epilogues-inl.hpp"
#include "host/cpu/mlp_hidden-inl.hpp"
#include "host/cpu/mlp_loss-inl.hpp"
#include "host/cpu/vector_math-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

// --- Rows in --------------------------------------------------------------------------------------------

void order_rows(const EpochPermutation& permutation, int n_rows, MlpWorkspace& workspace) {
  constexpr std::uint32_t n_together = 64;  // positions, so that each round is a vectorised loop
  const std::uint32_t domain = permutation.domain();
  std::uint32_t* permuted = workspace.permuted.data();
  for (std::uint32_t first = 0; first < domain; first += n_together) {
    std::uint32_t low[n_together], high[n_together];
    for (std::uint32_t i = 0; i < n_together; ++i) {
      const auto halves = permutation.split(first + i);
      low[i] = halves.low, high[i] = halves.high;
    }
    for (std::uint32_t round = 0; round < permutation.n_rounds(); round += 2) {
      for (std::uint32_t i = 0; i < n_together; ++i) {
        const auto halves = permutation.mix_twice({low[i], high[i]}, round);
        low[i] = halves.low, high[i] = halves.high;
      }
    }
    for (std::uint32_t i = 0; i < std::min(n_together, domain - first); ++i)
      permuted[first + i] = permutation.join({low[i], high[i]});
  }
  for (int position = 0; position < n_rows; ++position) {
    std::uint32_t row = permuted[position];
    while (row >= static_cast<std::uint32_t>(n_rows)) row = permuted[row];
    workspace.order[static_cast<std::size_t>(position)] = row;
  }
}

void gather(const MlpNetwork& network, MatrixView<const float> features, const RowChoice& choice,
            Index n_rows, const Mixup& mixup, const MlpWorkspace& workspace, float* inputs) {
  const FloatTag d;
  const Index n_features = network.layers[0].fan_in;
  const Index stride = row_stride(n_features + 1);
  const float* mean = workspace.mean.data();
  const float* inverse_scale = workspace.inverse_scale.data();
  // NaN and infinities stay where there is no limit, and NaN where there is one.
  const float limit = workspace.clip > 0 ? workspace.clip : std::numeric_limits<float>::infinity();
  const auto scaled = [&](float x, Index k) {
    const float z = (x - mean[k]) * inverse_scale[k];
    return z > limit ? limit : z < -limit ? -limit : z;
  };
  for (Index i = 0; i < n_rows; ++i) {
    const float* in = features.data + choice[i] * features.stride;
    float* out = inputs + i * stride;
    Index k = 0;
    for (; k + n_lanes() <= n_features; k += n_lanes()) {
      const FloatVec centred = hn::Sub(hn::LoadU(d, in + k), hn::Load(d, mean + k));
      const FloatVec z = hn::Mul(centred, hn::Load(d, inverse_scale + k));
      hn::Store(at_most(d, at_least(d, z, -limit), limit), d, out + k);
    }
    for (; k < n_features; ++k) out[k] = scaled(in[k], k);
    if (mixup.lambda == 1) continue;
    const float* partner =
        features.data +
        choice[mixup.partner(static_cast<int>(i), static_cast<int>(n_rows))] * features.stride;
    for (k = 0; k < n_features; ++k)
      out[k] = mixup.lambda * out[k] + (1 - mixup.lambda) * scaled(partner[k], k);
  }
}

// --- The network ----------------------------------------------------------------------------------------

// The constant last input of layer l, which its bias is fed by: none where batch normalisation has it.
float last_input(const MlpNetwork& network, std::size_t l) {
  return l < network.norms.size() ? 0.0f : 1.0f;
}

// multiply(), by packed panels where B is larger than the caches near the core, and the copies are worth it.
template <Lies kLies, class Epilogue>
void multiply_large(Operand a, Operand b, Index n_rows, Index n_cols, Index depth, Epilogue& epilogue,
                    float* scratch) {
  if (is_large_operand(depth, b.stride) && n_rows >= 32) {
    if constexpr (kLies == Lies::transposed)
      multiply_row_blocks(a, b, n_rows, n_cols, depth, epilogue, scratch);
    else
      multiply<kLies>(a, PackedPanels{b, scratch}, n_rows, n_cols, depth, epilogue);
  } else
    multiply<kLies>(a, b, n_rows, n_cols, depth, epilogue);
}

// activations[l + 1] = activations[l] W_l, through the epilogue.
void multiply_weights(const MlpNetwork& network, const float* parameters, std::size_t l, Index n_rows,
                      const StepOptions* options, MlpWorkspace& workspace, const Activate& activate) {
  const MlpLayer& layer = network.layers[l];
#if MELGRAD_BF16
  if (l == 0 && network.bf16 && options != nullptr)
    return multiply_weights_bf16(network, parameters, n_rows, workspace, activate);
#else
  (void)options;
#endif
  const Operand in{workspace.activations[l].data(), row_stride(layer.fan_in + 1)};
  const Operand weights{parameters + layer.offset, layer.stride};
  if (layer.transposed) {
    const Index n_cols = (layer.fan_out + 3) / 4 * 4, depth = padded_columns(layer.fan_in + 1);
    if (l == 0)
      multiply_by_rows(RowPointers{workspace.input_rows.data()}, weights, n_rows, n_cols, depth, activate.c,
                       activate.ldc);
    else
      multiply_by_rows(in, weights, n_rows, n_cols, depth, activate.c, activate.ldc);
    activate.done(0, n_rows, 0, padded_columns(layer.fan_out) / n_lanes());
  } else {
    multiply_large<Lies::as_is>(in, weights, n_rows, layer.fan_out, layer.fan_in + 1, activate,
                                workspace.panel.data());
  }
}

// activations[l + 1] of hidden layer l. `options` are those of a training step, or null.
void forward_hidden(const MlpNetwork& network, float* parameters, std::size_t l, const StepOptions* options,
                    Index n_rows, MlpWorkspace& workspace) {
  const MlpLayer& layer = network.layers[l];
  MlpHidden& hidden = workspace.hidden[l];
  Activate activate{network.activation, workspace.activations[l + 1].data(), row_stride(layer.fan_out + 1),
                    options != nullptr ? hidden.slopes.data() : nullptr};
  if (network.norms.empty()) {
    multiply_weights(network, parameters, l, n_rows, options, workspace, activate);
  } else {
    multiply_weights(network, parameters, l, n_rows, options, workspace,
                     {Activation::identity, activate.c, activate.ldc});
    if (options != nullptr)
      normalise_minibatch(network.norms[l], parameters, activate.c, activate.ldc, n_rows, hidden);
    else
      normalise_running(network.norms[l], parameters, activate.c, activate.ldc, n_rows);
    activate.done(0, n_rows, 0, padded_columns(layer.fan_out) / n_lanes());
  }
  if (options != nullptr && options->hidden.threshold != 0)
    drop_out(network.activation, *options, static_cast<int>(l), layer.fan_out, n_rows, activate.c,
             activate.ldc, hidden.slopes.data(), workspace.factors.data());
  set_padding(activate.c, activate.ldc, n_rows, layer.fan_out, last_input(network, l + 1));
}

// activations of every layer, up to the outputs before softmax or logistic.
void forward_layers(const MlpNetwork& network, float* parameters, const StepOptions* options, Index n_rows,
                    MlpWorkspace& workspace) {
  const std::size_t last = network.layers.size() - 1;
  for (std::size_t l = 0; l < last; ++l) forward_hidden(network, parameters, l, options, n_rows, workspace);
  multiply_weights(network, parameters, last, n_rows, options, workspace,
                   {Activation::identity, workspace.activations.back().data(),
                    row_stride(network.layers.back().fan_out + 1)});
}

// Backward through layer l > 0: delta_in = (delta_out W^T) * f'(activations[l]).
void backward_inputs(const MlpNetwork& network, const float* parameters, std::size_t l,
                     const StepOptions& options, Operand delta_out, Index n_rows, float* delta_in,
                     MlpWorkspace& workspace) {
  const MlpLayer& layer = network.layers[l];
  const Operand weights{parameters + layer.offset, layer.stride};
  const bool has_slopes = network.activation == Activation::gelu || options.hidden.threshold != 0;
  Derive derive{network.activation, workspace.activations[l].data(),
                has_slopes ? workspace.hidden[l - 1].slopes.data() : nullptr, delta_in,
                row_stride(layer.fan_in + 1)};
  if (layer.transposed)
    multiply<Lies::as_is>(delta_out, weights, n_rows, layer.fan_in, layer.fan_out, derive);
  else
    multiply<Lies::as_is>(delta_out, TransposedPanels{weights, layer.fan_in, workspace.panel.data()}, n_rows,
                          layer.fan_in, layer.fan_out, derive);
  set_padding(delta_in, derive.ldc, n_rows, layer.fan_in, 0.0f);
}

// Backward through the batch normalisation of hidden layer l, in place, and the step of its gamma and beta.
void backward_norm(const MlpNetwork& network, const MlpBuffers& buffers, const OptimiserStep& step,
                   std::size_t l, float* delta, Index n_rows, MlpWorkspace& workspace) {
  const MlpNorm& norm = network.norms[l];
  float* gradient = workspace.norm_gradient.data();
  normalise_backward(norm, buffers.parameters, delta, row_stride(norm.units + 1), n_rows, workspace.hidden[l],
                     gradient);
  // Two rows, gamma and beta, of a layer without a bias and without decay.
  const MlpLayer rows{
      .fan_in = 0, .fan_out = 2, .transposed = true, .stride = norm.stride, .offset = norm.gamma()};
  const float* no_decay = workspace.no_decay.data();
  Optimise{step, rows, buffers, no_decay, no_decay, gradient}.done(0, 2, 0,
                                                                   (norm.units + n_lanes() - 1) / n_lanes());
}

// The gradient of layer l, summed over the rows and given to the optimiser; returns its part of
// alpha * sum of w^2.
double backward_weights(const MlpNetwork& network, const MlpBuffers& buffers, const OptimiserStep& step,
                        std::size_t l, Operand delta_out, Index n_rows, MlpWorkspace& workspace) {
  const MlpLayer& layer = network.layers[l];
  const Operand in{workspace.activations[l].data(), row_stride(layer.fan_in + 1)};
  HWY_ALIGN float tile[max_tile_floats];
  Optimise optimise{step, layer, buffers, workspace.decay[l].data(), workspace.no_decay.data(), tile};
#if MELGRAD_BF16
  if (l == 0 && network.bf16) {
    multiply_gradient_bf16(layer, delta_out, n_rows, workspace, optimise);
    return optimise.penalty;
  }
#endif
  if (layer.transposed && l == 0)
    multiply<Lies::transposed>(delta_out, RowPointers{workspace.input_rows.data()}, layer.fan_out,
                               layer.fan_in + 1, n_rows, optimise);
  else if (layer.transposed)
    multiply<Lies::transposed>(delta_out, in, layer.fan_out, layer.fan_in + 1, n_rows, optimise);
  else
    multiply_large<Lies::transposed>(in, delta_out, layer.fan_in + 1, layer.fan_out, n_rows, optimise,
                                     workspace.panel.data());
  return optimise.penalty;
}

double train_step(const MlpNetwork& network, const MlpBuffers& buffers, const OptimiserStep& step,
                  const StepOptions& options, Index n_rows, MlpWorkspace& workspace) {
  const Index n_features = network.layers[0].fan_in;
  if (options.inputs.threshold != 0)
    drop_out_inputs(options, n_features, n_rows, workspace.activations[0].data(), row_stride(n_features + 1),
                    workspace.factors.data());
  forward_layers(network, buffers.parameters, &options, n_rows, workspace);
  const double loss = loss_and_gradient(network, n_rows, workspace);
  double penalty = 0;
  float* delta = workspace.activations.back().data();
  for (std::size_t l = network.layers.size(); l-- > 0;) {
    const Index stride = row_stride(network.layers[l].fan_out + 1);
    if (l < network.norms.size()) backward_norm(network, buffers, step, l, delta, n_rows, workspace);
    // The inputs' delta needs the weights as they were in the forward pass, so it comes before the step.
    float* delta_in = workspace.delta[l % 2].data();
    if (l > 0)
      backward_inputs(network, buffers.parameters, l, options, {delta, stride}, n_rows, delta_in, workspace);
    penalty += backward_weights(network, buffers, step, l, {delta, stride}, n_rows, workspace);
    delta = delta_in;
  }
  return loss + 0.5 * penalty;
}

void forward(const MlpNetwork& network, float* parameters, Index n_rows, MlpWorkspace& workspace) {
  forward_layers(network, parameters, nullptr, n_rows, workspace);
  const Index n = network.layers.back().fan_out;
  const Activate output{Activation::logistic, workspace.activations.back().data(), row_stride(n + 1)};
  if (network.n_classes == 2) return output.done(0, n_rows, 0, 1);
  for (Index row = 0; row < n_rows; ++row) softmax_row(output.target(row, 0), n);
}

bool all_finite(const float* values, Index n) {
  const FloatTag d;
  FloatVec sum = hn::Zero(d);
  for (Index i = 0; i < n; i += n_lanes()) sum = hn::MulAdd(hn::Load(d, values + i), hn::Zero(d), sum);
  return hn::GetLane(hn::SumOfLanes(d, sum)) == 0;  // 0 * inf and 0 * NaN are NaN
}

template <class F>
HWY_INLINE void map(const float* x, float* y, Index n, F&& f) {
  const FloatTag d;
  for (Index i = 0; i < n; i += n_lanes()) hn::StoreU(f(d, hn::LoadU(d, x + i)), d, y + i);
}
void map_exp(const float* x, float* y, Index n) {
  map(x, y, n, [](FloatTag d, FloatVec v) HWY_ATTR { return exp(d, v); });
}
void map_logistic(const float* x, float* y, Index n) {
  map(x, y, n, [](FloatTag d, FloatVec v) HWY_ATTR { return logistic(d, v); });
}
void map_tanh(const float* x, float* y, Index n) {
  map(x, y, n, [](FloatTag d, FloatVec v) HWY_ATTR { return tanh(d, v); });
}

void map_gelu(const float* x, float* y, Index n) {
  map(x, y, n, [](FloatTag d, FloatVec v) HWY_ATTR {
    FloatVec slope;
    return gelu(d, v, slope);
  });
}
void map_gelu_slope(const float* x, float* y, Index n) {
  map(x, y, n, [](FloatTag d, FloatVec v) HWY_ATTR {
    FloatVec slope;
    gelu(d, v, slope);
    return slope;
  });
}

MlpKernels kernels() {
  MlpKernels all = {"",         order_rows, gather,       nullptr,  train_step, forward,
                    all_finite, map_exp,    map_logistic, map_tanh, map_gelu,   map_gelu_slope};
#if MELGRAD_BF16
  all.lack_of_bf16 = lack_of_bf16_tiles();
  all.round_inputs = round_inputs;
#else
  all.lack_of_bf16 = "that needs AVX-512 and AMX";
#endif
  return all;
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace melgrad {

HWY_EXPORT(kernels);

MlpKernels mlp_kernels() {
  return HWY_DYNAMIC_DISPATCH(kernels)();
}

}  // namespace melgrad
#endif  // HWY_ONCE
