// What stands between the products of a hidden layer besides its activation: batch normalisation and dropout.
// Included once per target of Highway.

#if defined(MELGRAD_HOST_CPU_MLP_HIDDEN_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_MLP_HIDDEN_INL
#undef MELGRAD_HOST_CPU_MLP_HIDDEN_INL
#else
#define MELGRAD_HOST_CPU_MLP_HIDDEN_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/mlp_epilogues-inl.hpp"
#include "host/cpu/vector_math-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

// --- Batch normalisation --------------------------------------------------------------------------------

// Column statistics of x [n_rows, units], in panels of whole vectors: f(column, mean, biased variance).
template <class F>
HWY_INLINE void for_each_column_moment(const float* x, Index stride, Index n_rows, Index units, F&& f) {
  const FloatTag d;
  const FloatVec inverse_n = hn::Set(d, 1.0f / static_cast<float>(n_rows));
  for (Index col = 0; col < units; col += n_lanes()) {
    // About the first row, so that a mean far from 0 costs no digits.
    const FloatVec origin = hn::Load(d, x + col);
    FloatVec sum = hn::Zero(d);
    for (Index row = 0; row < n_rows; ++row)
      sum = hn::Add(sum, hn::Sub(hn::Load(d, x + row * stride + col), origin));
    const FloatVec mean = hn::MulAdd(sum, inverse_n, origin);
    FloatVec squares = hn::Zero(d);
    for (Index row = 0; row < n_rows; ++row) {
      const FloatVec gap = hn::Sub(hn::Load(d, x + row * stride + col), mean);
      squares = hn::MulAdd(gap, gap, squares);
    }
    f(col, mean, hn::Mul(squares, inverse_n));
  }
}

// x [n_rows, units] becomes gamma (x - mean) / sqrt(var + epsilon) + beta, with the running moments.
inline void normalise_running(const MlpNorm& norm, const float* parameters, float* x, Index stride,
                              Index n_rows) {
  const FloatTag d;
  for (Index col = 0; col < norm.units; col += n_lanes()) {
    const FloatVec var = hn::Load(d, parameters + norm.running_var() + col);
    const FloatVec scale = hn::Div(hn::Load(d, parameters + norm.gamma() + col),
                                   hn::Sqrt(hn::Add(var, hn::Set(d, batch_norm_epsilon))));
    const FloatVec mean = hn::Load(d, parameters + norm.running_mean() + col);
    const FloatVec beta = hn::Load(d, parameters + norm.beta() + col);
    for (Index row = 0; row < n_rows; ++row) {
      float* at = x + row * stride + col;
      hn::Store(hn::MulAdd(hn::Sub(hn::Load(d, at), mean), scale, beta), d, at);
    }
  }
}

// Likewise with the minibatch's moments, which move the running ones; keeps the normalised values and
// 1 / sqrt(var + epsilon) for the way back.
inline void normalise_minibatch(const MlpNorm& norm, float* parameters, float* x, Index stride, Index n_rows,
                                MlpHidden& hidden) {
  const FloatTag d;
  const FloatVec momentum = hn::Set(d, batch_norm_momentum);
  const FloatVec unbiased =
      hn::Set(d, static_cast<float>(n_rows) / static_cast<float>(n_rows - 1));  // running_var_after()
  const auto move = [&](float* running, FloatVec towards) HWY_ATTR {
    const FloatVec old = hn::Load(d, running);
    hn::Store(hn::MulAdd(momentum, hn::Sub(towards, old), old), d, running);
  };
  for_each_column_moment(x, stride, n_rows, norm.units, [&](Index col, FloatVec mean, FloatVec var) HWY_ATTR {
    move(parameters + norm.running_mean() + col, mean);
    move(parameters + norm.running_var() + col, hn::Mul(var, unbiased));
    const FloatVec inverse =
        hn::Div(hn::Set(d, 1.0f), hn::Sqrt(hn::Add(var, hn::Set(d, batch_norm_epsilon))));
    hn::Store(inverse, d, hidden.inverse_std.data() + col);
    const FloatVec gamma = hn::Load(d, parameters + norm.gamma() + col);
    const FloatVec beta = hn::Load(d, parameters + norm.beta() + col);
    for (Index row = 0; row < n_rows; ++row) {
      const Index at = row * stride + col;
      const FloatVec normalised = hn::Mul(hn::Sub(hn::Load(d, x + at), mean), inverse);
      hn::Store(normalised, d, hidden.normalised.data() + at);
      hn::Store(hn::MulAdd(gamma, normalised, beta), d, x + at);
    }
  });
}

