#include "host/cpu/cpu_mlp_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

// Everything up to HWY_ONCE is compiled once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/cpu_mlp_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "hwy/contrib/math/math-inl.h"

#include "host/cpu/gemm-inl.hpp"
#include "host/cpu/vector_math-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

Index n_lanes() {
  return static_cast<Index>(hn::Lanes(FloatTag()));
}

// --- Rows in --------------------------------------------------------------------------------------------

void order_rows(const EpochPermutation& permutation, int n_rows, MlpWorkspace& workspace) {
  const std::uint32_t domain = permutation.domain();
  std::uint32_t* permuted = workspace.permuted.data();
  for (std::uint32_t x = 0; x < domain; ++x) permuted[x] = permutation.mix(x);  // vectorised by the compiler
  for (int position = 0; position < n_rows; ++position) {
    std::uint32_t row = permuted[position];
    while (row >= static_cast<std::uint32_t>(n_rows)) row = permuted[row];
    workspace.order[static_cast<std::size_t>(position)] = row;
  }
}

void gather(const MlpNetwork& network, MatrixView<const float> features, const RowChoice& choice,
            Index n_rows, MlpWorkspace& workspace) {
  const FloatTag d;
  const Index n_features = network.layers[0].fan_in;
  const Index stride = row_stride(n_features + 1);
  const float* mean = workspace.mean.data();
  const float* inverse_scale = workspace.inverse_scale.data();
  for (Index i = 0; i < n_rows; ++i) {
    const float* in = features.data + choice[i] * features.stride;
    float* out = workspace.activations[0].data() + i * stride;
    Index k = 0;
    for (; k + n_lanes() <= n_features; k += n_lanes())
      hn::Store(hn::Mul(hn::Sub(hn::LoadU(d, in + k), hn::Load(d, mean + k)), hn::Load(d, inverse_scale + k)),
                d, out + k);
    for (; k < n_features; ++k) out[k] = (in[k] - mean[k]) * inverse_scale[k];
  }
}

// --- Epilogues ------------------------------------------------------------------------------------------

// Columns [first, padded) of n_rows rows become value, 0, 0 ...
void set_padding(float* data, Index stride, Index n_rows, Index first, float value) {
  for (Index row = 0; row < n_rows; ++row) {
    float* out = data + row * stride;
    for (Index col = first; col < padded_columns(first); ++col) out[col] = 0;
    out[first] = value;
  }
}

// Forward: the activation, in place.
struct Activate {
  Activation activation;
  float* c;
  Index ldc;

  float* target(Index row, Index col) const { return c + row * ldc + col; }
  Index stride(Index) const { return ldc; }
  void done(Index row, Index n_rows, Index col, Index n_vecs) const;
};

template <class F>
HWY_INLINE void for_each_vector(float* c, Index ldc, Index n_rows, Index n_vecs, F&& f) {
  const FloatTag d;
  for (Index row = 0; row < n_rows; ++row) {
    for (Index vec = 0; vec < n_vecs; ++vec) {
      const Index at = row * ldc + vec * n_lanes();
      hn::Store(f(hn::Load(d, c + at), at), d, c + at);
    }
  }
}

HWY_NOINLINE void Activate::done(Index row, Index n_rows, Index col, Index n_vecs) const {
  const FloatTag d;
  float* tile = target(row, col);
  switch (activation) {
    case Activation::identity:
      return;
    case Activation::logistic:
      return for_each_vector(tile, ldc, n_rows, n_vecs,
                             [&](FloatVec z, Index) HWY_ATTR { return logistic(d, z); });
    case Activation::tanh:
      return for_each_vector(tile, ldc, n_rows, n_vecs,
                             [&](FloatVec z, Index) HWY_ATTR { return tanh(d, z); });
    case Activation::relu:
      return for_each_vector(tile, ldc, n_rows, n_vecs,
                             [&](FloatVec z, Index) HWY_ATTR { return at_least(d, z, 0.0f); });
    case Activation::gelu:
      return;
  }
}

