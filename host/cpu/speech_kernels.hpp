#pragma once
// What the groups of the `speech` set beyond spectra have compiled once per instruction set: transforms of
// 40 ms frames, one frame in each SIMD lane, and the roots of polynomials. Arrays written [lanes] are aligned
// and have a value of each of SpeechKernels::lanes frames side by side.

#include <array>
#include <cstdint>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/cpu/aligned.hpp"
#include "host/cpu/lane_fft.hpp"
#include "host/features/pitch_tables.hpp"

namespace melgrad {

// Quefrencies of the cepstrum that are kept.
constexpr int n_quefrencies = 260;
constexpr int most_lanes = 16;

// Tables and scratch for frames of long_win_length under a Hann window. A transform reads no further than the
// window, or half of an even sequence, whatever its size.
struct LongFrames {
  PitchTables tables;
  LaneFft correlation_power;  // 1024 points: lags below 1024 - 640 do not wrap around
  LaneFft correlation;        // back, from the power spectrum, which is even
  LaneFft voice_power;        // 2048 points, 7.8 Hz apart
  LaneFft cepstrum;           // back, from its logarithm
  AlignedArray<float> tile;   // [long_win_length + 1][lanes], windowed, without their mean; then a zero
  AlignedArray<float> scratch;
  AlignedArray<float> power;  // [1025][lanes]
  AlignedArray<float> db;     // [1025][lanes] 10 log10(max(power, 1e-10))
  AlignedArray<float> back;   // [1025][lanes] autocorrelation or cepstrum

  LongFrames(int lanes, int fft_columns);
};

// Autocorrelation of `lanes` frames.
struct Correlations {
  std::array<float, most_lanes> peak;  // the largest |sample| of each lane
  float* r;                            // [n_lags][lanes], see correlate
  // Of each lane the lag from first_lag on at which r[lag] - lag_costs[lag] is largest, the first one, and r.
  std::array<float, most_lanes> best_lag, best_r;
  std::array<int, most_lanes> n_maxima;  // local maxima of each lane, in order of their lags
  std::array<std::array<std::int16_t, n_lags / 2>, most_lanes> maxima;
};

// Measures of the spectrum of `lanes` frames, [lanes] each; bands in Hz, levels in dB.
struct VoiceSpectra {
  using Lanes = std::array<float, most_lanes>;
  Lanes max_300_1000, max_1200_2400, max_2400_3800;  // largest level of a bin
  Lanes alpha_ratio;                                 // mean power of 1000 to 5000 over 50 to 1000
  Lanes hammarberg_index;                            // largest level of 0 to 2000 less that of 2000 to 5000
  Lanes high_ratio;                                  // mean power of 5000 to 7900 over 50 to 1000
  Lanes slope_50_500, slope_500_1500, slope_1500_5000;  // least squares, dB/kHz
  Lanes cepstrum_offset, cepstrum_slope;                // line through the cepstrum at quefrencies 24 to 249
};

struct SpeechKernels {
  int lanes;
  int fft_columns;  // see make_lane_fft
  int root_lanes;   // polynomials that are solved side by side
  // Frames that begin at samples + first[lane]: r as PitchTables defines it. A local maximum is over 0.15, at
  // least its left and above its right neighbour, at lags 25 to n_lags - 2.
  void (*correlate)(LongFrames& frames, const float* samples, const std::int32_t* first, Correlations& out);
  // Such frames' power spectra in frames.db, their cepstrum (n_quefrencies) in frames.back.
  void (*voice_spectra)(LongFrames& frames, const float* samples, const std::int32_t* first,
                        VoiceSpectra& out);
  // out[frame] = sum over bands of max(mel, 1e-10)^0.3 of mel [n_bands, n_frames].
  void (*loudness)(MatrixView<const float> mel, float* out);
  // r[lag] = sum over j < n of x[j] x[j + lag], lag < 11, of root_lanes frames x [n + 10][root_lanes], the
  // last 10 zero; r [11][root_lanes]. Aligned.
  void (*autocorrelate)(const double* x, int n, double* r);
  // The degree roots of root_lanes polynomials z^degree + c[1] z^(degree - 1) + ... + c[degree], c
  // [degree + 1][root_lanes], by the method of Aberth (1973); re, im [degree][root_lanes].
  void (*roots)(int degree, const double* c, double* re, double* im);
  // out[i], i < n, of sums over 33 inputs, and what fills whole vectors: taps[i % 5] . x[8 * (i / 5) +
  // shift[i % 5] ...], shift = 0, 2, 4, 5, 7; taps [5][48].
  void (*resample_by_5_8)(const float* x, Index n, const float* taps, float* out);
};

// Those of the present instruction set (simd.hpp).
SpeechKernels speech_kernels();

}  // namespace melgrad
