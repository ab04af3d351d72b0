// The products of a first layer in bf16: inputs, weights and gradients are rounded to bf16 on the way into a
// product, whose sums, like the weights themselves, stay float32. For processors with AVX512_BF16, which do
// two multiply-adds of bf16 where they do one of float32. Included once per target of Highway.

#if defined(MELGRAD_HOST_CPU_MLP_BF16_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_MLP_BF16_INL
#undef MELGRAD_HOST_CPU_MLP_BF16_INL
#else
#define MELGRAD_HOST_CPU_MLP_BF16_INL
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/mlp_epilogues-inl.hpp"

// Highway's own bf16 products are emulated for this target until 1.1, so they are written with intrinsics.
#undef MELGRAD_BF16
#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
#define MELGRAD_BF16 1
#include <immintrin.h>
#else
#define MELGRAD_BF16 0
#endif

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

#if MELGRAD_BF16

inline bool processor_has_bf16() {
  return __builtin_cpu_supports("avx512bf16") != 0;
}

// Nearest bf16, ties to even; NaN stays NaN.
HWY_INLINE std::uint32_t bf16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t nearest = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : nearest;
}

// out [n_rows, n_pairs] = pairs of neighbouring columns of in.
inline void pair_columns(Operand in, Index n_rows, Index n_pairs, std::uint32_t* out, Index out_stride) {
  for (Index row = 0; row < n_rows; ++row) {
    const float* HWY_RESTRICT from = in.row(row);
    std::uint32_t* HWY_RESTRICT to = out + row * out_stride;
    for (Index k = 0; k < n_pairs; ++k)  // vectorised by the compiler
      to[k] = bf16_bits(from[2 * k]) | bf16_bits(from[2 * k + 1]) << 16;
  }
}

// out [(n_rows + 1) / 2, n_cols] = pairs of neighbouring rows of in; the last of an odd number is paired with
// 0.
inline void pair_rows(Operand in, Index n_rows, Index n_cols, std::uint32_t* out, Index out_stride) {
  for (Index row = 0; row < n_rows; row += 2) {
    const float* HWY_RESTRICT low = in.row(row);
    const float* HWY_RESTRICT high = in.row(row + 1 < n_rows ? row + 1 : row);
    const std::uint32_t mask = row + 1 < n_rows ? 0xffff0000u : 0u;
    std::uint32_t* HWY_RESTRICT to = out + row / 2 * out_stride;
    for (Index col = 0; col < n_cols; ++col)  // vectorised by the compiler
      to[col] = bf16_bits(low[col]) | (bf16_bits(high[col]) << 16 & mask);
  }
}

// C [8, kVecs vectors] = A [8, 2 n_pairs] * B [2 n_pairs, kVecs vectors]: pair k of row r of A is at
// a[r * lda + k], or a[k * lda + r] where A lies transposed; that of column c of B at b[k * ldb + c].
inline constexpr int bf16_tile_rows = 8;
template <int kVecs, Lies kLies>
HWY_NOINLINE __attribute__((target("avx512bf16"))) void multiply_bf16_tile(
    const std::uint32_t* HWY_RESTRICT a, Index lda, const std::uint32_t* HWY_RESTRICT b, Index ldb,
    Index n_pairs, float* HWY_RESTRICT c, Index ldc) {
  __m512 sum[bf16_tile_rows][kVecs];
  MELGRAD_UNROLL for (int r = 0; r < bf16_tile_rows; ++r) {
    MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = _mm512_setzero_ps();
  }
  for (Index k = 0; k < n_pairs; ++k) {
    __m512bh b_row[kVecs];
    MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) b_row[v] =
        (__m512bh)_mm512_load_si512(b + k * ldb + v * 16);
    MELGRAD_UNROLL for (int r = 0; r < bf16_tile_rows; ++r) {
      const std::uint32_t pair = kLies == Lies::as_is ? a[r * lda + k] : a[k * lda + r];
      const auto x = (__m512bh)_mm512_set1_epi32(static_cast<int>(pair));
      MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], x, b_row[v]);
    }
  }
  MELGRAD_UNROLL for (int r = 0; r < bf16_tile_rows; ++r) {
    MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) _mm512_store_ps(c + r * ldc + v * 16, sum[r][v]);
  }
}

