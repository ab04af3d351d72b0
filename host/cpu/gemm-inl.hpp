// Matrix products for small networks: register-blocked micro-kernels whose results go through an epilogue
// (activation, derivative, optimiser) tile by tile, while they are in the first-level cache. Included once
// per target of Highway.
//
// A result element is one chain of multiply-adds over the depth, in ascending order, whatever tile it falls
// in: its bits depend on its row of A and its column of B alone.

#if defined(MELGRAD_HOST_CPU_GEMM_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_GEMM_INL
#undef MELGRAD_HOST_CPU_GEMM_INL
#else
#define MELGRAD_HOST_CPU_GEMM_INL
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "host/core/matrix.hpp"

#define MELGRAD_UNROLL _Pragma("GCC unroll 32")

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that rows padded to 16 floats are whole vectors on every target.
using FloatTag = hn::CappedTag<float, 16>;
using FloatVec = hn::Vec<FloatTag>;

// Rows of a tile by its width in vectors, 1 to 3: accumulators, one row of B and one broadcast must fit in
// the registers, 32 of them with AVX-512 and on Arm, else 16.
#undef MELGRAD_MANY_REGISTERS
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_ARCH_ARM_A64
#define MELGRAD_MANY_REGISTERS 1
#else
#define MELGRAD_MANY_REGISTERS 0
#endif
inline constexpr int max_tile_vecs = 3;
template <int kVecs>
inline constexpr int tile_rows = MELGRAD_MANY_REGISTERS ? (kVecs == 3   ? 8
                                                           : kVecs == 2 ? 12
                                                                        : 16)
                                                        : (kVecs == 3   ? 4
                                                           : kVecs == 2 ? 6
                                                                        : 12);
inline constexpr Index max_tile_floats = 8 * 3 * 16;  // of any tile above

// How a left operand lies in memory: A [rows, depth] as it is, or as its transpose [depth, rows].
enum class Lies { as_is, transposed };

// A row-major operand: row r starts at data + r * stride.
struct Operand {
  const float* data;
  Index stride;

  const float* row(Index r) const { return data + r * stride; }
  Operand from_row(Index r) const { return {row(r), stride}; }
  // The columns [col, col + n_cols) of the first `depth` rows, where they are right operands.
  Operand panel(Index col, Index, Index) const { return {data + col, stride}; }
};

// One whose rows lie wherever they may: row r starts at rows[r] + col.
struct RowPointers {
  const float* const* rows;
  Index col = 0;

  const float* row(Index r) const { return rows[r] + col; }
  RowPointers from_row(Index r) const { return {rows + r, col}; }
  RowPointers panel(Index c, Index, Index) const { return {rows, col + c}; }
};

// C [kRows, kVecs vectors] = A [kRows, depth] * B [depth, kVecs vectors].
template <int kRows, int kVecs, Lies kLies, class B>
HWY_NOINLINE void multiply_tile(const float* HWY_RESTRICT a, Index lda, B b, Index depth,
                                float* HWY_RESTRICT c, Index ldc) {
  const FloatTag d;
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  FloatVec sum[kRows][kVecs];
  MELGRAD_UNROLL for (int r = 0; r < kRows; ++r) {
    MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = hn::Zero(d);
  }
  for (Index k = 0; k < depth; ++k) {
    FloatVec b_row[kVecs];
    MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) b_row[v] = hn::Load(d, b.row(k) + v * lanes);
    MELGRAD_UNROLL for (int r = 0; r < kRows; ++r) {
      const FloatVec x = hn::Set(d, kLies == Lies::as_is ? a[r * lda + k] : a[k * lda + r]);
      MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) sum[r][v] = hn::MulAdd(x, b_row[v], sum[r][v]);
    }
  }
  MELGRAD_UNROLL for (int r = 0; r < kRows; ++r) {
    MELGRAD_UNROLL for (int v = 0; v < kVecs; ++v) hn::Store(sum[r][v], d, c + r * ldc + v * lanes);
  }
}

