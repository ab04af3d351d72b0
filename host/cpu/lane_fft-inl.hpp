// Kernels of lane_fft.hpp, compiled once per Highway target. See there for formulas.

#if defined(MELGRAD_HOST_CPU_LANE_FFT_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_LANE_FFT_INL_HPP_
#undef MELGRAD_HOST_CPU_LANE_FFT_INL_HPP_
#else
#define MELGRAD_HOST_CPU_LANE_FFT_INL_HPP_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "host/cpu/lane_fft.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using IntTag = hn::RebindToSigned<FloatTag>;
using V = hn::Vec<FloatTag>;
using IntV = hn::Vec<IntTag>;
constexpr FloatTag df;
constexpr IntTag di;
constexpr int lanes = static_cast<int>(hn::MaxLanes(FloatTag()));

// A column's transform: 16 complex points in registers where there are 32 registers, else 32 points in two
// steps of 8 and 4.
constexpr int fft_columns = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64 ? 16 : 32;

struct Complex {
  V re, im;
};

HWY_INLINE V broadcast(float value) {
  return hn::Set(df, value);
}
HWY_INLINE Complex load(const float* from) {
  return {hn::Load(df, from), hn::Load(df, from + lanes)};
}
HWY_INLINE void store(const Complex& z, float* to) {
  hn::Store(z.re, df, to);
  hn::Store(z.im, df, to + lanes);
}
// z * w for w = (re, im) at `w`.
HWY_INLINE Complex times(const Complex& z, const float* HWY_RESTRICT w) {
  const V re = broadcast(w[0]), im = broadcast(w[1]);
  return {hn::MulSub(z.re, re, hn::Mul(z.im, im)), hn::MulAdd(z.re, im, hn::Mul(z.im, re))};
}
HWY_INLINE Complex operator+(const Complex& a, const Complex& b) {
  return {hn::Add(a.re, b.re), hn::Add(a.im, b.im)};
}
HWY_INLINE Complex operator-(const Complex& a, const Complex& b) {
  return {hn::Sub(a.re, b.re), hn::Sub(a.im, b.im)};
}

HWY_INLINE void dft_2(Complex& a, Complex& b) {
  const Complex sum = a + b;
  b = a - b;
  a = sum;
}

HWY_INLINE void dft_4(Complex& a, Complex& b, Complex& c, Complex& d) {
  const Complex p = a + c, q = a - c, u = b + d, v = b - d;
  a = p + u;
  c = p - u;
  b = {hn::Add(q.re, v.im), hn::Sub(q.im, v.re)};
  d = {hn::Sub(q.re, v.im), hn::Add(q.im, v.re)};
}

constexpr float sqrt_half = 0.70710678118654752f;
constexpr float cos_pi_8 = 0.92387953251128676f;
constexpr float sin_pi_8 = 0.38268343236508977f;

HWY_INLINE void dft_8(Complex* HWY_RESTRICT x) {
  dft_4(x[0], x[2], x[4], x[6]);
  dft_4(x[1], x[3], x[5], x[7]);
  const Complex e0 = x[0], e1 = x[2], e2 = x[4], e3 = x[6], o0 = x[1], o1 = x[3], o2 = x[5], o3 = x[7];
  const V h = broadcast(sqrt_half);
  const V s1 = hn::Add(o1.re, o1.im), t1 = hn::Sub(o1.im, o1.re);
  const V s3 = hn::Sub(o3.im, o3.re), t3 = hn::Add(o3.im, o3.re);
  x[0] = e0 + o0;
  x[4] = e0 - o0;
  x[1] = {hn::MulAdd(h, s1, e1.re), hn::MulAdd(h, t1, e1.im)};
  x[5] = {hn::NegMulAdd(h, s1, e1.re), hn::NegMulAdd(h, t1, e1.im)};
  x[2] = {hn::Add(e2.re, o2.im), hn::Sub(e2.im, o2.re)};
  x[6] = {hn::Sub(e2.re, o2.im), hn::Add(e2.im, o2.re)};
  x[3] = {hn::MulAdd(h, s3, e3.re), hn::NegMulAdd(h, t3, e3.im)};
  x[7] = {hn::NegMulAdd(h, s3, e3.re), hn::MulAdd(h, t3, e3.im)};
}

