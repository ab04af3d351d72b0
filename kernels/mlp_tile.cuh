#pragma once
// Matrix products by one block of 256 threads: a tile of 16 RM x 16 CN outputs, RM x CN of them in each
// thread's registers, while 8 steps of the reduction at a time pass through shared memory. The next 8 are on
// their way from memory meanwhile; two stages, one barrier for each.

#include "kernels/mlp_math.cuh"

namespace melgrad::MELGRAD_KERNELS {

constexpr int tile_threads = 256;
constexpr int tile_depth = 8;
// Of a row of 128 in shared memory: 4 more, so that stores along a column fall into different banks.
constexpr int tile_pitch = 132;

struct TileMemory {
  alignas(16) float a[2][tile_depth * tile_pitch];
  alignas(16) float b[2][tile_depth * tile_pitch];
};

// --- Where operands come from: rows of floats, taken by four -----------------------------------------------

// data [n_rows, stride]; rows and columns beyond are 0.
struct PlainRows {
  const float* data;
  int n_rows;
  int stride;

  using Row = int;  // -1: beyond
  __device__ __forceinline__ Row row(int index) const { return index < n_rows ? index : -1; }
  __device__ __forceinline__ Floats<4> fetch(Row row, int col) const {
    return row >= 0 && col < stride ? load<4>(data + static_cast<Index>(row) * stride + col) : Floats<4>{};
  }
  __device__ __forceinline__ Floats<4> finish(const Floats<4>& raw, Row, int) const { return raw; }
};

// The inputs of a minibatch: rows row_of[i] of the resident matrix, standardised and clipped, mixed with
// their partners. (Partners are not fetched ahead: mixup is rare, and the registers are needed.)
struct GatheredRows {
  DeviceRows rows;
  const int* row_of;  // [n_rows]
  const float* mean;
  const float* inverse_scale;
  float clip;
  Mixup mixup;
  Index n_rows;

  struct Row {
    int own;      // row of the resident matrix; -1: beyond
    int partner;  // -1 without mixup
  };
  __device__ __forceinline__ Row row(int index) const {
    if (index >= n_rows) return {-1, -1};
    return {row_of[index],
            mixup.lambda == 1.0f ? -1 : row_of[mixup.partner(index, static_cast<int>(n_rows))]};
  }
  __device__ __forceinline__ Floats<4> fetch(Row row, int col) const {
    return row.own >= 0 && col < rows.stride ? load<4>(rows.features + row.own * rows.stride + col)
                                             : Floats<4>{};
  }
  __device__ __forceinline__ Floats<4> finish(const Floats<4>& raw, Row row, int col) const {
    Floats<4> x{};
    if (row.own < 0 || col >= rows.stride) return x;
    const Floats<4> centre = load<4>(mean + col), scale = load<4>(inverse_scale + col);
#pragma unroll
    for (int i = 0; i < 4; ++i) x.at[i] = clipped((raw.at[i] - centre.at[i]) * scale.at[i]);
    if (row.partner < 0) return x;
    const Floats<4> other = load<4>(rows.features + row.partner * rows.stride + col);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      x.at[i] = fmaf(mixup.lambda, x.at[i],
                     (1.0f - mixup.lambda) * clipped((other.at[i] - centre.at[i]) * scale.at[i]));
    return x;
  }
  // The column of ones stays, as clip is 1 at least; NaN stays, too.
  __device__ __forceinline__ float clipped(float x) const {
    return x > clip ? clip : x < -clip ? -clip : x;
  }
};

// --- On their way to shared memory: [tile_depth][tile_pitch] --------------------------------------------

// An operand of `width` outputs from `origin` on, of which a thread moves four values at a time. along_rows:
// a source's row belongs to an output and its columns to the reduction; else the other way round.
template <int width, bool along_rows, class Source>
class Stager {
 public:
  __device__ __forceinline__ Stager(const Source& source, int origin)
      : source_(source), origin_(origin), is_active_(static_cast<int>(threadIdx.x) < 2 * width) {
    const int t = static_cast<int>(threadIdx.x);
    if constexpr (along_rows) {
      if (is_active_) row_ = source_.row(origin_ + t / 2);
    }
  }
  __device__ __forceinline__ void fetch(int k) {
    if (!is_active_) return;
    if constexpr (!along_rows) row_ = source_.row(k + static_cast<int>(threadIdx.x) / (width / 4));
    raw_ = source_.fetch(row_, column(k));
  }
  __device__ __forceinline__ void put(int k, float* stage) const {
    if (!is_active_) return;
    const int t = static_cast<int>(threadIdx.x);
    const Floats<4> value = source_.finish(raw_, row_, column(k));
    if constexpr (along_rows) {
#pragma unroll
      for (int i = 0; i < 4; ++i) stage[(t % 2 * 4 + i) * tile_pitch + t / 2] = value.at[i];
    } else {
      store(stage + t / (width / 4) * tile_pitch + t % (width / 4) * 4, value);
    }
  }