// One tile and its epilogue, for n_rows <= kRows. An epilogue says where a tile goes, target(row, col), with
// which row stride(n_vecs), and then does done(row, n_rows, col, n_vecs) on it. One that reads memory of its
// own for that asks for it by fetch(), which the product gives time to come.
template <int kRows, int kVecs, Lies kLies, class B, class Epilogue>
HWY_INLINE void multiply_rows(Operand a, B panel, Index depth, Index row, Index n_rows, Index col,
                              Epilogue& epilogue) {
  if constexpr (requires { epilogue.fetch(row, n_rows, col, kVecs); })
    epilogue.fetch(row, n_rows, col, kVecs);
  multiply_tile<kRows, kVecs, kLies>(kLies == Lies::as_is ? a.row(row) : a.data + row, a.stride, panel, depth,
                                     epilogue.target(row, col), epilogue.stride(kVecs));
  epilogue.done(row, n_rows, col, kVecs);
}

// The last rows of a panel, from `row`, of a transposed A, whose rows are padded to multiples of four: tiles
// as many fours high as they can be, because a low tile waits for its own sums.
template <int kVecs, class B, class Epilogue>
HWY_INLINE void multiply_last_columns(Operand a, B panel, Index n_rows, Index depth, Index row, Index col,
                                      Epilogue& epilogue) {
  constexpr int highest = tile_rows<kVecs> / 4;
  for (; row < n_rows; row += 4 * highest) {
    const Index n = std::min<Index>(n_rows - row, 4 * highest);
    const auto tile = [&](auto fours) HWY_ATTR {
      multiply_rows<4 * std::min<int>(fours, highest), kVecs, Lies::transposed>(a, panel, depth, row, n, col,
                                                                                epilogue);
    };
    if (n <= 4)
      tile(std::integral_constant<int, 1>{});
    else if (n <= 8)
      tile(std::integral_constant<int, 2>{});
    else if (n <= 12)
      tile(std::integral_constant<int, 3>{});
    else
      tile(std::integral_constant<int, 4>{});
  }
}

// A panel of kVecs vectors of columns, which are those from `col` of the product.
template <int kVecs, Lies kLies, class B, class Epilogue>
HWY_INLINE void multiply_panel(Operand a, B panel, Index n_rows, Index depth, Index col, Epilogue& epilogue) {
  constexpr int full = tile_rows<kVecs>;
  Index row = 0;
  for (; row + full <= n_rows; row += full)
    multiply_rows<full, kVecs, kLies>(a, panel, depth, row, full, col, epilogue);
  if constexpr (kLies == Lies::transposed) {
    multiply_last_columns<kVecs>(a, panel, n_rows, depth, row, col, epilogue);
  } else {
    if constexpr (full > 4) {
      for (; row + 4 <= n_rows; row += 4)
        multiply_rows<4, kVecs, kLies>(a, panel, depth, row, 4, col, epilogue);
    }
    for (; row + 2 <= n_rows; row += 2)
      multiply_rows<2, kVecs, kLies>(a, panel, depth, row, 2, col, epilogue);
    for (; row < n_rows; ++row) multiply_rows<1, kVecs, kLies>(a, panel, depth, row, 1, col, epilogue);
  }
}

