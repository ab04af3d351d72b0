// Kernels of speech_kernels.hpp over 40 ms frames, compiled once per Highway target. See there.

#if defined(MELGRAD_HOST_CPU_SPEECH_SPECTRA_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_SPEECH_SPECTRA_INL_HPP_
#undef MELGRAD_HOST_CPU_SPEECH_SPECTRA_INL_HPP_
#else
#define MELGRAD_HOST_CPU_SPEECH_SPECTRA_INL_HPP_
#endif

#include "host/cpu/feature_stages-inl.hpp"
#include "host/cpu/lane_fft-inl.hpp"
#include "host/cpu/speech_kernels.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

static_assert(lanes <= most_lanes);

// The windowed frames less their mean as the tile; returns the largest |sample| of each.
HWY_NOINLINE V gather_frames(LongFrames& frames, const float* HWY_RESTRICT samples,
                             const std::int32_t* HWY_RESTRICT first) {
  float* HWY_RESTRICT tile = frames.tile.data();
  const float* HWY_RESTRICT window = frames.tables.window.data();
  const IntV begin = hn::LoadU(di, first);
  V peak = hn::Zero(df), sum = hn::Zero(df);
  for (int j = 0; j < long_win_length; ++j) {
    const V x = hn::GatherIndex(df, samples + j, begin);
    peak = hn::Max(peak, hn::Abs(x));
    const V windowed = hn::Mul(x, broadcast(window[j]));
    sum = hn::Add(sum, windowed);
    store_values(windowed, tile, j);
  }
  const V mean = hn::Mul(sum, broadcast(1.0f / long_win_length));
  for (int j = 0; j < long_win_length; ++j) store_values(hn::Sub(load_values(tile, j), mean), tile, j);
  store_values(hn::Zero(df), tile, long_win_length);
  return peak;
}

HWY_INLINE FloatInput input_of(const LaneFft& fft, const float* rows) {
  return {rows, fft.offset.data(), fft.window.data()};
}

inline void correlate(LongFrames& frames, const float* samples, const std::int32_t* first,
                      Correlations& out) {
  hn::StoreU(gather_frames(frames, samples, first), df, out.peak.data());
  const LaneFft& forward = frames.correlation_power;
  const LaneFft& back = frames.correlation;
  float* const power = frames.power.data();
  float* const scratch = frames.scratch.data();
  two_pass(forward, input_of(forward, frames.tile.data()), scratch, PowerOutput{power});
  two_pass(back, input_of(back, power), scratch, RealOutput{frames.back.data()});

  const float* const sums = frames.back.data();
  const V n_points = broadcast(static_cast<float>(back.n_fft));
  const V scale = hn::Div(broadcast(1.0f), hn::MulAdd(n_points, broadcast(1e-12f), load_values(sums, 0)));
  for (int lag = 0; lag < n_lags; ++lag) {
    const V weight = broadcast(frames.tables.lag_weights[static_cast<std::size_t>(lag)]);
    store_values(hn::Mul(hn::Mul(load_values(sums, lag), scale), weight), out.r, lag);
  }
  V best = broadcast(-1e30f), best_r = best, best_lag = best;
  for (int lag = first_lag; lag < n_lags; ++lag) {
    const V r = load_values(out.r, lag);
    const V gain = hn::Sub(r, broadcast(frames.tables.lag_costs[static_cast<std::size_t>(lag)]));
    const auto is_better = hn::Gt(gain, best);
    best = hn::IfThenElse(is_better, gain, best);
    best_r = hn::IfThenElse(is_better, r, best_r);
    best_lag = hn::IfThenElse(is_better, broadcast(static_cast<float>(lag)), best_lag);
  }
  hn::StoreU(best_lag, df, out.best_lag.data());
  hn::StoreU(best_r, df, out.best_r.data());
  out.n_maxima.fill(0);
  const V least = broadcast(0.15f);
  V before = load_values(out.r, 24), here = load_values(out.r, 25);
  for (int lag = 25; lag < n_lags - 1; ++lag) {
    const V after = load_values(out.r, lag + 1);
    const auto is_maximum = hn::And(hn::Gt(here, least), hn::And(hn::Ge(here, before), hn::Gt(here, after)));
    before = here;
    here = after;
    if (hn::AllFalse(df, is_maximum)) continue;
    HWY_ALIGN std::int32_t flags[most_lanes];
    hn::Store(hn::BitCast(di, hn::IfThenElseZero(is_maximum, broadcast(1.0f))), di, flags);
    for (std::size_t lane = 0; lane < static_cast<std::size_t>(lanes); ++lane)
      if (flags[lane] != 0)
        out.maxima[lane][static_cast<std::size_t>(out.n_maxima[lane]++)] = static_cast<std::int16_t>(lag);
  }
}