// Backward: times the activation's derivative, as a function of the activation h, in place.
struct Derive {
  Activation activation;
  const float* h;  // of the same stride as c
  float* c;
  Index ldc;

  float* target(Index row, Index col) const { return c + row * ldc + col; }
  Index stride(Index) const { return ldc; }
  void done(Index row, Index n_rows, Index col, Index n_vecs) const;
};

HWY_NOINLINE void Derive::done(Index row, Index n_rows, Index col, Index n_vecs) const {
  const FloatTag d;
  float* tile = target(row, col);
  const float* h_tile = h + row * ldc + col;
  const FloatVec one = hn::Set(d, 1.0f);
  switch (activation) {
    case Activation::identity:
      return;
    case Activation::logistic:
      return for_each_vector(tile, ldc, n_rows, n_vecs, [&](FloatVec g, Index at) HWY_ATTR {
        const FloatVec y = hn::Load(d, h_tile + at);
        return hn::Mul(hn::Mul(g, y), hn::Sub(one, y));
      });
    case Activation::tanh:
      return for_each_vector(tile, ldc, n_rows, n_vecs, [&](FloatVec g, Index at) HWY_ATTR {
        const FloatVec y = hn::Load(d, h_tile + at);
        return hn::Mul(g, hn::NegMulAdd(y, y, one));
      });
    case Activation::relu:
      return for_each_vector(tile, ldc, n_rows, n_vecs, [&](FloatVec g, Index at) HWY_ATTR {
        return hn::IfThenZeroElse(hn::Eq(hn::Load(d, h_tile + at), hn::Zero(d)), g);
      });
    case Activation::gelu:
      return;
  }
}

// The optimiser: the tile is a sum of gradients over the rows of the minibatch, on its way to the parameters.
struct Optimise {
  const OptimiserStep& step;
  const MlpLayer& layer;
  const MlpBuffers& buffers;
  const float* decay;     // [cols]
  const float* no_decay;  // [cols]
  float* tile;            // [max_tile_floats]
  double penalty = 0;     // sum of decay * w^2

  float* target(Index, Index) { return tile; }
  Index stride(Index n_vecs) const { return n_vecs * n_lanes(); }
  void done(Index row, Index n_rows, Index col, Index n_vecs);
  template <class Update>
  void update_tile(Index row, Index n_rows, Index col, Index n_vecs, Update&& update);
};

// update(at, w, gradient) gives the new w of the vector at parameters + at.
template <class Update>
HWY_INLINE void Optimise::update_tile(Index row, Index n_rows, Index col, Index n_vecs, Update&& update) {
  const FloatTag d;
  const FloatVec inverse_n_rows = hn::Set(d, step.inverse_n_rows);
  FloatVec squares = hn::Zero(d);
  for (Index r = 0; r < n_rows; ++r) {
    const bool is_bias = !layer.transposed && row + r == layer.fan_in;
    const float* row_decay = (is_bias ? no_decay : decay) + col;
    for (Index vec = 0; vec < n_vecs; ++vec) {
      const Index in_row = vec * n_lanes();
      const Index at = layer.offset + (row + r) * layer.stride + col + in_row;
      const FloatVec w = hn::Load(d, buffers.parameters + at);
      const FloatVec decayed = hn::Mul(hn::Load(d, row_decay + in_row), w);
      squares = hn::MulAdd(decayed, w, squares);
      const FloatVec sum = hn::Load(d, tile + r * stride(n_vecs) + in_row);
      hn::Store(update(at, w, hn::Mul(hn::Add(sum, decayed), inverse_n_rows)), d, buffers.parameters + at);
    }
  }
  penalty += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, squares)));
}