// C [n_rows, one vector] = A [n_rows, depth] * B [depth, one vector] for a depth of at most kDepth: B stays
// in registers. A and B have zeros from depth to kDepth.
#if MELGRAD_MANY_REGISTERS
inline constexpr Index max_shallow_depth = 16;
template <int kDepth>
HWY_NOINLINE void multiply_shallow(Operand a, Operand b, Index n_rows, float* HWY_RESTRICT c, Index ldc) {
  const FloatTag d;
  FloatVec b_rows[kDepth];
  MELGRAD_UNROLL for (int k = 0; k < kDepth; ++k) b_rows[k] = hn::Load(d, b.data + k * b.stride);
  const auto rows = [&](Index row, auto count) HWY_ATTR {
    constexpr int n = count;
    const float* a_row = a.data + row * a.stride;
    FloatVec sum[n];
    MELGRAD_UNROLL for (int r = 0; r < n; ++r) sum[r] = hn::Zero(d);
    MELGRAD_UNROLL for (int k = 0; k < kDepth; ++k) {
      MELGRAD_UNROLL for (int r = 0; r < n; ++r) sum[r] =
          hn::MulAdd(hn::Set(d, a_row[r * a.stride + k]), b_rows[k], sum[r]);
    }
    MELGRAD_UNROLL for (int r = 0; r < n; ++r) hn::Store(sum[r], d, c + (row + r) * ldc);
  };
  Index row = 0;
  for (; row + 8 <= n_rows; row += 8) rows(row, std::integral_constant<int, 8>{});
  for (; row < n_rows; ++row) rows(row, std::integral_constant<int, 1>{});
}
HWY_INLINE void multiply_shallow(Operand a, Operand b, Index n_rows, Index depth, float* c, Index ldc) {
  if (depth <= 4)
    multiply_shallow<4>(a, b, n_rows, c, ldc);
  else if (depth <= 8)
    multiply_shallow<8>(a, b, n_rows, c, ldc);
  else if (depth <= 12)
    multiply_shallow<12>(a, b, n_rows, c, ldc);
  else
    multiply_shallow<16>(a, b, n_rows, c, ldc);
}
#endif

// B [n_cols, n_rows] = A [n_rows, n_cols]^T; but for the one-lane target, both counts are rounded up to
// multiples of 4, to which rows and the number of rows are padded in both.
#if HWY_TARGET == HWY_SCALAR
inline void transpose(Operand a, Index n_rows, Index n_cols, float* b, Index ldb) {
  for (Index row = 0; row < n_rows; ++row)
    for (Index col = 0; col < n_cols; ++col) b[col * ldb + row] = a.row(row)[col];
}
#else
// out [4, 4] = in [4, 4]^T.
HWY_INLINE void transpose_4x4(Operand in, float* out, Index out_stride) {
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<std::uint64_t, hn::FixedTag<float, 4> > d64;
  const auto r0 = hn::Load(d, in.data);
  const auto r1 = hn::Load(d, in.data + in.stride);
  const auto r2 = hn::Load(d, in.data + 2 * in.stride);
  const auto r3 = hn::Load(d, in.data + 3 * in.stride);
  const auto r01_low = hn::BitCast(d64, hn::InterleaveLower(d, r0, r1));
  const auto r01_high = hn::BitCast(d64, hn::InterleaveUpper(d, r0, r1));
  const auto r23_low = hn::BitCast(d64, hn::InterleaveLower(d, r2, r3));
  const auto r23_high = hn::BitCast(d64, hn::InterleaveUpper(d, r2, r3));
  hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, r01_low, r23_low)), d, out);
  hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, r01_low, r23_low)), d, out + out_stride);
  hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, r01_high, r23_high)), d, out + 2 * out_stride);
  hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, r01_high, r23_high)), d, out + 3 * out_stride);
}

inline void transpose(Operand a, Index n_rows, Index n_cols, float* b, Index ldb) {
  for (Index col = 0; col < n_cols; col += 4)
    for (Index row = 0; row < n_rows; row += 4)
      transpose_4x4({a.data + row * a.stride + col, a.stride}, b + col * ldb + row, ldb);
}
#endif

// A right operand whose panels are copied to `scratch` [depth, max_tile_vecs * 16] first: rows that are pages
// apart, as those of large layers are, cost more than the products.
struct PackedPanels {
  Operand from;
  float* scratch;

  HWY_INLINE Operand panel(Index col, Index n_cols, Index depth) const {
    const FloatTag d;
    const auto lanes = static_cast<Index>(hn::Lanes(d));
    for (Index k = 0; k < depth; ++k)
      for (Index c = 0; c < n_cols; c += lanes)
        hn::Store(hn::Load(d, from.row(k) + col + c), d, scratch + k * n_cols + c);
    return {scratch, n_cols};
  }
};

