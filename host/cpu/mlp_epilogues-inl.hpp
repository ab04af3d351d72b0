// What follows each tile of a product of gemm-inl.hpp: activation, its derivative, the optimiser. Included
// once per target of Highway.

#if defined(MELGRAD_HOST_CPU_MLP_EPILOGUES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_MLP_EPILOGUES_INL
#undef MELGRAD_HOST_CPU_MLP_EPILOGUES_INL
#else
#define MELGRAD_HOST_CPU_MLP_EPILOGUES_INL
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>

#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/gemm-inl.hpp"
#include "host/cpu/vector_math-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

inline Index n_lanes() {
  return static_cast<Index>(hn::Lanes(FloatTag()));
}

// Columns [first, padded) of n_rows rows become value, 0, 0 ...
inline void set_padding(float* data, Index stride, Index n_rows, Index first, float value) {
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
  float* slopes = nullptr;  // gelu's derivative, of the same stride as c; where it is wanted

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

inline HWY_NOINLINE void Activate::done(Index row, Index n_rows, Index col, Index n_vecs) const {
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
      return for_each_vector(tile, ldc, n_rows, n_vecs, [&](FloatVec z, Index at) HWY_ATTR {
        FloatVec slope;
        const FloatVec h = gelu(d, z, slope);
        if (slopes != nullptr) hn::Store(slope, d, slopes + row * ldc + col + at);
        return h;
      });
  }
}

// Backward: times the activation's derivative, as a function of the activation h, in place; or times slopes,
// where those were kept.
struct Derive {
  Activation activation;
  const float* h;       // of the same stride as c
  const float* slopes;  // likewise, or null
  float* c;
  Index ldc;

  float* target(Index row, Index col) const { return c + row * ldc + col; }
  Index stride(Index) const { return ldc; }
  void done(Index row, Index n_rows, Index col, Index n_vecs) const;
};

inline HWY_NOINLINE void Derive::done(Index row, Index n_rows, Index col, Index n_vecs) const {
  const FloatTag d;
  float* tile = target(row, col);
  const float* h_tile = h + row * ldc + col;
  const FloatVec one = hn::Set(d, 1.0f);
  if (slopes != nullptr) {
    const float* slopes_tile = slopes + row * ldc + col;
    return for_each_vector(tile, ldc, n_rows, n_vecs, [&](FloatVec g, Index at) HWY_ATTR {
      return hn::Mul(g, hn::Load(d, slopes_tile + at));
    });
  }
  switch (activation) {
    case Activation::identity:
    case Activation::gelu:  // always with slopes
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
  double penalty = 0;     // sum of decay * w^2, but for adamw

  float* target(Index, Index) { return tile; }
  Index stride(Index n_vecs) const { return n_vecs * n_lanes(); }
  void fetch(Index row, Index n_rows, Index col, Index n_vecs) const;
  void done(Index row, Index n_rows, Index col, Index n_vecs);
  template <bool kDecoupled, class Update>
  void update_tile(Index row, Index n_rows, Index col, Index n_vecs, Update&& update);
  template <bool kDecoupled>
  void adam_tile(Index row, Index n_rows, Index col, Index n_vecs);
};

// Parameters and moments of a large layer come from memory.
HWY_INLINE void Optimise::fetch(Index row, Index n_rows, Index col, Index n_vecs) const {
  for (Index r = 0; r < n_rows; ++r) {
    const Index at = layer.offset + (row + r) * layer.stride + col;
    for (const float* values : {buffers.parameters, buffers.first_moment, buffers.second_moment})
      for (Index vec = 0; values != nullptr && vec < n_vecs; ++vec)
        hwy::Prefetch(values + at + vec * n_lanes());
  }
}

// update(at, w, gradient) gives the new w of the vector at parameters + at. decay w belongs to the gradient,
// or with kDecoupled (adamw) is taken off w before.
template <bool kDecoupled, class Update>
HWY_INLINE void Optimise::update_tile(Index row, Index n_rows, Index col, Index n_vecs, Update&& update) {
  const FloatTag d;
  const FloatVec inverse_weight = hn::Set(d, step.inverse_weight);
  const FloatVec weight_decay = hn::Set(d, step.weight_decay);
  FloatVec squares = hn::Zero(d);
  for (Index r = 0; r < n_rows; ++r) {
    const bool is_bias = !layer.transposed && row + r == layer.fan_in;
    const float* row_decay = (is_bias ? no_decay : decay) + col;
    for (Index vec = 0; vec < n_vecs; ++vec) {
      const Index in_row = vec * n_lanes();
      const Index at = layer.offset + (row + r) * layer.stride + col + in_row;
      const FloatVec w = hn::Load(d, buffers.parameters + at);
      const FloatVec decayed = hn::Mul(hn::Load(d, row_decay + in_row), w);
      const FloatVec sum = hn::Load(d, tile + r * stride(n_vecs) + in_row);
      FloatVec next;
      if constexpr (kDecoupled) {
        next = update(at, hn::NegMulAdd(weight_decay, decayed, w), hn::Mul(sum, inverse_weight));
      } else {
        squares = hn::MulAdd(decayed, w, squares);
        next = update(at, w, hn::Mul(hn::Add(sum, decayed), inverse_weight));
      }
      hn::Store(next, d, buffers.parameters + at);
    }
  }
  penalty += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, squares)));
}