HWY_NOINLINE void Optimise::done(Index row, Index n_rows, Index col, Index n_vecs) {
  const FloatTag d;
  const FloatVec rate = hn::Set(d, step.learning_rate);
  if (step.solver == Solver::adam) {
    const FloatVec beta_1 = hn::Set(d, step.beta_1), rest_1 = hn::Set(d, step.one_minus_beta_1);
    const FloatVec beta_2 = hn::Set(d, step.beta_2), rest_2 = hn::Set(d, step.one_minus_beta_2);
    const FloatVec epsilon = hn::Set(d, step.epsilon);
    update_tile(row, n_rows, col, n_vecs, [&](Index at, FloatVec w, FloatVec g) HWY_ATTR {
      float* m_at = buffers.first_moment + at;
      float* v_at = buffers.second_moment + at;
      const FloatVec m = hn::MulAdd(beta_1, hn::Load(d, m_at), hn::Mul(rest_1, g));
      const FloatVec v = hn::MulAdd(beta_2, hn::Load(d, v_at), hn::Mul(rest_2, hn::Mul(g, g)));
      hn::Store(m, d, m_at);
      hn::Store(v, d, v_at);
      const FloatVec denominator = hn::Add(square_root(d, v), epsilon);
      return hn::NegMulAdd(hn::Mul(rate, m), reciprocal(d, denominator), w);
    });
  } else {
    const FloatVec momentum = hn::Set(d, step.momentum);
    const bool nesterov = step.nesterovs_momentum;
    update_tile(row, n_rows, col, n_vecs, [&](Index at, FloatVec w, FloatVec g) HWY_ATTR {
      float* velocity_at = buffers.first_moment + at;
      const FloatVec descent = hn::Mul(rate, g);
      const FloatVec velocity = hn::MulSub(momentum, hn::Load(d, velocity_at), descent);
      hn::Store(velocity, d, velocity_at);
      return hn::Add(w, nesterov ? hn::MulSub(momentum, velocity, descent) : velocity);
    });
  }
}

// --- Loss -----------------------------------------------------------------------------------------------

// Row r of z [n_rows, n_classes] becomes its softmax; sum of exponentials and maximum are returned.
struct SoftmaxRow {
  float sum;
  float maximum;
};
HWY_INLINE SoftmaxRow softmax_row(float* z, Index n_classes) {
  const FloatTag d;
  const Index lanes = n_lanes();
  // Lanes beyond the classes take the lowest float, whose exponential must count as 0.
  const auto load = [&](Index c) HWY_ATTR {
    const FloatVec x = hn::Load(d, z + c);
    return hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(n_classes - c)), x,
                          hn::Set(d, hwy::LowestValue<float>()));
  };
  FloatVec maximum = load(0);
  for (Index c = lanes; c < n_classes; c += lanes) maximum = hn::Max(maximum, load(c));
  maximum = hn::MaxOfLanes(d, maximum);
  FloatVec sum = hn::Zero(d);
  for (Index c = 0; c < n_classes; c += lanes) {
    const auto is_class = hn::FirstN(d, static_cast<std::size_t>(n_classes - c));
    const FloatVec e = hn::IfThenElseZero(is_class, exp(d, hn::Sub(load(c), maximum)));
    sum = hn::Add(sum, e);
    hn::Store(e, d, z + c);
  }
  sum = hn::SumOfLanes(d, sum);
  const FloatVec scale = hn::Div(hn::Set(d, 1.0f), sum);
  for (Index c = 0; c < n_classes; c += lanes) hn::Store(hn::Mul(hn::Load(d, z + c), scale), d, z + c);
  return {hn::GetLane(sum), hn::GetLane(maximum)};
}