// One that lies as its transpose, from [n_rows, depth]; n_rows and depth are rounded up to multiples of 4, to
// which `from` and scratch are padded. Columns of a panel beyond n_rows have any values.
struct TransposedPanels {
  Operand from;
  Index n_rows;
  float* scratch;

  HWY_INLINE Operand panel(Index col, Index n_cols, Index depth) const {
    transpose(from.from_row(col), std::min(n_cols, n_rows - col), depth, scratch, n_cols);
    return {scratch, n_cols};
  }
};

// f(col, width) for each panel of n_cols columns, rounded up to whole vectors; width is a constant, in
// vectors.
template <class F>
HWY_INLINE void for_each_panel(Index n_cols, F&& f) {
  const auto lanes = static_cast<Index>(hn::Lanes(FloatTag()));
  Index n_vecs = (n_cols + lanes - 1) / lanes;
  for (Index col = 0; n_vecs > 0;) {
    const Index n_panels = (n_vecs + max_tile_vecs - 1) / max_tile_vecs;
    const Index width = (n_vecs + n_panels - 1) / n_panels;  // even cuts: 4 vectors are 2 + 2, not 3 + 1
    if (width == 3)
      f(col, std::integral_constant<int, 3>{});
    else if (width == 2)
      f(col, std::integral_constant<int, 2>{});
    else
      f(col, std::integral_constant<int, 1>{});
    col += width * lanes;
    n_vecs -= width;
  }
}

// C [n_rows, n_cols] = A [n_rows, depth] * B [depth, n_cols], through the epilogue. n_cols is rounded up to
// whole vectors: rows of B and of the target are padded. A as it is has zeros in up to three columns beyond
// its depth, and B in as many rows, for multiply_shallow().
template <Lies kLies, class B, class Epilogue>
void multiply(Operand a, B b, Index n_rows, Index n_cols, Index depth, Epilogue& epilogue) {
  const auto lanes = static_cast<Index>(hn::Lanes(FloatTag()));
#if MELGRAD_MANY_REGISTERS
  if constexpr (kLies == Lies::as_is) {
    if (n_cols <= lanes && depth <= max_shallow_depth) {
      multiply_shallow(a, b.panel(0, lanes, depth), n_rows, depth, epilogue.target(0, 0), epilogue.stride(1));
      return epilogue.done(0, n_rows, 0, 1);
    }
  }
#endif
  for_each_panel(n_cols, [&](Index col, auto width) HWY_ATTR {
    multiply_panel<width, kLies>(a, b.panel(col, width * lanes, depth), n_rows, depth, col, epilogue);
  });
}

// An epilogue of the rows from `first`.
template <class Epilogue>
struct FromRow {
  Epilogue& epilogue;
  Index first;

  float* target(Index row, Index col) { return epilogue.target(first + row, col); }
  Index stride(Index n_vecs) const { return epilogue.stride(n_vecs); }
  void fetch(Index row, Index n_rows, Index col, Index n_vecs) {
    epilogue.fetch(first + row, n_rows, col, n_vecs);
  }
  void done(Index row, Index n_rows, Index col, Index n_vecs) {
    epilogue.done(first + row, n_rows, col, n_vecs);
  }
};

// As multiply() of a transposed A, by blocks of rows: what the epilogue reads and writes lies side by side in
// memory then. B is copied to scratch [depth, n_cols] first, panel by panel.
template <class Epilogue>
void multiply_row_blocks(Operand a, Operand b, Index n_rows, Index n_cols, Index depth, Epilogue& epilogue,
                         float* scratch) {
  constexpr Index block = 48;  // rows: whole tiles of every width
  const auto lanes = static_cast<Index>(hn::Lanes(FloatTag()));
  for (Index first = 0; first < n_rows; first += block) {
    FromRow<Epilogue> rows{epilogue, first};
    for_each_panel(n_cols, [&](Index col, auto width) HWY_ATTR {
      const PackedPanels all{b, scratch + col * depth};
      const Operand panel =
          first == 0 ? all.panel(col, width * lanes, depth) : Operand{all.scratch, width * lanes};
      multiply_panel<width, Lies::transposed>({a.data + first, a.stride}, panel,
                                              std::min(block, n_rows - first), depth, col, rows);
    });
  }
}