// Output c stands in x[dft_position<16>(c)].
HWY_INLINE void dft_16(Complex* HWY_RESTRICT x) {
  const V h = broadcast(sqrt_half);
  const auto w2 = [h](Complex& z) HWY_ATTR {  // times (1 - i) / sqrt(2)
    z = {hn::Mul(hn::Add(z.re, z.im), h), hn::Mul(hn::Sub(z.im, z.re), h)};
  };
  const auto w6 = [h](Complex& z) HWY_ATTR {  // times -(1 + i) / sqrt(2)
    z = {hn::Mul(hn::Sub(z.im, z.re), h), hn::Neg(hn::Mul(hn::Add(z.re, z.im), h))};
  };
  constexpr float w1[] = {cos_pi_8, -sin_pi_8};
  constexpr float w3[] = {sin_pi_8, -cos_pi_8};
  constexpr float w9[] = {-cos_pi_8, sin_pi_8};
  dft_4(x[0], x[4], x[8], x[12]);
  dft_4(x[1], x[5], x[9], x[13]);
  dft_4(x[2], x[6], x[10], x[14]);
  dft_4(x[3], x[7], x[11], x[15]);
  dft_4(x[0], x[1], x[2], x[3]);
  x[5] = times(x[5], w1);
  w2(x[6]);
  x[7] = times(x[7], w3);
  dft_4(x[4], x[5], x[6], x[7]);
  w2(x[9]);
  x[10] = {x[10].im, hn::Neg(x[10].re)};
  w6(x[11]);
  dft_4(x[8], x[9], x[10], x[11]);
  x[13] = times(x[13], w3);
  w6(x[14]);
  x[15] = times(x[15], w9);
  dft_4(x[12], x[13], x[14], x[15]);
}

// The transform of n points in x; output c stands in x[dft_position<n>(c)].
template <int n>
HWY_INLINE void dft(Complex* HWY_RESTRICT x) {
  if constexpr (n == 2) dft_2(x[0], x[1]);
  if constexpr (n == 4) dft_4(x[0], x[1], x[2], x[3]);
  if constexpr (n == 8) dft_8(x);
  if constexpr (n == 16) dft_16(x);
}
template <int n>
constexpr int dft_position(int c) {
  return n == 16 ? (c % 4) * 4 + c / 4 : c;
}

// Windowed samples of a tile. point(i) is the i-th complex point of a power-of-two transform in the order of
// LaneFft::offset, sample(i) the i-th sample.
struct PairInput {
  const std::int32_t* tile;
  const std::int32_t* offset;
  const float* window;

  HWY_INLINE IntV word(std::size_t i) const { return hn::LoadU(di, tile + offset[i]); }
  HWY_INLINE Complex point(std::size_t i) const {
    const IntV w = word(i);
    return {hn::Mul(hn::ConvertTo(df, hn::ShiftLeft<16>(w)), broadcast(window[2 * i])),
            hn::Mul(hn::ConvertTo(df, hn::ShiftRight<16>(w)), broadcast(window[2 * i + 1]))};
  }
  HWY_INLINE V sample(std::size_t i) const {
    const IntV w = word(i / 2);
    return hn::Mul(hn::ConvertTo(df, i % 2 == 0 ? hn::ShiftLeft<16>(w) : hn::ShiftRight<16>(w)),
                   broadcast(window[i]));
  }
};

struct FloatInput {
  const float* tile;
  const std::int32_t* offset;
  const float* window;

  HWY_INLINE V sample(std::size_t i) const {
    return hn::Mul(hn::LoadU(df, tile + offset[i]), broadcast(window[i]));
  }
  HWY_INLINE Complex point(std::size_t i) const { return {sample(2 * i), sample(2 * i + 1)}; }
};

// What becomes of the bins: [n_bins][lanes] each.
struct PowerOutput {  // |X|^2
  float* power;

