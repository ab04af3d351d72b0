// Spectral peaks of a clip and the tuning that they vote for: TuningPlan says what librosa computes and in
// what precision.

#if defined(MELGRAD_HOST_CPU_TUNING_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_TUNING_INL_HPP_
#undef MELGRAD_HOST_CPU_TUNING_INL_HPP_
#else
#define MELGRAD_HOST_CPU_TUNING_INL_HPP_
#endif

#include "host/cpu/feature_stages-inl.hpp"
#include "host/cpu/feature_tables.hpp"
#include "host/cpu/lane_fft-inl.hpp"
#include "host/cpu/tuning.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

using DoubleTag = hn::ScalableTag<double>;
using HalfTag = hn::Rebind<float, DoubleTag>;  // as many floats as fit a vector of doubles

// Peaks side by side, in Workspace::new_peaks: the magnitudes below, at and above them, their bin, their
// shift.
struct PeakArrays {
  float* below;
  float* at;
  float* above;
  float* bin;
  float* shift;

  explicit PeakArrays(const Workspace& workspace) {
    const std::size_t most = workspace.new_peaks.size() / 5;
    below = workspace.new_peaks.data();
    at = below + most;
    above = at + most;
    bin = above + most;
    shift = bin + most;
  }
};

// Appends the lanes of bin k that are peaks to `peaks`, of which there are n; returns how many. magnitude
// points to bin k, whose neighbours' magnitudes are a and c.
template <class Mask>
HWY_INLINE std::size_t put_peaks(Mask is_peak, int k, V a, V b, V c, const float* magnitude,
                                 const PeakArrays& peaks, std::size_t n) {
#if HWY_TARGET <= HWY_AVX3
  (void)magnitude;
  hn::StoreU(broadcast(static_cast<float>(k)), df, peaks.bin + n);
  hn::CompressStore(a, is_peak, df, peaks.below + n);
  hn::CompressStore(c, is_peak, df, peaks.above + n);
  return hn::CompressStore(b, is_peak, df, peaks.at + n);
#else  // compression is a table look-up here, and slower than one peak after another
  (void)a, (void)b, (void)c;
  std::uint8_t bits[8] = {};
  hn::StoreMaskBits(df, is_peak, bits);
  std::size_t count = 0;
  for (unsigned rest = bits[0]; rest != 0; rest &= rest - 1, ++count) {
    const float* const x = magnitude + hwy::Num0BitsBelowLS1Bit_Nonzero32(rest);
    peaks.below[n + count] = x[-lanes];
    peaks.at[n + count] = x[0];
    peaks.above[n + count] = x[lanes];
    peaks.bin[n + count] = static_cast<float>(k);
  }
  return count;
#endif
}

// Appends the pitch and magnitude of every peak in magnitude [n_bins][lanes] to the workspace's lists;
// `largest` is each frame's largest magnitude.
inline void add_peaks(const TuningPlan& plan, const float* HWY_RESTRICT magnitude, V largest,
                      Workspace& workspace) {
  const PeakArrays peaks(workspace);
  const V reference = hn::Mul(largest, broadcast(static_cast<float>(TuningPlan::threshold)));
  std::size_t n = 0;
  V a = load_values(magnitude, plan.first_bin - 1), b = load_values(magnitude, plan.first_bin);
  for (int k = plan.first_bin; k < plan.end_bin; ++k) {
    const V c = load_values(magnitude, k + 1);
    const auto is_peak = hn::And(hn::And(hn::Gt(b, reference), hn::Gt(b, a)), hn::Ge(b, c));
    n += put_peaks(is_peak, k, a, b, c, magnitude + k * lanes, peaks, n);
    a = b;
    b = c;
  }
  float* const out_magnitude = workspace.peak_magnitude.data() + workspace.n_peaks;
  float* const out_pitch = workspace.peak_pitch.data() + workspace.n_peaks;
  for (std::size_t i = 0; i < n; i += static_cast<std::size_t>(lanes)) {
    const V x0 = hn::LoadU(df, peaks.below + i), x1 = hn::LoadU(df, peaks.at + i),
            x2 = hn::LoadU(df, peaks.above + i);
    const V curvature = hn::Sub(hn::Add(x2, x0), hn::Add(x1, x1));
    const V slope = hn::Mul(hn::Sub(x2, x0), broadcast(0.5f));
    const auto is_sharp = hn::Lt(hn::Abs(slope), hn::Abs(curvature));
    const V s = hn::IfThenElseZero(is_sharp, hn::Neg(hn::Div(slope, curvature)));
    hn::StoreU(s, df, peaks.shift + i);
    hn::StoreU(hn::Add(x1, hn::Mul(hn::Mul(slope, broadcast(0.5f)), s)), df, out_magnitude + i);
  }
  const DoubleTag dd;
  const HalfTag half;
  const auto hz_per_bin = hn::Set(dd, plan.hz_per_bin);
  for (std::size_t i = 0; i < n; i += hn::MaxLanes(dd)) {
    const auto position = hn::Add(hn::PromoteTo(dd, hn::LoadU(half, peaks.bin + i)),
                                  hn::PromoteTo(dd, hn::LoadU(half, peaks.shift + i)));
    hn::StoreU(hn::DemoteTo(half, hn::Mul(position, hz_per_bin)), half, out_pitch + i);
  }
  workspace.n_peaks += n;
}