// Sum over the rows of at most max_row_loss each: log(sums) + gaps.
double sum_of_losses(float* sums, float* gaps, Index n_rows) {
  const FloatTag d;
  for (Index row = n_rows; row < padded_columns(n_rows); ++row) {
    sums[row] = 1;
    gaps[row] = 0;
  }
  FloatVec total = hn::Zero(d);
  for (Index row = 0; row < n_rows; row += n_lanes()) {
    const FloatVec loss = hn::Add(hn::Log(d, hn::Load(d, sums + row)), hn::Load(d, gaps + row));
    total = hn::Add(total, at_most(d, loss, max_row_loss));
  }
  return static_cast<double>(hn::GetLane(hn::SumOfLanes(d, total)));
}

// Softmax and cross-entropy: z [n_rows, n_classes] becomes probability - target; gives the sum over the rows
// of -log(probability of the label).
double softmax_loss(const MlpNetwork& network, Index n_rows, MlpWorkspace& workspace) {
  const Index n_classes = network.layers.back().fan_out;
  float* sums = workspace.row_terms[0].data();
  float* gaps = workspace.row_terms[1].data();
  for (Index row = 0; row < n_rows; ++row) {
    float* z = workspace.activations.back().data() + row * row_stride(n_classes + 1);
    const int label = workspace.labels[static_cast<std::size_t>(row)];
    const float z_label = z[label];
    const SoftmaxRow softmax = softmax_row(z, n_classes);
    z[label] -= 1.0f;
    sums[row] = softmax.sum;
    gaps[row] = softmax.maximum - z_label;
  }
  return sum_of_losses(sums, gaps, n_rows);
}

// One logistic output and binary cross-entropy: z [n_rows] becomes probability - label, with
// loss = log(1 + e^-|z|) + max(z, 0) - z label, and no cancellation for large |z|.
double logistic_loss(const MlpNetwork& network, Index n_rows, MlpWorkspace& workspace) {
  const Index stride = row_stride(network.layers.back().fan_out + 1);
  float* sums = workspace.row_terms[0].data();
  float* gaps = workspace.row_terms[1].data();
  float* z = workspace.activations.back().data();
  const FloatTag d;
  const FloatVec one = hn::Set(d, 1.0f);
  for (Index first = 0; first < n_rows; first += n_lanes()) {
    const Index n = std::min(n_lanes(), n_rows - first);
    HWY_ALIGN float z_lanes[16] = {};
    HWY_ALIGN float labels[16] = {};
    HWY_ALIGN float delta[16];
    for (Index i = 0; i < n; ++i) {
      z_lanes[i] = z[(first + i) * stride];
      labels[i] = static_cast<float>(workspace.labels[static_cast<std::size_t>(first + i)]);
    }
    const FloatVec x = hn::Load(d, z_lanes);
    const FloatVec label = hn::Load(d, labels);
    const FloatVec e = exp(d, hn::Neg(hn::Abs(x)));
    const FloatVec sum = hn::Add(one, e);
    const FloatVec rest = reciprocal(d, sum);  // of the likelier class
    const FloatVec probability = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(e, rest), rest);
    hn::Store(hn::Sub(probability, label), d, delta);
    hn::Store(sum, d, sums + first);
    hn::Store(hn::NegMulAdd(x, label, at_least(d, x, 0.0f)), d, gaps + first);
    for (Index i = 0; i < n; ++i) z[(first + i) * stride] = delta[i];
  }
  return sum_of_losses(sums, gaps, n_rows);
}

// --- The network ----------------------------------------------------------------------------------------

// activations[l + 1] = f(activations[l] W_l + b_l), up to the outputs before softmax or logistic.
void forward_layers(const MlpNetwork& network, const float* parameters, Index n_rows,
                    MlpWorkspace& workspace) {
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const MlpLayer& layer = network.layers[l];
    const bool is_last = l + 1 == network.layers.size();
    const Operand in{workspace.activations[l].data(), row_stride(layer.fan_in + 1)};
    const Operand weights{parameters + layer.offset, layer.stride};
    const Activate activate{is_last ? Activation::identity : network.activation,
                            workspace.activations[l + 1].data(), row_stride(layer.fan_out + 1)};
    if (layer.transposed) {
      multiply_by_rows(in, weights, n_rows, (layer.fan_out + 3) / 4 * 4, padded_columns(layer.fan_in + 1),
                       activate.c, activate.ldc);
      activate.done(0, n_rows, 0, padded_columns(layer.fan_out) / n_lanes());
    } else {
      multiply<Lies::as_is>(in, weights, n_rows, layer.fan_out, layer.fan_in + 1, activate);
    }
    if (!is_last) set_padding(activate.c, activate.ldc, n_rows, layer.fan_out, 1.0f);
  }
}

