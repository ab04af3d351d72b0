#include "host/cpu/speech_kernels.hpp"

#include <algorithm>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/speech_kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include "host/cpu/speech_prediction-inl.hpp"
#include "host/cpu/speech_spectra-inl.hpp"
#include "host/cpu/vector_math-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {
namespace {

void loudness(MatrixView<const float> mel, float* out) {
  const V amin = broadcast(1e-10f), exponent = broadcast(0.3f * std::numbers::ln2_v<float>);
  HWY_ALIGN float tail[lanes] = {};
  for (Index first = 0; first < mel.cols; first += lanes) {
    const Index n_valid = std::min<Index>(lanes, mel.cols - first);
    V sum = hn::Zero(df);
    for (Index band = 0; band < mel.rows; ++band) {
      const float* from = &mel(band, first);
      if (n_valid < lanes) from = std::copy_n(from, n_valid, tail) - n_valid;
      sum = hn::Add(sum, exp(df, hn::Mul(log2_series(hn::Max(hn::LoadU(df, from), amin)), exponent)));
    }
    hn::Store(sum, df, tail);
    std::copy_n(tail, n_valid, out + first);
  }
}

void resample_by_5_8(const float* HWY_RESTRICT x, Index n, const float* HWY_RESTRICT taps,
                     float* HWY_RESTRICT out) {
  constexpr Index n_taps = 33, n_padded = 48;
  constexpr Index shift[] = {0, 2, 4, 5, 7};
  for (Index i = 0; i < n; ++i) {
    const float* const from = x + 8 * (i / 5) + shift[i % 5];
    const float* const weights = taps + i % 5 * n_padded;
    V sum = hn::Zero(df);
    for (Index j = 0; j < n_taps; j += lanes)
      sum = hn::MulAdd(hn::LoadU(df, from + j), hn::LoadU(df, weights + j), sum);
    out[i] = hn::GetLane(hn::SumOfLanes(df, sum));
  }
}

SpeechKernels kernels_of_target() {
  return {lanes,     fft_columns,    root_lanes, &correlate,      &voice_spectra,
          &loudness, &autocorrelate, &roots,     &resample_by_5_8};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace melgrad {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// A transform of rows [.][lanes] whose input row j is row_of(j).
template <class RowOf>
LaneFft make_row_fft(int n_fft, int lanes, int fft_columns, const RowOf& row_of) {
  const std::vector<float> ones(at(n_fft), 1.0f);
  LaneFft fft = make_lane_fft(ones, n_fft, lanes, fft_columns, false);
  for (std::int32_t& offset : fft.offset) offset = row_of(offset / fft.layout.pitch) * lanes;
  return fft;
}

LaneFft make_zero_padded_fft(int n_fft, int lanes, int fft_columns) {
  return make_row_fft(n_fft, lanes, fft_columns, [](int j) { return std::min(j, long_win_length); });
}

LaneFft make_even_fft(int n_fft, int lanes, int fft_columns) {
  return make_row_fft(n_fft, lanes, fft_columns, [&](int j) { return std::min(j, n_fft - j); });
}

}  // namespace

LongFrames::LongFrames(int lanes, int fft_columns)
    : tables(make_pitch_tables()),
      correlation_power(make_zero_padded_fft(1024, lanes, fft_columns)),
      correlation(make_even_fft(1024, lanes, fft_columns)),
      voice_power(make_zero_padded_fft(2048, lanes, fft_columns)),
      cepstrum(make_even_fft(2048, lanes, fft_columns)),
      tile(at((long_win_length + 1) * lanes)),
      scratch(std::max({correlation_power.scratch_size(), voice_power.scratch_size()})),
      power(at(voice_power.n_bins * lanes)),
      db(power.size()),
      back(power.size()) {}

HWY_EXPORT(kernels_of_target);

SpeechKernels speech_kernels() {
  return HWY_DYNAMIC_DISPATCH(kernels_of_target)();
}

}  // namespace melgrad
#endif
