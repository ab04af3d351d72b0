#pragma once
// Products of bf16 with sums in float32, by AMX: the tile registers of Intel's server processors since
// Sapphire Rapids, which do eight multiply-adds of bf16 where AVX-512 does one of float32.
//
// bf16 is the upper half of a float32, rounded to the nearest, ties to even; NaN stays NaN. Numbers below the
// normal range, and sums below it, count as 0.

#include <cstdint>
#include <string>

#include "host/core/matrix.hpp"

namespace melgrad {

// What this machine lacks for the functions below, as the end of a sentence, or "". Asks the kernel for this
// process's use of the tile registers.
const std::string& lack_of_bf16_tiles();

// Rows and columns of a block of a product, and the multiple that its depth is of.
inline constexpr Index bf16_block = 32;
constexpr Index in_bf16_blocks(Index n) {
  return (n + bf16_block - 1) / bf16_block * bf16_block;
}

// The calling thread's tile registers, for as long as it multiplies. They are given back, because what they
// hold makes every change of threads slower.
//
// A block C [32, n_cols] = A [32, depth] B [depth, n_cols] of 16 or 32 columns is cleared, gets its depth in
// steps of 32, and is stored. The steps come one by one so that other work can stand between them: the
// processor does both at once. B lies as pairs of its rows: the lower half of b[k * b_stride + c] is B[2 k,
// c], the upper B[2 k + 1, c]. Strides count elements.
class Bf16Tiles {
 public:
  Bf16Tiles();
  ~Bf16Tiles();
  Bf16Tiles(const Bf16Tiles&) = delete;
  Bf16Tiles& operator=(const Bf16Tiles&) = delete;

  void clear() const;
  // Adds the product of a [32, 32] and b [16 pairs, n_cols].
  void add(const std::uint16_t* a, Index a_stride, const std::uint32_t* b, Index b_stride,
           Index n_cols) const;
  void store(float* c, Index c_stride, Index n_cols) const;
};

// out = in [n], and zeros up to whole blocks; n is a multiple of 16, in and out are aligned to 64 bytes.
void round_to_bf16(const float* in, Index n, std::uint16_t* out);

// out [n] = pairs of low (the lower halves) and high, which is null for zeros; n is a multiple of 16, all are
// aligned to 64 bytes.
void pair_to_bf16(const float* low, const float* high, Index n, std::uint32_t* out);

// out [n_cols, n_rows] = in [n_rows, n_cols]^T; n_rows is a multiple of 32, n_cols of 16, and the rows of out
// are aligned to 64 bytes.
void transpose_bf16(const std::uint16_t* in, Index in_stride, Index n_rows, Index n_cols, std::uint16_t* out,
                    Index out_stride);

}  // namespace melgrad