// Backward through layer l > 0: delta_in = (delta_out W^T) * f'(activations[l]).
void backward_inputs(const MlpNetwork& network, const float* parameters, std::size_t l, Operand delta_out,
                     Index n_rows, float* delta_in, MlpWorkspace& workspace) {
  const MlpLayer& layer = network.layers[l];
  Operand weights{parameters + layer.offset, layer.stride};
  if (!layer.transposed) {
    const Index stride = row_stride(layer.fan_in + 1);
    transpose(weights, layer.fan_in, layer.fan_out, workspace.transposed.data(), stride);
    weights = {workspace.transposed.data(), stride};
  }
  Derive derive{network.activation, workspace.activations[l].data(), delta_in, row_stride(layer.fan_in + 1)};
  multiply<Lies::as_is>(delta_out, weights, n_rows, layer.fan_in, layer.fan_out, derive);
  set_padding(delta_in, derive.ldc, n_rows, layer.fan_in, 0.0f);
}

// The gradient of layer l, summed over the rows and given to the optimiser; returns its part of
// alpha * sum of w^2.
double backward_weights(const MlpNetwork& network, const MlpBuffers& buffers, const OptimiserStep& step,
                        std::size_t l, Operand delta_out, Index n_rows, MlpWorkspace& workspace) {
  const MlpLayer& layer = network.layers[l];
  const Operand in{workspace.activations[l].data(), row_stride(layer.fan_in + 1)};
  HWY_ALIGN float tile[max_tile_floats];
  Optimise optimise{step, layer, buffers, workspace.decay[l].data(), workspace.no_decay.data(), tile};
  if (layer.transposed)
    multiply<Lies::transposed>(delta_out, in, layer.fan_out, layer.fan_in + 1, n_rows, optimise);
  else
    multiply<Lies::transposed>(in, delta_out, layer.fan_in + 1, layer.fan_out, n_rows, optimise);
  return optimise.penalty;
}

double train_step(const MlpNetwork& network, const MlpBuffers& buffers, const OptimiserStep& step,
                  Index n_rows, MlpWorkspace& workspace) {
  forward_layers(network, buffers.parameters, n_rows, workspace);
  const double loss = network.n_classes == 2 ? logistic_loss(network, n_rows, workspace)
                                             : softmax_loss(network, n_rows, workspace);
  double penalty = 0;
  Operand delta{workspace.activations.back().data(), row_stride(network.layers.back().fan_out + 1)};
  for (std::size_t l = network.layers.size(); l-- > 0;) {
    // The inputs' delta needs the weights as they were in the forward pass, so it comes before the step.
    float* delta_in = workspace.delta[l % 2].data();
    if (l > 0) backward_inputs(network, buffers.parameters, l, delta, n_rows, delta_in, workspace);
    penalty += backward_weights(network, buffers, step, l, delta, n_rows, workspace);
    delta = {delta_in, row_stride(network.layers[l].fan_in + 1)};
  }
  return loss + 0.5 * penalty;
}

void forward(const MlpNetwork& network, const float* parameters, Index n_rows, MlpWorkspace& workspace) {
  forward_layers(network, parameters, n_rows, workspace);
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

MlpKernels kernels() {
  return {order_rows, gather, train_step, forward, all_finite, map_exp, map_logistic, map_tanh};
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
