// The stages between a chunk's spectrum and its descriptors, for `lanes` frames side by side: mel bands,
// decibels, DCT, chroma.

#if defined(MELGRAD_HOST_CPU_FEATURE_STAGES_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_FEATURE_STAGES_INL_HPP_
#undef MELGRAD_HOST_CPU_FEATURE_STAGES_INL_HPP_
#else
#define MELGRAD_HOST_CPU_FEATURE_STAGES_INL_HPP_
#endif

#include <algorithm>
#include <limits>

#include "host/cpu/feature_tables.hpp"
#include "host/cpu/lane_fft-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

HWY_INLINE V load_values(const float* values, Index i) {
  return hn::Load(df, values + i * lanes);
}
HWY_INLINE void store_values(V v, float* values, Index i) {
  hn::Store(v, df, values + i * lanes);
}

// values[i] = 0 in the lanes from n_valid on, i < n: frames that the clip does not have.
inline void zero_invalid(float* values, Index n, Index n_valid) {
  const auto is_valid = hn::FirstN(df, static_cast<std::size_t>(n_valid));
  for (Index i = 0; i < n; ++i) store_values(hn::IfThenElseZero(is_valid, load_values(values, i)), values, i);
}

// sums[i] += values[i], i < n.
inline void add_values(const float* HWY_RESTRICT values, Index n, float* HWY_RESTRICT sums) {
  for (Index i = 0; i < n; ++i) store_values(hn::Add(load_values(sums, i), load_values(values, i)), sums, i);
}

// The largest of values[i], i < n, in each lane.
HWY_INLINE V max_values(const float* HWY_RESTRICT values, Index n) {
  V largest = load_values(values, 0);
  for (Index i = 1; i < n; ++i) largest = hn::Max(largest, load_values(values, i));
  return largest;
}

// sqrt(mean of x^2) of the n_fft samples of full scale 1 that each lane's frame has in the tile, without the
// window. Squares are added in groups, for a sum of thousands of equal ones would round one way.
inline V frame_rms(const LaneFft& fft, const std::int32_t* tile) {
  const std::size_t n_words = fft.offset.size(), group = 128;
  const bool pairs = fft.layout.pairs, is_odd = fft.n_fft % 2 != 0;
  V total = hn::Zero(df);
  for (std::size_t begin = 0; begin < n_words; begin += group) {
    V even = hn::Zero(df), odd = hn::Zero(df);
    for (std::size_t i = begin; i < std::min(begin + group, n_words); ++i) {
      const IntV word = hn::LoadU(di, tile + fft.offset[i]);
      const V first =
          pairs ? hn::ConvertTo(df, hn::ShiftRight<16>(hn::ShiftLeft<16>(word))) : hn::BitCast(df, word);
      even = hn::MulAdd(first, first, even);
      if (!pairs || (is_odd && i + 1 == n_words)) continue;  // a last word's second sample is not the frame's
      const V second = hn::ConvertTo(df, hn::ShiftRight<16>(word));
      odd = hn::MulAdd(second, second, odd);
    }
    total = hn::Add(total, hn::Add(even, odd));
  }
  const double scale = pairs ? 1.0 / 32768 / 32768 : 1.0;
  return hn::Sqrt(hn::Mul(total, broadcast(static_cast<float>(scale / fft.n_fft))));
}

// A spectrum [n_bins][lanes] that banks are applied to.
struct Spectrum {
  const float* values;

  HWY_INLINE V operator()(Index bin) const { return load_values(values, bin); }
};

// The square root of x >= 0 to one unit in the last place; 0 below the least normal float. With AVX-512, one
// Newton step from an estimate r of 14 bits, s = x r, s + s (1/2 - s r / 2): the divider, of half the width,
// would take twice the time.
HWY_INLINE V square_root(V x) {
#if HWY_TARGET <= HWY_AVX3
  const auto is_normal = hn::Ge(x, broadcast(std::numeric_limits<float>::min()));
  const V r = hn::IfThenElseZero(is_normal, hn::ApproximateReciprocalSqrt(x));
  const V s = hn::Mul(x, r), half_r = hn::Mul(r, broadcast(0.5f));
  return hn::MulAdd(s, hn::NegMulAdd(s, half_r, broadcast(0.5f)), s);
#else
  return hn::Sqrt(x);
#endif
}

// A power spectrum at its first reading, each bin of which is read exactly once.
struct FirstReading {
  const float* power;
  float* magnitude;  // gets |X|, unless null
  float* sums;       // [n_sums][lanes] gets |X|^2 added
  Index n_sums;
  V largest = hn::Zero(df);  // |X|^2 in each lane