  HWY_INLINE void put(int bin, V re, V im) const {
    hn::Store(hn::MulAdd(re, re, hn::Mul(im, im)), df, power + bin * lanes);
  }
};
struct RealOutput {  // Re X: all of X where the frames are even, x[n_fft - j] = x[j]
  float* real;

  HWY_INLINE void put(int bin, V re, V /*im*/) const { hn::Store(re, df, real + bin * lanes); }
};

// Bins k and m - k from z = Z[k] and y = Z[m - k]; w = -i exp(-2 pi i k / n_fft).
template <class Output>
HWY_INLINE void put_pair(const Output& output, int k, int m, const Complex& z, const Complex& y,
                         const float* w) {
  const V a_re = hn::Add(z.re, y.re), a_im = hn::Sub(z.im, y.im);
  const Complex t = times({hn::Sub(z.re, y.re), hn::Add(z.im, y.im)}, w);
  output.put(k, hn::Add(a_re, t.re), hn::Add(a_im, t.im));
  output.put(m - k, hn::Sub(a_re, t.re), hn::Sub(a_im, t.im));
}
// Bins 0 and m, from Z[0]; inputs are halved for the sake of put_pair.
template <class Output>
HWY_INLINE void put_ends(const Output& output, int m, const Complex& z) {
  const V sum = hn::Add(z.re, z.im), difference = hn::Sub(z.re, z.im);
  output.put(0, hn::Add(sum, sum), hn::Zero(df));
  output.put(m, hn::Add(difference, difference), hn::Zero(df));
}

// --- two_pass ---

// Where element b of a row of first * last points stands, so that the row's first step reads `first`
// neighbours: b = last * u + v stands at v * first + u.
HWY_INLINE int row_position(const RowSplit& split, int b) {
  return b % split.last * split.first + b / split.last;
}

// A column's transform of 16 points in registers.
template <class Input>
HWY_INLINE void transform_column_16(const Input& input, std::size_t first, const float* HWY_RESTRICT twiddles,
                                    float* HWY_RESTRICT out, std::size_t row_stride) {
  Complex x[16];
  HWY_UNROLL(16)
  for (std::size_t a = 0; a < 16; ++a) x[a] = input.point(first + a);
  dft_16(x);
  store(x[0], out);
  HWY_UNROLL(16)
  for (int c = 1; c < 16; ++c)
    store(times(x[dft_position<16>(c)], twiddles + 2 * c), out + static_cast<std::size_t>(c) * row_stride);
}

// exp(-2 pi i v s / 32) for v in [1, 4), s in [0, 8).
constexpr float roots_of_32[3][8][2] = {{{1, 0},
                                         {0.98078528f, -0.19509032f},
                                         {0.92387953f, -0.38268343f},
                                         {0.83146961f, -0.55557023f},
                                         {0.70710678f, -0.70710678f},
                                         {0.55557023f, -0.83146961f},
                                         {0.38268343f, -0.92387953f},
                                         {0.19509032f, -0.98078528f}},
                                        {{1, 0},
                                         {0.92387953f, -0.38268343f},
                                         {0.70710678f, -0.70710678f},
                                         {0.38268343f, -0.92387953f},
                                         {0, -1},
                                         {-0.38268343f, -0.92387953f},
                                         {-0.70710678f, -0.70710678f},
                                         {-0.92387953f, -0.38268343f}},
                                        {{1, 0},
                                         {0.83146961f, -0.55557023f},
                                         {0.38268343f, -0.92387953f},
                                         {-0.19509032f, -0.98078528f},
                                         {-0.70710678f, -0.70710678f},
                                         {-0.98078528f, -0.19509032f},
                                         {-0.92387953f, 0.38268343f},
                                         {-0.55557023f, 0.83146961f}}};