 private:
  __device__ __forceinline__ int column(int k) const {
    const int t = static_cast<int>(threadIdx.x);
    return along_rows ? k + t % 2 * 4 : origin_ + t % (width / 4) * 4;
  }
  const Source& source_;
  int origin_;
  bool is_active_;
  typename Source::Row row_{};
  Floats<4> raw_{};
};

// --- The product ----------------------------------------------------------------------------------------

// Which output of the tile is acc[i][j] of a thread. Lanes 2 c and 2 c + 1 share columns and lanes of one
// parity share rows, so that their loads from shared memory are broadcasts.
template <int RM>
__device__ __forceinline__ int tile_row(int i) {
  const int t = static_cast<int>(threadIdx.x), group = t / 32 * 2 + t % 2;
  return i < 4 ? group * 4 + i : 64 + group * (RM - 4) + (i - 4);
}
template <int CN>
__device__ __forceinline__ int tile_col(int j) {
  const int group = static_cast<int>(threadIdx.x) % 32 / 2;
  if (CN == 1) return group;
  return j / 4 * 64 + group * 4 + j % 4;
}

template <int n>
__device__ __forceinline__ void fragment(const float* from, int group, float* values) {
  if constexpr (n == 1) {
    values[0] = from[group];
  } else {
    const Floats<4> low = load<4>(from + group * 4);
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = low.at[i];
    if constexpr (n > 4) {
      const Floats<n - 4> high = load<n - 4>(from + 64 + group * (n - 4));
#pragma unroll
      for (int i = 4; i < n; ++i) values[i] = high.at[i - 4];
    }
  }
}

// acc = sum over k < n_k of a(row, k) b(k, col), for the thread's outputs; then done(acc). All threads of the
// block. RM is 8 or 6, CN 8, 4 or 1.
template <int RM, int CN, bool a_along_rows, bool b_along_rows, class A, class B, class Done>
__device__ __forceinline__ void tile_product(TileMemory& memory, const A& a_source, int row0,
                                             const B& b_source, int col0, int n_k, Done&& done) {
  Stager<16 * RM, a_along_rows, A> a(a_source, row0);
  Stager<16 * CN, b_along_rows, B> b(b_source, col0);
  const int t = static_cast<int>(threadIdx.x), row_group = t / 32 * 2 + t % 2, col_group = t % 32 / 2;
  float acc[RM][CN] = {};
  // Wide tiles have work enough for a step to hide the next one's loads, and no registers to spare.
  [[maybe_unused]] constexpr int n_unrolled = CN == 8 ? 1 : 4;
  a.fetch(0);
  b.fetch(0);
  for (int k = 0, stage = 0; k < n_k; k += tile_depth, stage ^= 1) {
    a.put(k, memory.a[stage]);
    b.put(k, memory.b[stage]);
    __syncthreads();  // this stage is whole, and nobody reads the other one any more
    if (k + tile_depth < n_k) {
      a.fetch(k + tile_depth);
      b.fetch(k + tile_depth);
    }
#pragma unroll n_unrolled
    for (int step = 0; step < tile_depth; ++step) {
      float x[RM], y[CN];
      fragment<RM>(memory.a[stage] + step * tile_pitch, row_group, x);
      fragment<CN>(memory.b[stage] + step * tile_pitch, col_group, y);
#pragma unroll
      for (int i = 0; i < RM; ++i)
#pragma unroll
        for (int j = 0; j < CN; ++j) acc[i][j] = fmaf(x[i], y[j], acc[i][j]);
    }
  }
  done(acc);
  __syncthreads();  // the stages are free, and what done() stored is seen by the block
}

}  // namespace melgrad::MELGRAD_KERNELS