struct Bf16Operand {
  const std::uint32_t* data;
  Index stride;
};

template <int kVecs, Lies kLies, class Epilogue>
void multiply_bf16_panel(Bf16Operand a, Bf16Operand b, Index n_rows, Index n_pairs, Index col,
                         Epilogue& epilogue) {
  HWY_ALIGN float tile[bf16_tile_rows * kVecs * 16];
  for (Index row = 0; row < n_rows; row += bf16_tile_rows) {
    const Index n = std::min<Index>(bf16_tile_rows, n_rows - row);
    const std::uint32_t* a_tile = kLies == Lies::as_is ? a.data + row * a.stride : a.data + row;
    float* target = epilogue.target(row, col);
    const Index stride = epilogue.stride(kVecs);
    const bool is_whole = n == bf16_tile_rows;
    multiply_bf16_tile<kVecs, kLies>(a_tile, a.stride, b.data + col, b.stride, n_pairs,
                                     is_whole ? target : tile, is_whole ? stride : kVecs * 16);
    for (Index r = 0; r < n && !is_whole; ++r)
      std::copy_n(tile + r * kVecs * 16, kVecs * 16, target + r * stride);
    epilogue.done(row, n, col, kVecs);
  }
}

// As multiply() of gemm-inl.hpp, of pairs. A has as many rows, or columns where it lies transposed, as fill
// the last tile.
template <Lies kLies, class Epilogue>
void multiply_bf16(Bf16Operand a, Bf16Operand b, Index n_rows, Index n_cols, Index n_pairs,
                   Epilogue& epilogue) {
  for (Index col = 0; col < n_cols;) {
    const Index n_vecs = std::min<Index>(max_tile_vecs, (n_cols - col + 15) / 16);
    if (n_vecs == 3)
      multiply_bf16_panel<3, kLies>(a, b, n_rows, n_pairs, col, epilogue);
    else if (n_vecs == 2)
      multiply_bf16_panel<2, kLies>(a, b, n_rows, n_pairs, col, epilogue);
    else
      multiply_bf16_panel<1, kLies>(a, b, n_rows, n_pairs, col, epilogue);
    col += n_vecs * 16;
  }
}

// activations[1] = activations[0] W_0, through the epilogue.
inline void multiply_weights_bf16(const MlpLayer& layer, const float* parameters, Index n_rows,
                                  MlpWorkspace& workspace, const Activate& activate) {
  const Operand in{workspace.activations[0].data(), row_stride(layer.fan_in + 1)};
  const Index n_pairs = (layer.fan_in + 2) / 2;
  MlpBf16& pairs = workspace.bf16;
  pair_columns(in, n_rows, n_pairs, pairs.inputs.data(), in.stride / 2);
  pair_rows({parameters + layer.offset, layer.stride}, layer.fan_in + 1, padded_columns(layer.fan_out),
            pairs.right.data(), layer.stride);
  multiply_bf16<Lies::as_is>({pairs.inputs.data(), in.stride / 2}, {pairs.right.data(), layer.stride}, n_rows,
                             layer.fan_out, n_pairs, activate);
}

// The gradient of layer 0, summed over the rows, through the epilogue.
inline void multiply_gradient_bf16(const MlpLayer& layer, Operand delta, Index n_rows,
                                   MlpWorkspace& workspace, Optimise& optimise) {
  const Operand in{workspace.activations[0].data(), row_stride(layer.fan_in + 1)};
  MlpBf16& pairs = workspace.bf16;
  pair_rows(in, n_rows, padded_columns(layer.fan_in + 1), pairs.inputs.data(), in.stride);
  pair_rows(delta, n_rows, padded_columns(layer.fan_out), pairs.right.data(), delta.stride);
  multiply_bf16<Lies::transposed>({pairs.inputs.data(), in.stride}, {pairs.right.data(), delta.stride},
                                  layer.fan_in + 1, layer.fan_out, (n_rows + 1) / 2, optimise);
}

#endif  // MELGRAD_BF16

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