// A column's transform of 32 points in two steps of 8 and 4.
template <class Input>
HWY_INLINE void transform_column_32(const Input& input, std::size_t first, const float* HWY_RESTRICT twiddles,
                                    float* HWY_RESTRICT out, std::size_t row_stride) {
  HWY_ALIGN float t[32 * 2 * lanes];
  HWY_UNROLL(4)
  for (std::size_t v = 0; v < 4; ++v) {
    Complex x[8];
    HWY_UNROLL(8)
    for (std::size_t u = 0; u < 8; ++u) x[u] = input.point(first + 4 * u + v);
    dft_8(x);
    HWY_UNROLL(8)
    for (std::size_t s = 0; s < 8; ++s) store(x[s], t + (v * 8 + s) * 2 * lanes);
  }
  for (std::size_t s = 0; s < 8; ++s) {
    Complex x[4] = {load(t + s * 2 * lanes)};
    HWY_UNROLL(4)
    for (std::size_t v = 1; v < 4; ++v)
      x[v] = times(load(t + (v * 8 + s) * 2 * lanes), roots_of_32[v - 1][s]);
    dft_4(x[0], x[1], x[2], x[3]);
    HWY_UNROLL(4)
    for (std::size_t j = 0; j < 4; ++j)
      store(times(x[j], twiddles + 2 * (s + 8 * j)), out + (s + 8 * j) * row_stride);
  }
}

// Column b: points n_rows * a + b, a in [0, n_columns), transformed and times exp(-2 pi i b c / m); output c
// goes to row c of the scratch [n_columns][n_rows + 1] (complex vectors; the last pads).
template <class Input>
HWY_NOINLINE void transform_columns(const LaneFft& fft, const Input& input, float* HWY_RESTRICT scratch) {
  const RowSplit split = row_split(fft.n_rows);
  const std::size_t row_stride = static_cast<std::size_t>(fft.n_rows + 1) * 2 * lanes;
  for (int b = 0; b < fft.n_rows; ++b) {
    const std::size_t first = static_cast<std::size_t>(b) * fft_columns;
    const float* const twiddles = fft.column_twiddles.data() + 2 * first;
    float* const out = scratch + row_position(split, b) * 2 * lanes;
    if constexpr (fft_columns == 16)
      transform_column_16(input, first, twiddles, out, row_stride);
    else
      transform_column_32(input, first, twiddles, out, row_stride);
  }
}

// First step of a row's transform: t[s * last + v] of the `first`-point transforms over u, twiddled.
template <int first, int last>
HWY_INLINE void begin_row(const LaneFft& fft, const float* HWY_RESTRICT row, float* HWY_RESTRICT t) {
  for (int v = 0; v < last; ++v) {
    Complex x[first];
    HWY_UNROLL(16)
    for (int u = 0; u < first; ++u) x[u] = load(row + (v * first + u) * 2 * lanes);
    dft<first>(x);
    const float* HWY_RESTRICT w = fft.row_twiddles.data() + v * first * 2;
    store(x[0], t + v * 2 * lanes);
    HWY_UNROLL(16)
    for (int s = 1; s < first; ++s)
      store(times(x[dft_position<first>(s)], w + 2 * s), t + (s * last + v) * 2 * lanes);
  }
}

// Last step for one s: out[j] = point s + first * j of the row.
template <int last>
HWY_INLINE void end_row(const float* HWY_RESTRICT t, Complex* HWY_RESTRICT out) {
  HWY_UNROLL(8)
  for (int v = 0; v < last; ++v) out[v] = load(t + v * 2 * lanes);
  dft<last>(out);
}