template <bool kDecoupled>
HWY_NOINLINE void Optimise::adam_tile(Index row, Index n_rows, Index col, Index n_vecs) {
  const FloatTag d;
  const FloatVec rate = hn::Set(d, step.learning_rate);
  const FloatVec beta_1 = hn::Set(d, step.beta_1), rest_1 = hn::Set(d, step.one_minus_beta_1);
  const FloatVec beta_2 = hn::Set(d, step.beta_2), rest_2 = hn::Set(d, step.one_minus_beta_2);
  const FloatVec epsilon = hn::Set(d, step.epsilon);
  update_tile<kDecoupled>(row, n_rows, col, n_vecs, [&](Index at, FloatVec w, FloatVec g) HWY_ATTR {
    float* m_at = buffers.first_moment + at;
    float* v_at = buffers.second_moment + at;
    const FloatVec m = hn::MulAdd(beta_1, hn::Load(d, m_at), hn::Mul(rest_1, g));
    const FloatVec v = hn::MulAdd(beta_2, hn::Load(d, v_at), hn::Mul(rest_2, hn::Mul(g, g)));
    hn::Store(m, d, m_at);
    hn::Store(v, d, v_at);
    const FloatVec denominator = hn::Add(square_root(d, v), epsilon);
    return hn::NegMulAdd(hn::Mul(rate, m), reciprocal(d, denominator), w);
  });
}

inline HWY_NOINLINE void Optimise::done(Index row, Index n_rows, Index col, Index n_vecs) {
  if (step.solver == Solver::adam) return adam_tile<false>(row, n_rows, col, n_vecs);
  if (step.solver == Solver::adamw) return adam_tile<true>(row, n_rows, col, n_vecs);
  const FloatTag d;
  const FloatVec rate = hn::Set(d, step.learning_rate);
  const FloatVec momentum = hn::Set(d, step.momentum);
  const bool nesterov = step.nesterovs_momentum;
  update_tile<false>(row, n_rows, col, n_vecs, [&](Index at, FloatVec w, FloatVec g) HWY_ATTR {
    float* velocity_at = buffers.first_moment + at;
    const FloatVec descent = hn::Mul(rate, g);
    const FloatVec velocity = hn::MulSub(momentum, hn::Load(d, velocity_at), descent);
    hn::Store(velocity, d, velocity_at);
    return hn::Add(w, nesterov ? hn::MulSub(momentum, velocity, descent) : velocity);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
