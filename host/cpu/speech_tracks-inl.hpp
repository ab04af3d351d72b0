// Spectral tracks of the speech set for `lanes` frames side by side. See spectral_shape.hpp for formulas.

#if defined(MELGRAD_HOST_CPU_SPEECH_TRACKS_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_SPEECH_TRACKS_INL_HPP_
#undef MELGRAD_HOST_CPU_SPEECH_TRACKS_INL_HPP_
#else
#define MELGRAD_HOST_CPU_SPEECH_TRACKS_INL_HPP_
#endif

#include <algorithm>
#include <array>
#include <numbers>

#include "host/cpu/feature_stages-inl.hpp"
#include "host/cpu/frame_tile-inl.hpp"
#include "host/cpu/lane_fft-inl.hpp"
#include "host/cpu/speech_frames.hpp"
#include "host/cpu/speech_track_kernels.hpp"
#include "host/cpu/speech_tracks.hpp"
#include "host/features/spectral_shape.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

constexpr Index n_speech_bins = SpeechFrames::n_fft / 2 + 1;
constexpr double speech_bin_hz = static_cast<double>(SpeechFrames::sample_rate) / SpeechFrames::n_fft;

// The first bin at or above a frequency, or n_speech_bins.
constexpr Index speech_bin(double hz) {
  Index bin = 0;
  while (bin < n_speech_bins && static_cast<double>(bin) * speech_bin_hz < hz) ++bin;
  return bin;
}

// The k greatest or least of what is put, in each lane.
template <int k, bool greatest>
class Extremes {
 public:
  HWY_INLINE Extremes() {
    for (V& each : kept_) each = broadcast(greatest ? 0.0f : 3e38f);
  }
  HWY_INLINE void put(V x) {
    for (V& each : kept_) {
      const V other = greatest ? hn::Min(each, x) : hn::Max(each, x);
      each = greatest ? hn::Max(each, x) : hn::Min(each, x);
      x = other;
    }
  }
  // dB of the mean magnitude, at least 1e-5, of powers.
  HWY_INLINE V mean_db() const {
    V sum = square_root(kept_[0]);
    for (int i = 1; i < k; ++i) sum = hn::Add(sum, square_root(kept_[i]));
    const V mean = hn::Mul(sum, broadcast(1.0f / k));
    return hn::Mul(decibel(mean, broadcast(1e-5f)), broadcast(2.0f));
  }

 private:
  V kept_[k];
};

// The product and quotient of many positive values, in each lane, as a logarithm.
class LogSum {
 public:
  // Not a default member's: the compiler would make that constructor for the baseline's instruction set.
  HWY_INLINE LogSum() : exponents_(hn::Zero(di)), product_(broadcast(1.0f)), log2_(hn::Zero(df)) {}
  HWY_INLINE void put(V x) {
    const IntV bits = hn::BitCast(di, x);
    exponents_ = hn::Add(exponents_, hn::ShiftRight<23>(bits));
    const IntV mantissa = hn::Or(hn::And(bits, hn::Set(di, 0x007fffff)), hn::Set(di, 0x3f800000));
    product_ = hn::Mul(product_, hn::BitCast(df, mantissa));
  }
  // At least every 127 values: mantissas are below 2.
  HWY_INLINE void flush() {
    log2_ = hn::Add(log2_, log2_series(product_));
    product_ = broadcast(1.0f);
  }
  // Of n values, flushed.
  HWY_INLINE V log2_of(Index n) const {
    const IntV bias = hn::Set(di, static_cast<std::int32_t>(127 * n));
    return hn::Add(log2_, hn::ConvertTo(df, hn::Sub(exponents_, bias)));
  }

 private:
  IntV exponents_;
  V product_;
  V log2_;
};

class TrackPasses {
 public:
  TrackPasses(const TrackTask& task, TrackScratch& scratch)
      : task_(task), scratch_(scratch), n_chunks_((task.n_frames + lanes - 1) / lanes) {}

  void run() {
    loudest_ = broadcast(-1e30f);
    for (Index i = 0; i < n_speech_bins * 2; ++i) store_values(hn::Zero(df), scratch_.relative.data(), i);
    for (Index chunk = 0; chunk < n_chunks_; ++chunk) {
      transform_chunk(chunk);
      put_mel(chunk);
      put_contrast(chunk);
      put_shape(chunk);
    }
    task_.shape->row(static_cast<Index>(SpectralShape::flux))[0] = 0;
    const V least = hn::Sub(hn::MaxOfLanes(df, loudest_), broadcast(80.0f));
    for (Index chunk = 0; chunk < n_chunks_; ++chunk) put_mfcc(chunk, least);
  }

 private:
  const float* power() const { return scratch_.power.data(); }

  void put(V value, SpectralShape which, Index chunk) const {
    hn::Store(value, df, task_.shape->row(static_cast<Index>(which)) + chunk * lanes);
  }