// out[0..4) = the sums over the lanes of four vectors.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void store_sums_of_lanes(FloatVec a, FloatVec b, FloatVec c, FloatVec e, float* out) {
  out[0] = hn::GetLane(a);
  out[1] = hn::GetLane(b);
  out[2] = hn::GetLane(c);
  out[3] = hn::GetLane(e);
}
#else
template <class D, class V = hn::Vec<D> >
HWY_INLINE hn::Vec<hn::FixedTag<float, 4> > fold_blocks(D d, V v) {
  if constexpr (hn::MaxLanes(d) > 4) {
    const hn::Half<D> half;
    return fold_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    return v;
  }
}
HWY_INLINE void store_sums_of_lanes(FloatVec a, FloatVec b, FloatVec c, FloatVec e, float* out) {
  const FloatTag d;
  const hn::Repartition<std::uint64_t, FloatTag> d64;
  const auto ab = hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
  const auto ce = hn::BitCast(d64, hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e)));
  const FloatVec blocks = hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, ab, ce)),
                                  hn::BitCast(d, hn::InterleaveUpper(d64, ab, ce)));
  hn::Store(fold_blocks(d, blocks), hn::FixedTag<float, 4>(), out);
}
#endif

// C [kRows, kCols] = A [kRows, depth] * B [kCols, depth]^T, as dot products; depth is a multiple of 16.
template <int kRows, int kCols, class A>
HWY_NOINLINE void dot_tile(A a, Operand b, Index depth, float* HWY_RESTRICT c, Index ldc) {
  const FloatTag d;
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  const float* a_rows[kRows];
  FloatVec sum[kRows][kCols];
  MELGRAD_UNROLL for (int r = 0; r < kRows; ++r) {
    a_rows[r] = a.row(r);
    MELGRAD_UNROLL for (int j = 0; j < kCols; ++j) sum[r][j] = hn::Zero(d);
  }
  for (Index k = 0; k < depth; k += lanes) {
    FloatVec x[kRows];
    MELGRAD_UNROLL for (int r = 0; r < kRows; ++r) x[r] = hn::Load(d, a_rows[r] + k);
    MELGRAD_UNROLL for (int j = 0; j < kCols; ++j) {
      const FloatVec y = hn::Load(d, b.row(j) + k);
      MELGRAD_UNROLL for (int r = 0; r < kRows; ++r) sum[r][j] = hn::MulAdd(x[r], y, sum[r][j]);
    }
  }
  MELGRAD_UNROLL for (int r = 0; r < kRows; ++r) {
    MELGRAD_UNROLL for (int j = 0; j < kCols; j += 4)
        store_sums_of_lanes(sum[r][j], sum[r][j + 1], sum[r][j + 2], sum[r][j + 3], c + r * ldc + j);
  }
}

// C [n_rows, n_cols] = A [n_rows, depth] * B [n_cols, depth]^T for few columns: n_cols is a multiple of 4,
// depth of 16.
template <class A>
inline void multiply_by_rows(A a, Operand b, Index n_rows, Index n_cols, Index depth, float* c, Index ldc) {
  constexpr int wide = MELGRAD_MANY_REGISTERS ? 8 : 4;
  Index col = 0;
  const auto columns = [&](auto count) HWY_ATTR {
    constexpr int cols = count;
    const Operand b_cols = b.from_row(col);
    Index row = 0;
    for (; row + 2 <= n_rows; row += 2)
      dot_tile<2, cols>(a.from_row(row), b_cols, depth, c + row * ldc + col, ldc);
    if (row < n_rows) dot_tile<1, cols>(a.from_row(row), b_cols, depth, c + row * ldc + col, ldc);
    col += cols;
  };
  if (MELGRAD_MANY_REGISTERS && n_cols == 12) return columns(std::integral_constant<int, 12>{});
  while (col + wide <= n_cols) columns(std::integral_constant<int, wide>{});
  while (col < n_cols) columns(std::integral_constant<int, 4>{});
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