  HWY_INLINE V operator()(Index bin) {
    const V x = load_values(power, bin);
    largest = hn::Max(largest, x);
    if (bin < n_sums) store_values(hn::Add(load_values(sums, bin), x), sums, bin);
    if (magnitude != nullptr) store_values(square_root(x), magnitude, bin);
    return x;
  }
  void read(Index begin, Index end) {
    for (Index bin = begin; bin < end; ++bin) (*this)(bin);
  }
};

// Calls put(band, value) with bank @ spectrum for every band: each bin has one weight on the rising slope of
// a band and one on the falling slope of the band before. Reads the bins of the bank in order, each once.
template <class Bins, class Put>
HWY_INLINE void mel_bands(const MelBank& bank, Bins& spectrum, const Put& put) {
  const float* HWY_RESTRICT rising = bank.rising.data();
  const float* HWY_RESTRICT falling = bank.falling.data();
  const int* HWY_RESTRICT begin = bank.interval_begin.data();
  V rise_before = hn::Zero(df);
  for (Index i = 0; i <= bank.n_mels; ++i) {
    V rise = hn::Zero(df), fall = hn::Zero(df);
    for (Index bin = begin[i]; bin < begin[i + 1]; ++bin) {
      const V x = spectrum(bin);
      rise = hn::MulAdd(x, broadcast(rising[bin]), rise);
      fall = hn::MulAdd(x, broadcast(falling[bin]), fall);
    }
    if (i > 0)
      put(i - 1, hn::Mul(hn::Add(rise_before, fall), broadcast(bank.norm[static_cast<std::size_t>(i - 1)])));
    rise_before = rise;
  }
}

// log2(x) of x = 2^e m with m in [sqrt(1/2), sqrt(2)): e + log2(m), log2(m) = 2 / ln 2 * atanh(t) with
// t = (m - 1) / (m + 1), |t| < 0.172, as its series to t^9; the first term left out is below 1.1e-9. For
// normal positive x.
HWY_INLINE V log2_series(V x) {
  const IntV bits = hn::BitCast(di, x);
  const IntV e = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3f3504f3)));  // bits of sqrt(1/2)
  const V m = hn::BitCast(df, hn::Sub(bits, hn::ShiftLeft<23>(e)));
  const V one = broadcast(1.0f);
  const V t = hn::Div(hn::Sub(m, one), hn::Add(m, one)), u = hn::Mul(t, t);
  V series = broadcast(0.32059890f);                       // 2 / (9 ln 2)
  series = hn::MulAdd(u, series, broadcast(0.41219858f));  // 2 / (7 ln 2)
  series = hn::MulAdd(u, series, broadcast(0.57707802f));
  series = hn::MulAdd(u, series, broadcast(0.96179669f));
  series = hn::MulAdd(u, series, broadcast(2.88539008f));
  return hn::MulAdd(t, series, hn::ConvertTo(df, e));
}

// 10 log10(max(amin, x)).
HWY_INLINE V decibel(V x, V amin) {
  return hn::Mul(log2_series(hn::Max(x, amin)), broadcast(3.01029996f));
}

inline void decibels(const float* x, std::size_t n, float amin, float* db) {
  for (std::size_t i = 0; i < n; i += static_cast<std::size_t>(lanes))
    hn::StoreU(decibel(hn::LoadU(df, x + i), broadcast(amin)), df, db + i);
}

// out[c] = dct[c] @ values for every coefficient, four at a time.
inline void apply_dct(const Matrix<float>& dct, const float* HWY_RESTRICT values, float* HWY_RESTRICT out) {
  for (Index c = 0; c < dct.rows; c += 4) {
    const float* row[4];
    for (Index j = 0; j < 4; ++j) row[j] = dct.row(std::min(c + j, dct.rows - 1)).data();
    V sum[4] = {hn::Zero(df), hn::Zero(df), hn::Zero(df), hn::Zero(df)};
    for (Index band = 0; band < dct.cols; ++band) {
      const V x = load_values(values, band);
      HWY_UNROLL(4)
      for (Index j = 0; j < 4; ++j) sum[j] = hn::MulAdd(x, broadcast(row[j][band]), sum[j]);
    }
    for (Index j = 0; j < std::min<Index>(4, dct.rows - c); ++j) store_values(sum[j], out, c + j);
  }
}

// Chroma of one or two chunks at once (each weight is then loaded once for both): out[k] [n_chroma][lanes] =
// bank @ magnitude[k], each frame divided by its maximum unless that is below the least normal float.
template <int n_chunks>
class ChromaOfChunks {
 public:
  ChromaOfChunks(const ChromaBank& bank, const float* const* magnitude, float* const* out)
      : bank_(bank), magnitude_(magnitude), out_(out) {}

