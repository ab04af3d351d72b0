#pragma once
// Autocorrelation of 40 ms frames of speech (Boersma, Proc. Inst. Phonetic Sciences 17, 1993).

#include <vector>

namespace melgrad {

// 40 ms at 16 kHz: three periods of 75 Hz.
inline constexpr int long_win_length = 640;
// Lags that a pitch is looked for at: from 26 (615 Hz) up to, but without, 246 (65 Hz).
inline constexpr int first_lag = 26;
inline constexpr int n_lags = 246;

// With x a frame times the window, less its mean,
//   r[lag] = lag_weights[lag] sum of x[j] x[j + lag] / (sum of x[j]^2 + 1e-12)
// and the most periodic lag of a frame is that of the largest r[lag] - lag_costs[lag], the first one.
struct PitchTables {
  std::vector<float> window;       // [long_win_length] symmetric Hann
  std::vector<float> lag_weights;  // [n_lags] the window's autocorrelation at lag 0 over that at the lag
  std::vector<float> lag_costs;    // [n_lags] 0.02 per octave over first_lag
};
PitchTables make_pitch_tables();

}  // namespace melgrad
