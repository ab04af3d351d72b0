#include "host/cpu/lane_fft.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <numbers>

#include "host/cpu/aligned.hpp"
#include "host/cpu/feature_kernels.hpp"

namespace melgrad {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// exp(-2 pi i numerator / denominator), reduced to a turn in integers.
std::complex<double> root(std::int64_t numerator, std::int64_t denominator) {
  const double angle =
      -2 * std::numbers::pi * static_cast<double>(numerator % denominator) / static_cast<double>(denominator);
  return {std::cos(angle), std::sin(angle)};
}

void append(std::vector<float>& list, std::complex<double> value) {
  list.push_back(static_cast<float>(value.real()));
  list.push_back(static_cast<float>(value.imag()));
}

// In place, decimation in time, for tables alone.
void transform_in_double(std::vector<std::complex<double>>& x) {
  const std::size_t n = x.size();
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j |= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (std::size_t half = 1; half < n; half *= 2)
    for (std::size_t begin = 0; begin < n; begin += 2 * half)
      for (std::size_t i = 0; i < half; ++i) {
        const auto odd =
            x[begin + i + half] * root(static_cast<std::int64_t>(i), static_cast<std::int64_t>(2 * half));
        x[begin + i + half] = x[begin + i] - odd;
        x[begin + i] += odd;
      }
}

// Samples (pairs of them for a power of two) in the order in which the first pass reads them.
void add_input(LaneFft& fft, std::span<const float> window, int hop_length, const std::vector<int>& order,
               double scale) {
  const auto offset = [&](int sample) {
    const int row = sample % hop_length / (fft.layout.pairs ? 2 : 1);
    return row * fft.layout.pitch + sample / hop_length;
  };
  // An int16 is converted from the word's upper 16 bits (times 65536) or, the odd one, from its lower.
  const double even_scale = fft.layout.pairs ? scale / 32768 / 65536 : scale;
  const double odd_scale = fft.layout.pairs ? scale / 32768 : scale;
  for (const int sample : order) {
    const bool odd = sample % 2 != 0;
    if (!fft.layout.pairs || !odd) fft.offset.push_back(offset(sample));
    fft.window.push_back(static_cast<float>(window[at(sample)] * (odd ? odd_scale : even_scale)));
  }
}

void add_two_pass_tables(LaneFft& fft, int m) {
  for (int b = 0; b < fft.n_rows; ++b)
    for (int c = 0; c < fft.n_columns; ++c) append(fft.column_twiddles, root(std::int64_t{b} * c, m));
  const RowSplit split = row_split(fft.n_rows);
  for (int v = 0; v < split.last; ++v)
    for (int s = 0; s < split.first; ++s) append(fft.row_twiddles, root(v * s, fft.n_rows));
}

void add_power_of_two_tables(LaneFft& fft, std::span<const float> window, int hop_length, int n_columns) {
  const int m = fft.n_fft / 2;
  const bool two_pass = fft.n_fft >= 256 && fft.n_fft <= 4096;
  std::vector<int> order;
  if (two_pass) {
    fft.method = LaneFft::Method::two_pass;
    fft.n_columns = n_columns;
    fft.n_rows = m / n_columns;
    for (int b = 0; b < fft.n_rows; ++b)
      for (int a = 0; a < n_columns; ++a)
        for (int half = 0; half < 2; ++half) order.push_back(2 * (fft.n_rows * a + b) + half);
    add_two_pass_tables(fft, m);
  } else {
    fft.method = LaneFft::Method::passes;
    for (int j = 0; j < fft.n_fft; ++j) order.push_back(j);
    fft.passes = make_complex_passes(m);
  }
  add_input(fft, window, hop_length, order, 0.5);
  for (int k = 0; k < m; ++k) append(fft.split_twiddles, std::complex<double>(0, -1) * root(k, fft.n_fft));
}

void add_bluestein_tables(LaneFft& fft, std::span<const float> window, int hop_length) {
  const int n = fft.n_fft;
  fft.method = LaneFft::Method::bluestein;
  std::vector<int> order;
  for (int j = 0; j < n; ++j) order.push_back(j);
  add_input(fft, window, hop_length, order, 1);
  // Outputs k in [0, n_bins) need the chirp at k - j in (-n, n_bins).
  fft.passes =
      make_complex_passes(static_cast<int>(std::bit_ceil(static_cast<unsigned>(n + fft.n_bins - 1))));
  const auto chirp = [&](std::int64_t j) { return root(j * j, 2 * std::int64_t{n}); };
  for (int j = 0; j < n; ++j) append(fft.chirp, chirp(j));
  std::vector<std::complex<double>> b(at(fft.passes.size));
  for (int t = 1 - n; t < fft.n_bins; ++t)
    b[at(t < 0 ? t + fft.passes.size : t)] = std::conj(chirp(t)) / static_cast<double>(fft.passes.size);
  transform_in_double(b);
  for (const auto& value : b) append(fft.chirp_transformed, value);
}

}  // namespace