// Bins of 7.8125 Hz, of a spectrum [1025][lanes].
struct VoiceBins {
  const float* power;
  const float* db;

  HWY_INLINE V max_db(int begin, int end) const {
    V largest = load_values(db, begin);
    for (int bin = begin + 1; bin < end; ++bin) largest = hn::Max(largest, load_values(db, bin));
    return largest;
  }
  HWY_INLINE V mean_power(int begin, int end) const {
    const V least = broadcast(1e-10f);
    V sum = hn::Zero(df);
    for (int bin = begin; bin < end; ++bin) sum = hn::Add(sum, hn::Max(load_values(power, bin), least));
    return hn::Mul(sum, broadcast(1.0f / static_cast<float>(end - begin)));
  }
  HWY_INLINE V mean_db(int begin, int end) const {
    return decibel(hn::Add(mean_power(begin, end), broadcast(1e-10f)), broadcast(1e-10f));
  }
  // Of the least-squares line, per kHz.
  HWY_INLINE V slope(int begin, int end) const {
    const float n = static_cast<float>(end - begin), middle = static_cast<float>(begin + end - 1) / 2;
    V sum = hn::Zero(df);
    for (int bin = begin; bin < end; ++bin)
      sum = hn::MulAdd(load_values(db, bin), broadcast(static_cast<float>(bin) - middle), sum);
    const float squares = n * (n * n - 1) / 12;  // sum of (bin - middle)^2
    return hn::Mul(sum, broadcast(1 / (squares * 0.0078125f)));
  }
};

inline void voice_spectra(LongFrames& frames, const float* samples, const std::int32_t* first,
                          VoiceSpectra& out) {
  gather_frames(frames, samples, first);
  const LaneFft& forward = frames.voice_power;
  const LaneFft& back = frames.cepstrum;
  float* const power = frames.power.data();
  float* const db = frames.db.data();
  float* const cepstrum = frames.back.data();
  float* const scratch = frames.scratch.data();
  two_pass(forward, input_of(forward, frames.tile.data()), scratch, PowerOutput{power});
  const V amin = broadcast(1e-10f);
  for (int bin = 0; bin < forward.n_bins; ++bin)
    store_values(decibel(load_values(power, bin), amin), db, bin);
  two_pass(back, input_of(back, db), scratch, RealOutput{cepstrum});

  const VoiceBins bins{power, db};
  const auto put = [](V value, VoiceSpectra::Lanes& to) HWY_ATTR { hn::StoreU(value, df, to.data()); };
  put(bins.max_db(38, 128), out.max_300_1000);
  put(bins.max_db(153, 307), out.max_1200_2400);
  put(bins.max_db(307, 486), out.max_2400_3800);
  put(hn::Sub(bins.max_db(0, 256), bins.max_db(256, 640)), out.hammarberg_index);
  const V low_db = bins.mean_db(6, 128);
  put(hn::Sub(bins.mean_db(128, 640), low_db), out.alpha_ratio);
  put(hn::Sub(bins.mean_db(640, 1011), low_db), out.high_ratio);
  put(bins.slope(7, 64), out.slope_50_500);
  put(bins.slope(64, 192), out.slope_500_1500);
  put(bins.slope(192, 640), out.slope_1500_5000);

  const V scale = broadcast(1.0f / static_cast<float>(back.n_fft));
  for (int q = 0; q < n_quefrencies; ++q) store_values(hn::Mul(load_values(cepstrum, q), scale), cepstrum, q);
  constexpr int begin = 24, end = 250;
  constexpr float n = end - begin, middle = (begin + end - 1) / 2.0f, squares = n * (n * n - 1) / 12;
  V sum = hn::Zero(df), moment = hn::Zero(df);
  for (int q = begin; q < end; ++q) {
    const V c = load_values(cepstrum, q);
    sum = hn::Add(sum, c);
    moment = hn::MulAdd(c, broadcast(static_cast<float>(q) - middle), moment);
  }
  const V slope = hn::Mul(moment, broadcast(1 / squares));
  put(slope, out.cepstrum_slope);
  put(hn::NegMulAdd(slope, broadcast(middle), hn::Mul(sum, broadcast(1 / n))), out.cepstrum_offset);
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