// delta [n_rows, units], the loss's gradient by what normalise_minibatch() gave, becomes that by what it
// took: gamma / std (delta - mean of delta - normalised * mean of delta * normalised). The sums are the
// gradients of beta and gamma, and go into gradient [2, units in whole vectors] as gamma's and beta's.
inline void normalise_backward(const MlpNorm& norm, const float* parameters, float* delta, Index stride,
                               Index n_rows, const MlpHidden& hidden, float* gradient) {
  const FloatTag d;
  const FloatVec inverse_n = hn::Set(d, 1.0f / static_cast<float>(n_rows));
  for (Index col = 0; col < norm.units; col += n_lanes()) {
    FloatVec sum = hn::Zero(d), product = hn::Zero(d);
    for (Index row = 0; row < n_rows; ++row) {
      const FloatVec g = hn::Load(d, delta + row * stride + col);
      sum = hn::Add(sum, g);
      product = hn::MulAdd(g, hn::Load(d, hidden.normalised.data() + row * stride + col), product);
    }
    hn::Store(product, d, gradient + col);
    hn::Store(sum, d, gradient + (norm.units + n_lanes() - 1) / n_lanes() * n_lanes() + col);
    const FloatVec scale =
        hn::Mul(hn::Load(d, parameters + norm.gamma() + col), hn::Load(d, hidden.inverse_std.data() + col));
    const FloatVec mean = hn::Mul(sum, inverse_n), mean_product = hn::Mul(product, inverse_n);
    for (Index row = 0; row < n_rows; ++row) {
      const Index at = row * stride + col;
      const FloatVec normalised = hn::Load(d, hidden.normalised.data() + at);
      const FloatVec centred = hn::Sub(hn::Load(d, delta + at), mean);
      hn::Store(hn::Mul(scale, hn::NegMulAdd(normalised, mean_product, centred)), d, delta + at);
    }
  }
}

// --- Dropout --------------------------------------------------------------------------------------------

// factors [padded units] of the minibatch's row `row`: dropout_factor() of dropout_bits().
inline void dropout_row(const StepOptions& options, const DropoutRate& rate, int layer, Index row,
                        Index units, float* HWY_RESTRICT factors) {
  const auto position = static_cast<std::uint32_t>(options.first + row);
  const auto n_blocks = static_cast<std::uint32_t>((units + 3) / 4);
  for (std::uint32_t block = 0; block < n_blocks; ++block) {  // vectorised by the compiler
    const PhiloxBlock bits = dropout_bits(options.random_state, options.epoch, layer, position, block);
    for (std::uint32_t i = 0; i < 4; ++i)
      factors[4 * block + i] = dropout_factor(bits[i], rate.threshold, rate.scale);
  }
}

// x [n_rows, n_features], the network's inputs, times the factors of dropout.
inline void drop_out_inputs(const StepOptions& options, Index n_features, Index n_rows, float* x,
                            Index stride, float* factors) {
  for (Index row = 0; row < n_rows; ++row) {
    dropout_row(options, options.inputs, layer_of_inputs, row, n_features, factors);
    float* HWY_RESTRICT x_row = x + row * stride;
    const float* HWY_RESTRICT by = factors;
    for (Index k = 0; k < n_features; ++k) x_row[k] *= by[k];  // vectorised by the compiler
  }
}

// h [n_rows, units] times the factors of dropout; slopes take the activation's derivative times the factors.
inline void drop_out(Activation activation, const StepOptions& options, int layer, Index units, Index n_rows,
                     float* h, Index stride, float* slopes, float* factors) {
  const FloatTag d;
  for (Index row = 0; row < n_rows; ++row) {
    dropout_row(options, options.hidden, layer, row, units, factors);
    float* h_row = h + row * stride;
    float* slopes_row = slopes + row * stride;
    const Index n_vecs = padded_columns(units) / n_lanes();
    if (activation == Activation::gelu) {  // whose slopes are there already
      for (Index vec = 0; vec < n_vecs; ++vec) {
        const Index at = vec * n_lanes();
        hn::Store(hn::Mul(hn::Load(d, slopes_row + at), hn::Load(d, factors + at)), d, slopes_row + at);
      }
    } else {
      std::copy_n(factors, padded_columns(units), slopes_row);
      const Derive derive{activation, h_row, nullptr, slopes_row, stride};
      derive.done(0, 1, 0, n_vecs);
    }
    for (Index vec = 0; vec < n_vecs; ++vec) {
      const Index at = vec * n_lanes();
      hn::Store(hn::Mul(hn::Load(d, h_row + at), hn::Load(d, factors + at)), d, h_row + at);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