// log2 of a normal positive double as log2_series; the first term of the series left out is below 7e-13.
template <class D, class VD = hn::Vec<D>>
HWY_INLINE VD log2_double(D dd, VD x) {
  const hn::RebindToSigned<D> d64;
  const auto bits = hn::BitCast(d64, x);
  // The exponent by logical shifts and a bias that keeps it positive: AVX2 has no arithmetic shift of 64
  // bits.
  const auto half_root = hn::Set(d64, 0x3fe6a09e667f3bcd);  // bits of sqrt(1/2)
  const auto above = hn::Sub(bits, half_root);
  const hn::RebindToUnsigned<D> du;
  const auto biased = hn::BitCast(
      d64, hn::ShiftRight<52>(hn::BitCast(du, hn::Add(above, hn::Set(d64, std::int64_t{1024} << 52)))));
  const auto e = hn::Sub(biased, hn::Set(d64, 1024));
  const auto m = hn::BitCast(dd, hn::Sub(bits, hn::ShiftLeft<52>(e)));
  // e as a double: its low bits in the mantissa of 2^52.
  const auto magic = hn::Set(dd, 0x1p52);
  const auto e_double =
      hn::Sub(hn::Sub(hn::BitCast(dd, hn::Or(biased, hn::BitCast(d64, magic))), magic), hn::Set(dd, 1024.0));
  const auto one = hn::Set(dd, 1.0);
  const auto t = hn::Div(hn::Sub(m, one), hn::Add(m, one)), u = hn::Mul(t, t);
  auto series = hn::Set(dd, 0.22195308321368668);  // 2 / (13 ln 2)
  series = hn::MulAdd(u, series, hn::Set(dd, 0.26230818925253880));
  series = hn::MulAdd(u, series, hn::Set(dd, 0.32059889797532520));
  series = hn::MulAdd(u, series, hn::Set(dd, 0.41219858311113240));
  series = hn::MulAdd(u, series, hn::Set(dd, 0.57707801635558536));
  series = hn::MulAdd(u, series, hn::Set(dd, 0.96179669392597560));
  series = hn::MulAdd(u, series, hn::Set(dd, 2.88539008177792680));
  return hn::MulAdd(t, series, e_double);
}

// The tuning bin that the workspace's peaks of at least median magnitude vote for.
inline int estimate_tuning(int n_chroma, float median, Workspace& workspace) {
  const float* const magnitude = workspace.peak_magnitude.data();
  const float* const pitch = workspace.peak_pitch.data();
  float* const residuals = workspace.residuals.data();
  std::size_t n = 0;
  for (std::size_t i = 0; i < workspace.n_peaks; i += static_cast<std::size_t>(lanes)) {
    const auto is_there = hn::FirstN(df, workspace.n_peaks - i);
    const auto votes = hn::And(is_there, hn::Ge(hn::LoadU(df, magnitude + i), broadcast(median)));
    n += hn::CompressStore(hn::LoadU(df, pitch + i), votes, df, residuals + n);
  }
  const DoubleTag dd;
  const HalfTag half;
  const auto reference_hz = hn::Set(half, 27.5f),
             chroma_per_octave = hn::Set(half, static_cast<float>(n_chroma));
  for (std::size_t i = 0; i < n; i += hn::MaxLanes(dd)) {
    const auto ratio = hn::Div(hn::LoadU(half, residuals + i), reference_hz);
    const auto octaves = hn::DemoteTo(half, log2_double(dd, hn::PromoteTo(dd, ratio)));
    const auto chroma = hn::Mul(octaves, chroma_per_octave);
    const auto fraction = hn::Sub(chroma, hn::Floor(chroma));
    const auto wrapped = hn::Sub(fraction, hn::Set(half, 1.0f));
    hn::StoreU(hn::IfThenElse(hn::Ge(fraction, hn::Set(half, 0.5f)), wrapped, fraction), half, residuals + i);
  }
  return fullest_tuning_bin({residuals, n});
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