// Rows c and n_columns - c hold Z[k] and Z[m - k]: point d of row c is k = c + n_columns * d, and its partner
// is point n_rows - 1 - d of the other (point n_rows - d of row 0 itself).
template <int first, int last, class Output>
HWY_NOINLINE void transform_rows(const LaneFft& fft, const float* HWY_RESTRICT scratch,
                                 const Output& output) {
  constexpr int n_rows = first * last, m = fft_columns * n_rows;
  const std::size_t row_stride = static_cast<std::size_t>(n_rows + 1) * 2 * lanes;
  const float* HWY_RESTRICT twiddles = fft.split_twiddles.data();
  constexpr int step = 2 * lanes * last;
  HWY_ALIGN float t[n_rows * 2 * lanes], u[n_rows * 2 * lanes];
  Complex a[last], b[last];
  for (int c = 1; c < fft_columns / 2; ++c) {
    begin_row<first, last>(fft, scratch + static_cast<std::size_t>(c) * row_stride, t);
    begin_row<first, last>(fft, scratch + static_cast<std::size_t>(fft_columns - c) * row_stride, u);
    for (int s = 0; s < first; ++s) {
      end_row<last>(t + step * s, a);
      end_row<last>(u + step * (first - 1 - s), b);
      HWY_UNROLL(8)
      for (int j = 0; j < last; ++j) {
        const int k = c + fft_columns * (s + first * j);
        put_pair(output, k, m, a[j], b[last - 1 - j], twiddles + 2 * k);
      }
    }
  }
  // Rows 0 and n_columns / 2 hold both points of their pairs.
  const auto whole_row = [&](int c) HWY_ATTR {
    begin_row<first, last>(fft, scratch + static_cast<std::size_t>(c) * row_stride, t);
    for (int s = 0; s < first; ++s) {
      end_row<last>(t + step * s, a);
      for (int j = 0; j < last; ++j) store(a[j], u + (s + first * j) * 2 * lanes);
    }
  };
  const auto point = [&](int d) HWY_ATTR { return load(u + d * 2 * lanes); };
  whole_row(fft_columns / 2);
  for (int d = 0; d < n_rows / 2; ++d) {
    const int k = fft_columns / 2 + fft_columns * d;
    put_pair(output, k, m, point(d), point(n_rows - 1 - d), twiddles + 2 * k);
  }
  whole_row(0);
  put_ends(output, m, point(0));
  for (int d = 1; d <= n_rows / 2; ++d)
    put_pair(output, fft_columns * d, m, point(d), point(n_rows - d), twiddles + 2 * fft_columns * d);
}

template <int n_rows, class Output>
HWY_INLINE void transform_rows_of(const LaneFft& fft, const float* scratch, const Output& output) {
  constexpr RowSplit split = row_split(n_rows);
  transform_rows<split.first, split.last>(fft, scratch, output);
}

template <class Input, class Output>
HWY_INLINE void two_pass(const LaneFft& fft, const Input& input, float* scratch, const Output& output) {
  transform_columns(fft, input, scratch);
  switch (fft.n_rows) {
    case 4:
      return transform_rows_of<4>(fft, scratch, output);
    case 8:
      return transform_rows_of<8>(fft, scratch, output);
    case 16:
      return transform_rows_of<16>(fft, scratch, output);
    case 32:
      return transform_rows_of<32>(fft, scratch, output);
    case 64:
      return transform_rows_of<64>(fft, scratch, output);
    default:
      return transform_rows_of<128>(fft, scratch, output);
  }
}

// --- passes ---

// One Stockham pass over n = size / stride points: for p < n / radix and q < stride,
//   y[q + stride (radix p + j)] = w^(p j) DFT_radix(x[q + stride (p + n / radix * i)] over i)[j].
template <int radix>
HWY_NOINLINE void stockham_pass(int n, int stride, const float* HWY_RESTRICT twiddles,
                                const float* HWY_RESTRICT x, float* HWY_RESTRICT y) {
  const int n_groups = n / radix;
  for (int p = 0; p < n_groups; ++p, twiddles += 2 * (radix - 1))
    for (int q = 0; q < stride; ++q) {
      Complex z[radix];
      HWY_UNROLL(8)
      for (int i = 0; i < radix; ++i)
        z[i] = load(x + static_cast<std::ptrdiff_t>(q + stride * (p + n_groups * i)) * 2 * lanes);
      dft<radix>(z);
      float* const out = y + static_cast<std::ptrdiff_t>(q + stride * radix * p) * 2 * lanes;
      store(z[0], out);
      HWY_UNROLL(8)
      for (int j = 1; j < radix; ++j)
        store(times(z[j], twiddles + 2 * (j - 1)), out + static_cast<std::ptrdiff_t>(j) * stride * 2 * lanes);
    }
}

