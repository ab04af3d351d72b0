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

// As multiply() of gemm-inl.hpp. A and B are padded to whole blocks but for the columns of B, which are
// padded to vectors; the depth has zeros in both.
template <class Epilogue>
void multiply_bf16(Bf16Rows a, Bf16Pairs b, Index n_rows, Index n_cols, Index depth, Epilogue& epilogue) {
  constexpr Index panel_pairs = 6 << 10;  // half of a first-level cache
  const Index panel = std::max<Index>(1, panel_pairs / (depth / 2 * bf16_block)) * bf16_block;
  const Index end = padded_columns(n_cols);
  HWY_ALIGN float scratch[bf16_block * bf16_block];
  const Bf16Tiles tiles;
  for (Index first = 0; first < end; first += panel) {
    for (Index row = 0; row < n_rows; row += bf16_block) {
      const Index n = std::min(bf16_block, n_rows - row);
      for (Index col = first; col < std::min(first + panel, end); col += bf16_block) {
        const Index width = std::min(bf16_block, end - col);
        float* target = epilogue.target(row, col);
        const Index stride = epilogue.stride(width / n_lanes());
        const bool is_whole = n == bf16_block;
        tiles.multiply(a.data + row * a.stride, a.stride, b.data + col, b.stride, depth, width,
                       is_whole ? target : scratch, is_whole ? stride : bf16_block);
        for (Index r = 0; r < n && !is_whole; ++r)
          std::copy_n(scratch + r * bf16_block, width, target + r * stride);
        epilogue.done(row, n, col, width / n_lanes());
      }
    }
  }
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
  multiply_bf16({inputs, bf16.input_stride}, {bf16.right.data(), layer.stride}, n_rows, layer.fan_out,
                n_inputs, activate);
}

// The gradient of layer 0, summed over the rows, through the epilogue; after multiply_weights_bf16().
inline void multiply_gradient_bf16(const MlpLayer& layer, Operand delta, Index n_rows,
                                   MlpWorkspace& workspace, Optimise& optimise) {
  MlpBf16& bf16 = workspace.bf16;
  const Index depth = in_bf16_blocks(n_rows);
  transpose_bf16(bf16.inputs.data(), bf16.input_stride, depth, padded_columns(layer.fan_in + 1),
                 bf16.transposed.data(), bf16.transposed_stride);
  pair_rows(delta, n_rows, layer.fan_out, depth, bf16.right.data());
  HWY_ALIGN float tile[bf16_block * bf16_block];
  optimise.tile = tile;
  multiply_bf16({bf16.transposed.data(), bf16.transposed_stride}, {bf16.right.data(), delta.stride},
                layer.fan_in + 1, layer.fan_out, depth, optimise);
}

#endif  // MELGRAD_BF16

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
