#pragma once
// What the groups `shape` and `contrast` of the speech set tell of the spectrum of a frame.

#include <array>

#include "host/core/matrix.hpp"

namespace melgrad {

// The values of `shape`, of magnitudes m[k] at f[k] Hz with total = sum m + 1e-9:
enum class SpectralShape {
  centroid,    // Hz, sum f m / total
  bandwidth,   // Hz, sqrt(sum (f - centroid)^2 m / total)
  rolloff_25,  // Hz of the first bin up to which 25 % of sum m lie
  rolloff_50,
  rolloff_85,
  rolloff_95,
  flatness,            // mean of log(max(m^2, 1e-10)) less log(mean of m^2 + 1e-10)
  zero_crossing_rate,  // of the unwindowed frame
  rms_db,              // of the unwindowed frame
  flux,                // |m / total - that of the frame before|, 0 in the first
  alpha_ratio,         // dB of sum m^2 + 1e-9 below 1 kHz over that of 1 to 5 kHz
  hammarberg_index,    // dB below 500 Hz over 2 kHz and more, likewise
  slope                // of the log mel bands, dB per band
};
inline constexpr Index n_shapes = 13;

// Edges in Hz of the bands of `contrast`: dB of the mean of a band's greatest 2 % of magnitudes (at least
// one) over that of its least, each at least 1e-5.
inline constexpr std::array contrast_edges{0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 8001.0};
inline constexpr Index n_contrasts = 6;

}  // namespace melgrad