  // |X|^2 of the chunk's frames.
  void transform_chunk(Index chunk) {
    const TileLayout& layout = task_.fft->layout;
    std::int32_t* const tile = scratch_.tile.data();
    const Index last_column = layout.n_columns - lanes;
    if (chunk > 0) shift_columns(layout, tile);
    for (Index begin = chunk > 0 ? last_column : 0; begin < layout.n_columns; begin += lanes) {
      const Index column = std::min(begin, last_column);
      const float* rows[lanes];
      for (Index row = 0; row < lanes; ++row)
        rows[row] = task_.samples + (chunk * lanes + column + row) * SpeechFrames::hop_length;
      transpose_rows<FloatWords>(rows, layout.n_rows, layout.pitch, reinterpret_cast<float*>(tile) + column);
    }
    const FloatInput input{reinterpret_cast<const float*>(tile), task_.fft->offset.data(),
                           task_.fft->window.data()};
    two_pass(*task_.fft, input, scratch_.fft.data(), PowerOutput{scratch_.power.data()});
  }

  void put_mel(Index chunk) {
    const V amin = broadcast(1e-10f);
    const auto is_valid =
        hn::FirstN(df, static_cast<std::size_t>(std::min<Index>(lanes, task_.n_frames - chunk * lanes)));
    Spectrum spectrum{power()};
    V loudest = loudest_;
    mel_bands(task_.plan->mel, spectrum, [&](Index band, V value) HWY_ATTR {
      hn::Store(value, df, task_.mel->row(band) + chunk * lanes);
      const V db = decibel(value, amin);
      hn::Store(db, df, task_.log_mel->row(band) + chunk * lanes);
      loudest = hn::Max(loudest, hn::IfThenElse(is_valid, db, broadcast(-1e30f)));
    });
    loudest_ = loudest;
  }

  void put_contrast(Index chunk) const {
    put_band_contrast<0>(chunk);
    put_band_contrast<1>(chunk);
    put_band_contrast<2>(chunk);
    put_band_contrast<3>(chunk);
    put_band_contrast<4>(chunk);
    put_band_contrast<5>(chunk);
  }

  template <std::size_t band>
  HWY_INLINE void put_band_contrast(Index chunk) const {
    constexpr Index begin = speech_bin(contrast_edges[band]), end = speech_bin(contrast_edges[band + 1]);
    constexpr int k = std::max(1, static_cast<int>((end - begin + 25) / 50));  // 2 % of them, rounded
    Extremes<k, true> greatest;
    Extremes<k, false> least;
    for (Index bin = begin; bin < end; ++bin) {
      const V x = load_values(power(), bin);
      greatest.put(x);
      least.put(x);
    }
    hn::Store(hn::Sub(greatest.mean_db(), least.mean_db()), df,
              task_.contrast->row(static_cast<Index>(band)) + chunk * lanes);
  }

  void put_shape(Index chunk) const {
    V sum, centroid;
    put_sums(chunk, sum, centroid);
    put_rolloff(chunk, sum);
    put_spread_and_flux(chunk, sum, centroid);
    put_flatness(chunk);
    put_ratios(chunk);
  }

  // Magnitudes, their sum and centre.
  void put_sums(Index chunk, V& sum, V& centroid) const {
    float* const magnitude = scratch_.magnitude.data();
    V weighted = hn::Zero(df), hz = hn::Zero(df);
    sum = hn::Zero(df);
    for (Index bin = 0; bin < n_speech_bins; ++bin) {
      const V m = square_root(load_values(power(), bin));
      store_values(m, magnitude, bin);
      sum = hn::Add(sum, m);
      weighted = hn::MulAdd(m, hz, weighted);
      hz = hn::Add(hz, broadcast(static_cast<float>(speech_bin_hz)));
    }
    centroid = hn::Div(weighted, hn::Add(sum, broadcast(1e-9f)));
    put(centroid, SpectralShape::centroid, chunk);
  }

  // The number of bins up to which the sum stays below a share of all.
  void put_rolloff(Index chunk, V sum) const {
    const V one = broadcast(1.0f);
    V cumulated = hn::Zero(df);
    V limit[4], below[4];
    constexpr float shares[4] = {0.25f, 0.5f, 0.85f, 0.95f};
    for (int i = 0; i < 4; ++i) {
      limit[i] = hn::Mul(sum, broadcast(shares[i]));
      below[i] = hn::Zero(df);
    }
    for (Index bin = 0; bin < n_speech_bins; ++bin) {
      cumulated = hn::Add(cumulated, load_values(scratch_.magnitude.data(), bin));
      HWY_UNROLL(4)
      for (int i = 0; i < 4; ++i)
        below[i] = hn::Add(below[i], hn::IfThenElseZero(hn::Lt(cumulated, limit[i]), one));
    }
    for (int i = 0; i < 4; ++i)
      put(hn::Mul(below[i], broadcast(static_cast<float>(speech_bin_hz))),
          static_cast<SpectralShape>(static_cast<int>(SpectralShape::rolloff_25) + i), chunk);
  }