  HWY_INLINE void compute() const {
    int c = 0;
    for (; c + 6 <= bank_.n_chroma; c += 6) add_wide<6>(c);
    for (; c < bank_.n_chroma; ++c) add_wide<1>(c);
    for (std::size_t group = 0; group < bank_.group_first.size(); ++group) add_group(group);
    for (int k = 0; k < n_chunks; ++k) normalize(out_[k]);
  }

 private:
  static constexpr int band = ChromaBank::band;

  // Chroma c .. c + count of the bins that feed all of them.
  template <int count>
  HWY_INLINE void add_wide(int c) const {
    V sum[n_chunks][count];
    for (int k = 0; k < n_chunks; ++k)
      for (int j = 0; j < count; ++j) sum[k][j] = hn::Zero(df);
    const float* HWY_RESTRICT w = bank_.wide.data() + c;
    for (Index bin = 0; bin < bank_.n_wide; ++bin, w += bank_.n_chroma) add_bin(bin, w, sum);
    for (int k = 0; k < n_chunks; ++k)
      for (int j = 0; j < count; ++j) store_values(sum[k][j], out_[k], c + j);
  }

  HWY_INLINE void add_group(std::size_t group) const {
    int chroma[band];
    for (int j = 0; j < band; ++j) chroma[j] = (bank_.group_first[group] + j) % bank_.n_chroma;
    V sum[n_chunks][band];
    for (int k = 0; k < n_chunks; ++k)
      for (int j = 0; j < band; ++j) sum[k][j] = load_values(out_[k], chroma[j]);
    const Index begin = bank_.group_begin[group], end = bank_.group_begin[group + 1];
    const float* HWY_RESTRICT w = bank_.narrow.data() + (begin - bank_.n_wide) * band;
    for (Index bin = begin; bin < end; ++bin, w += band) add_bin(bin, w, sum);
    for (int k = 0; k < n_chunks; ++k)
      for (int j = 0; j < band; ++j) store_values(sum[k][j], out_[k], chroma[j]);
  }

  template <int count>
  HWY_INLINE void add_bin(Index bin, const float* HWY_RESTRICT w, V (&sum)[n_chunks][count]) const {
    V x[n_chunks];
    for (int k = 0; k < n_chunks; ++k) x[k] = load_values(magnitude_[k], bin);
    HWY_UNROLL(6)
    for (int j = 0; j < count; ++j)
      for (int k = 0; k < n_chunks; ++k) sum[k][j] = hn::MulAdd(x[k], broadcast(w[j]), sum[k][j]);
  }

  HWY_INLINE void normalize(float* out) const {
    const V one = broadcast(1.0f), least = broadcast(std::numeric_limits<float>::min());
    const V largest = max_values(out, bank_.n_chroma);
    const V scale = hn::Div(one, hn::IfThenElse(hn::Lt(largest, least), one, largest));
    for (Index c = 0; c < bank_.n_chroma; ++c) store_values(hn::Mul(load_values(out, c), scale), out, c);
  }

  const ChromaBank& bank_;
  const float* const* magnitude_;
  float* const* out_;
};

// Statistics of `n_values` per-frame values [n_values][lanes], of which the first n_valid lanes are frames;
// is_first for the clip's first chunk.
inline void add_statistics(const float* values, Index n_values, Index n_valid, bool is_first,
                           FrameStatistics* statistics) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> half;
  const Index step = static_cast<Index>(hn::MaxLanes(dd));
  for (Index i = 0; i < n_values; ++i, values += lanes) {
    FrameStatistics& s = statistics[i];
    if (is_first) s = {values[0], 0, 0};
    if (n_valid == lanes) {
      const auto shift = hn::Set(dd, s.shift);
      auto sum = hn::Zero(dd), sum_of_squares = hn::Zero(dd);
      for (Index lane = 0; lane < lanes; lane += step) {
        const auto x = hn::Sub(hn::PromoteTo(dd, hn::Load(half, values + lane)), shift);
        sum = hn::Add(sum, x);
        sum_of_squares = hn::MulAdd(x, x, sum_of_squares);
      }
      s.sum += hn::GetLane(hn::SumOfLanes(dd, sum));
      s.sum_of_squares += hn::GetLane(hn::SumOfLanes(dd, sum_of_squares));
    } else {
      for (Index lane = 0; lane < n_valid; ++lane) {
        const double x = values[lane] - s.shift;
        s.sum += x;
        s.sum_of_squares += x * x;
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