TileLayout::TileLayout(int n_fft, int hop_length, int lanes, bool pairs_)
    : pairs(pairs_), n_columns(lanes + (n_fft - 1) / hop_length) {
  const int n_samples = std::min(n_fft, hop_length);
  n_rows = pairs ? (n_samples + 1) / 2 : n_samples;
  pitch = (n_columns + 3) / 4 * 4;
  if (pitch % 32 == 0) pitch += 4;  // rows that lie a power of two apart would share few cache sets
}

ComplexPasses make_complex_passes(int size) {
  ComplexPasses passes;
  passes.size = size;
  int rest = size;
  for (const int radix : {8, 4, 2})
    while (rest % radix == 0) {
      passes.radices.push_back(radix);
      rest /= radix;
    }
  rest = size;
  for (const int radix : passes.radices) {
    for (int p = 0; p < rest / radix; ++p)
      for (int j = 1; j < radix; ++j) append(passes.twiddles, root(std::int64_t{p} * j, rest));
    rest /= radix;
  }
  return passes;
}

std::size_t LaneFft::scratch_size() const {
  const std::size_t points =
      method == Method::two_pass ? at(n_columns) * at(n_rows + 1) : 2 * at(passes.size);
  return points * 2 * at(lanes);
}

LaneFft make_lane_fft(std::span<const float> window, int hop_length, int lanes, int n_columns, bool pairs) {
  LaneFft fft;
  fft.n_fft = static_cast<int>(window.size());
  fft.n_bins = fft.n_fft / 2 + 1;
  fft.lanes = lanes;
  fft.layout = TileLayout(fft.n_fft, hop_length, lanes, pairs);
  if (std::has_single_bit(window.size()))
    add_power_of_two_tables(fft, window, hop_length, n_columns);
  else
    add_bluestein_tables(fft, window, hop_length);
  return fft;
}

Matrix<float> power_spectra(MatrixView<const float> frames, std::span<const float> window) {
  const FeatureKernels kernels = feature_kernels();
  const int n_fft = static_cast<int>(window.size());
  const LaneFft fft = make_lane_fft(window, n_fft, kernels.lanes, kernels.fft_columns, false);
  AlignedArray<float> tile(at(fft.layout.n_rows * fft.layout.pitch));
  AlignedArray<float> scratch(fft.scratch_size()), power(at(fft.n_bins * kernels.lanes));
  Matrix<float> spectra(frames.rows, fft.n_bins);
  for (Index first = 0; first < frames.rows; first += kernels.lanes) {
    const Index n_valid = std::min<Index>(kernels.lanes, frames.rows - first);
    for (int j = 0; j < n_fft; ++j)
      for (Index lane = 0; lane < kernels.lanes; ++lane)
        tile[at(j * fft.layout.pitch) + static_cast<std::size_t>(lane)] =
            lane < n_valid ? frames(first + lane, j) : 0.0f;
    kernels.transform(fft, tile.data(), scratch.data(), power.data());
    for (Index lane = 0; lane < n_valid; ++lane)
      for (int k = 0; k < fft.n_bins; ++k)
        spectra(first + lane, k) = power[at(k * kernels.lanes) + static_cast<std::size_t>(lane)];
  }
  return spectra;
}

}  // namespace melgrad
