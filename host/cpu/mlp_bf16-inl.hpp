// The products of a first layer in bf16: inputs, weights and gradients are rounded to bf16 on the way into a
// product, whose sums, like the weights themselves, stay float32. Included once per target of Highway.

#if defined(MELGRAD_HOST_CPU_MLP_BF16_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_MLP_BF16_INL
#undef MELGRAD_HOST_CPU_MLP_BF16_INL
#else
#define MELGRAD_HOST_CPU_MLP_BF16_INL
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "host/cpu/bf16_tiles.hpp"
#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/mlp_epilogues-inl.hpp"

#undef MELGRAD_BF16
#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
#define MELGRAD_BF16 1
#else
#define MELGRAD_BF16 0
#endif

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

#if MELGRAD_BF16

struct Bf16Rows {
  const std::uint16_t* data;
  Index stride;
};
struct Bf16Pairs {
  const std::uint32_t* data;
  Index stride;
};

// Where a block goes, and what follows it, some rows at a time: its rows from `row` lie at `block`.
struct ActivateBlocks {
  const Activate& activate;

  float* target(Index row, Index col) const { return activate.target(row, col); }
  Index stride(Index) const { return activate.ldc; }
  void done(const float*, Index row, Index n_rows, Index col, Index n_vecs) const {
    activate.done(row, n_rows, col, n_vecs);
  }
};
struct OptimiseBlocks {
  Optimise& optimise;
  HWY_ALIGN float blocks[2][bf16_block * bf16_block] = {};  // the last one, and the one before
  int turn = 0;

  float* target(Index, Index) { return blocks[turn ^= 1]; }
  Index stride(Index n_vecs) const { return n_vecs * n_lanes(); }
  void done(float* block, Index row, Index n_rows, Index col, Index n_vecs) const {
    optimise.tile = block;
    optimise.done(row, n_rows, col, n_vecs);
  }
};

// A block that is multiplied, and waits for what follows.
struct Bf16Block {
  float* data = nullptr;
  Index stride = 0;
  Index row = 0, n_rows = 0, col = 0, n_vecs = 0;

  // Does share `step` of n_steps of what follows.
  template <class Blocks>
  void finish(Index step, Index n_steps, Blocks& blocks) const {
    const Index first = n_rows * step / n_steps, end = n_rows * (step + 1) / n_steps;
    if (first < end) blocks.done(data + first * stride, row + first, end - first, col, n_vecs);
  }
};

// As multiply() of gemm-inl.hpp. A and B are padded to whole blocks but for the columns of B, which are
// padded to vectors; the depth has zeros in both. What follows a block stands between the steps of the next
// one.
template <class Blocks>
void multiply_bf16(Bf16Rows a, Bf16Pairs b, Index n_rows, Index n_cols, Index depth, Blocks& blocks) {
  constexpr Index panel_pairs = 6 << 10;  // half of a first-level cache
  const Index panel = std::max<Index>(1, panel_pairs / (depth / 2 * bf16_block)) * bf16_block;
  const Index end = padded_columns(n_cols), n_steps = depth / bf16_block;
  HWY_ALIGN float scratch[bf16_block * bf16_block];
  Bf16Block last;
  const Bf16Tiles tiles;
  for (Index first = 0; first < end; first += panel) {
    for (Index row = 0; row < n_rows; row += bf16_block) {
      for (Index col = first; col < std::min(first + panel, end); col += bf16_block) {
        const Index n = std::min(bf16_block, n_rows - row), width = std::min(bf16_block, end - col);
        tiles.clear();
        for (Index step = 0; step < n_steps; ++step) {
          const Index k = step * bf16_block;
          tiles.add(a.data + row * a.stride + k, a.stride, b.data + k / 2 * b.stride + col, b.stride, width);
          last.finish(step, n_steps, blocks);
        }
        const Index n_vecs = width / n_lanes();
        last = {blocks.target(row, col), blocks.stride(n_vecs), row, n, col, n_vecs};
        if (n == bf16_block) {
          tiles.store(last.data, last.stride, width);
        } else {  // the rows that are not there must not be written
          tiles.store(scratch, bf16_block, width);
          for (Index r = 0; r < n; ++r)
            std::copy_n(scratch + r * bf16_block, width, last.data + r * last.stride);
        }
      }
    }
  }
  last.finish(0, 1, blocks);
}

// out [n_rows of bf16.input_stride] = the inputs in activations[0].
inline void round_inputs(const MlpNetwork& network, Index n_rows, const MlpWorkspace& workspace,
                         std::uint16_t* out) {
  const Index n = network.layers[0].fan_in + 1;
  for (Index row = 0; row < n_rows; ++row)
    round_to_bf16(workspace.activations[0].data() + row * row_stride(n), padded_columns(n),
                  out + row * workspace.bf16.input_stride);
}

// out [depth / 2] rows of pairs of rows of in [n_rows], zeros behind them.
inline void pair_rows(Operand in, Index n_rows, Index n_cols, Index depth, std::uint32_t* out) {
  const Index n = padded_columns(n_cols);
  for (Index row = 0; row < n_rows; row += 2, out += in.stride)
    pair_to_bf16(in.row(row), row + 1 < n_rows ? in.row(row + 1) : nullptr, n, out);
  for (Index row = (n_rows + 1) / 2 * 2; row < depth; row += 2, out += in.stride) std::fill_n(out, n, 0u);
}

// activations[1] = inputs W_0, through the epilogue.
inline void multiply_weights_bf16(const MlpNetwork& network, const float* parameters, Index n_rows,
                                  MlpWorkspace& workspace, const Activate& activate) {
  const MlpLayer& layer = network.layers[0];
  MlpBf16& bf16 = workspace.bf16;
  std::uint16_t* inputs = bf16.inputs.data();
  const Index n_inputs = in_bf16_blocks(layer.fan_in + 1);
  if (bf16.is_resident) {
    for (Index row = 0; row < n_rows; ++row)
      std::copy_n(bf16.input_rows[static_cast<std::size_t>(row)], n_inputs, inputs + row * bf16.input_stride);
  } else {
    round_inputs(network, n_rows, workspace, inputs);
  }
  for (Index row = n_rows; row < in_bf16_blocks(n_rows); ++row)
    std::fill_n(inputs + row * bf16.input_stride, n_inputs, std::uint16_t{0});
  pair_rows({parameters + layer.offset, layer.stride}, layer.fan_in + 1, layer.fan_out, n_inputs,
            bf16.right.data());
  const ActivateBlocks blocks{activate};
  multiply_bf16({inputs, bf16.input_stride}, {bf16.right.data(), layer.stride}, n_rows, layer.fan_out,
                n_inputs, blocks);
}

// The gradient of layer 0, summed over the rows, through the epilogue; after multiply_weights_bf16().
inline void multiply_gradient_bf16(const MlpLayer& layer, Operand delta, Index n_rows,
                                   MlpWorkspace& workspace, Optimise& optimise) {
  MlpBf16& bf16 = workspace.bf16;
  const Index depth = in_bf16_blocks(n_rows);
  transpose_bf16(bf16.inputs.data(), bf16.input_stride, depth, padded_columns(layer.fan_in + 1),
                 bf16.transposed.data(), bf16.transposed_stride);
  pair_rows(delta, n_rows, layer.fan_out, depth, bf16.right.data());
  OptimiseBlocks blocks{optimise};
  multiply_bf16({bf16.transposed.data(), bf16.transposed_stride}, {bf16.right.data(), delta.stride},
                layer.fan_in + 1, layer.fan_out, depth, blocks);
}

#endif  // MELGRAD_BF16

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