// Transforms x, using y; returns which of the two holds the result.
HWY_INLINE float* run_passes(const ComplexPasses& passes, float* x, float* y) {
  int n = passes.size, stride = 1;
  const float* twiddles = passes.twiddles.data();
  for (const int radix : passes.radices) {
    if (radix == 8)
      stockham_pass<8>(n, stride, twiddles, x, y);
    else if (radix == 4)
      stockham_pass<4>(n, stride, twiddles, x, y);
    else
      stockham_pass<2>(n, stride, twiddles, x, y);
    twiddles += 2 * (n / radix) * (radix - 1);
    n /= radix;
    stride *= radix;
    float* const result = y;
    y = x;
    x = result;
  }
  return x;
}

template <class Input>
HWY_NOINLINE void transform_by_passes(const LaneFft& fft, const Input& input, float* scratch,
                                      const PowerOutput& output) {
  const int m = fft.n_fft / 2;
  float* const other = scratch + static_cast<std::ptrdiff_t>(m) * 2 * lanes;
  for (int i = 0; i < m; ++i)
    store(input.point(static_cast<std::size_t>(i)), scratch + static_cast<std::ptrdiff_t>(i) * 2 * lanes);
  const float* const z = run_passes(fft.passes, scratch, other);
  put_ends(output, m, load(z));
  for (int k = 1; k <= m / 2; ++k)
    put_pair(output, k, m, load(z + static_cast<std::ptrdiff_t>(k) * 2 * lanes),
             load(z + static_cast<std::ptrdiff_t>(m - k) * 2 * lanes), fft.split_twiddles.data() + 2 * k);
}

// --- bluestein ---

// X[k] = c[k] sum over j of (x[j] c[j]) c'[k - j] with c[j] = exp(-pi i j^2 / n): a cyclic convolution. The
// last factor c[k] has magnitude 1 and is left out; the inverse transform is the forward one of swapped
// parts.
template <class Input>
HWY_NOINLINE void bluestein(const LaneFft& fft, const Input& input, float* scratch,
                            const PowerOutput& output) {
  const int size = fft.passes.size;
  const auto at = [](float* z, int i) HWY_ATTR { return z + static_cast<std::ptrdiff_t>(i) * 2 * lanes; };
  float* const other = at(scratch, size);
  for (int j = 0; j < fft.n_fft; ++j) {
    const V x = input.sample(static_cast<std::size_t>(j));
    const float* const c = fft.chirp.data() + 2 * j;
    store({hn::Mul(x, broadcast(c[0])), hn::Mul(x, broadcast(c[1]))}, at(scratch, j));
  }
  for (int j = fft.n_fft; j < size; ++j) store({hn::Zero(df), hn::Zero(df)}, at(scratch, j));
  float* const a = run_passes(fft.passes, scratch, other);
  for (int i = 0; i < size; ++i) {
    const Complex product = times(load(at(a, i)), fft.chirp_transformed.data() + 2 * i);
    store({product.im, product.re}, at(a, i));
  }
  float* const x = run_passes(fft.passes, a, a == scratch ? other : scratch);
  for (int k = 0; k < fft.n_bins; ++k) {
    const Complex z = load(at(x, k));
    output.put(k, z.re, z.im);
  }
}

template <class Input>
HWY_INLINE void transform_with(const LaneFft& fft, const Input& input, float* scratch,
                               const PowerOutput& output) {
  switch (fft.method) {
    case LaneFft::Method::two_pass:
      return two_pass(fft, input, scratch, output);
    case LaneFft::Method::passes:
      return transform_by_passes(fft, input, scratch, output);
    case LaneFft::Method::bluestein:
      return bluestein(fft, input, scratch, output);
  }
}

// |X|^2 [n_bins][lanes] of the frames of a tile. scratch has fft.scratch_size() floats; all but the tile are
// aligned.
inline void transform(const LaneFft& fft, const void* tile, float* scratch, float* power) {
  const std::int32_t* const offset = fft.offset.data();
  const float* const window = fft.window.data();
  if (fft.layout.pairs)
    transform_with(fft, PairInput{static_cast<const std::int32_t*>(tile), offset, window}, scratch,
                   PowerOutput{power});
  else
    transform_with(fft, FloatInput{static_cast<const float*>(tile), offset, window}, scratch,
                   PowerOutput{power});
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