  void put_spread_and_flux(Index chunk, V sum, V centroid) const {
    const V scale = hn::Div(broadcast(1.0f), hn::Add(sum, broadcast(1e-9f)));
    V spread = hn::Zero(df), from_centre = hn::Neg(centroid);
    float* relative = scratch_.relative.data();
    for (Index bin = 0; bin < n_speech_bins; ++bin, relative += 2 * lanes) {
      const V m = load_values(scratch_.magnitude.data(), bin);
      spread = hn::MulAdd(hn::Mul(m, from_centre), from_centre, spread);
      from_centre = hn::Add(from_centre, broadcast(static_cast<float>(speech_bin_hz)));
      relative[lanes - 1] = relative[2 * lanes - 1];
      hn::Store(hn::Mul(m, scale), df, relative + lanes);
    }
    put(hn::Sqrt(hn::Mul(spread, scale)), SpectralShape::bandwidth, chunk);
    V squares = hn::Zero(df);
    relative = scratch_.relative.data();
    for (Index bin = 0; bin < n_speech_bins; ++bin, relative += 2 * lanes) {
      const V step = hn::Sub(hn::Load(df, relative + lanes), hn::LoadU(df, relative + lanes - 1));
      squares = hn::MulAdd(step, step, squares);
    }
    put(hn::Sqrt(squares), SpectralShape::flux, chunk);
  }

  void put_flatness(Index chunk) const {
    const V least = broadcast(1e-10f);
    LogSum logs;
    V sum = hn::Zero(df);
    for (Index bin = 0; bin < n_speech_bins; ++bin) {
      const V x = load_values(power(), bin);
      sum = hn::Add(sum, x);
      logs.put(hn::Max(x, least));
      if (bin % 64 == 63) logs.flush();
    }
    logs.flush();
    constexpr float per_bin = 1.0f / n_speech_bins;
    const V mean = hn::MulAdd(sum, broadcast(per_bin), least);
    const V log2_ratio = hn::MulSub(logs.log2_of(n_speech_bins), broadcast(per_bin), log2_series(mean));
    put(hn::Mul(log2_ratio, broadcast(std::numbers::ln2_v<float>)), SpectralShape::flatness, chunk);
  }

  HWY_INLINE V sum_of(Index begin, Index end) const {
    V sum = hn::Zero(df);
    for (Index bin = begin; bin < end; ++bin) sum = hn::Add(sum, load_values(power(), bin));
    return sum;
  }

  void put_ratios(Index chunk) const {
    const V below_500 = sum_of(0, speech_bin(500)), below_1000 = sum_of(speech_bin(500), speech_bin(1000));
    const V below_2000 = sum_of(speech_bin(1000), speech_bin(2000));
    const V below_5000 = sum_of(speech_bin(2000), speech_bin(5000));
    const V above = sum_of(speech_bin(5000), n_speech_bins);
    const V amin = broadcast(1e-9f);
    const auto db = [&](V x) HWY_ATTR { return decibel(hn::Add(x, amin), amin); };
    put(hn::Sub(db(hn::Add(below_500, below_1000)), db(hn::Add(below_2000, below_5000))),
        SpectralShape::alpha_ratio, chunk);
    put(hn::Sub(db(below_500), db(hn::Add(below_5000, above))), SpectralShape::hammarberg_index, chunk);
  }

  // Bands are raised to `least` dB.
  void put_mfcc(Index chunk, V least) const {
    const Matrix<float>& dct = task_.plan->dct;
    float* const bands = scratch_.bands.data();
    float* const coefficients = scratch_.coefficients.data();
    V slope = hn::Zero(df);
    const float middle = static_cast<float>(dct.cols - 1) / 2;
    for (Index band = 0; band < dct.cols; ++band) {
      float* const db = task_.log_mel->row(band) + chunk * lanes;
      const V kept = hn::Max(hn::Load(df, db), least);
      hn::Store(kept, df, db);
      store_values(kept, bands, band);
      slope = hn::MulAdd(kept, broadcast(static_cast<float>(band) - middle), slope);
    }
    const auto n = static_cast<float>(dct.cols);
    put(hn::Mul(slope, broadcast(12 / (n * (n * n - 1)))), SpectralShape::slope, chunk);
    apply_dct(dct, bands, coefficients);
    for (Index c = 0; c < dct.rows; ++c)
      hn::Store(load_values(coefficients, c), df, task_.mfcc->row(c) + chunk * lanes);
  }

  const TrackTask& task_;
  TrackScratch& scratch_;
  Index n_chunks_;
  V loudest_;
};

inline void analyse(const TrackTask& task, TrackScratch& scratch) {
  TrackPasses(task, scratch).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
