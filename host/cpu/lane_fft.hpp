#pragma once
// The real Fourier transform of many frames at once: every SIMD lane holds another frame, so butterflies need
// no shuffles and any vector width works. A vector of lanes is written [lanes] below.
//
//   X[k] = sum over j of window[j] x[j] exp(-2 pi i j k / n_fft), k in [0, n_fft / 2]
//
// A power of two is transformed as m = n_fft / 2 complex points z[j] = x[2j] + i x[2j+1]:
//   two_pass (256 to 4096): m = n_columns * n_rows, one pass over the columns straight from the samples, one
//   over
//            the rows straight into the spectrum; the scratch between them stays in the L2 cache
//   passes   (others): Stockham passes of radix 8 and one of radix 2 or 4
// and Z is taken apart by X[k] = (Z[k] + Z'[m-k]) / 2 - i w^k (Z[k] - Z'[m-k]) / 2, where ' conjugates and
// w = exp(-2 pi i / n_fft). Any other size is a convolution with a chirp (Bluestein, "A linear filtering
// approach to the computation of discrete Fourier transform", 1970) of power-of-two length.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

// How the samples of consecutive frames lie in a tile: sample j of the frame in lane l is word
// offset(j) + l, with offset(j) = (j % hop_length) * pitch + j / hop_length: each hop of samples stands in a
// column of its own and serves every frame that it belongs to. With pairs, word j / 2 holds the int16 samples
// j (low half) and j + 1 (hop_length is even then); else a word is one float sample.
struct TileLayout {
  bool pairs = false;
  int n_rows = 0;     // words that are read in a column
  int n_columns = 0;  // lanes + (n_fft - 1) / hop_length
  int pitch = 0;      // words from row to row; at least n_columns

  TileLayout() = default;
  TileLayout(int n_fft, int hop_length, int lanes, bool pairs);
};

// The passes of a complex transform of power-of-two size, with twiddles, see lane_fft-inl.hpp.
struct ComplexPasses {
  int size = 0;
  std::vector<int> radices;     // product: size
  std::vector<float> twiddles;  // by pass, by p, by j in [1, radix): w^(p j), (re, im)
};
ComplexPasses make_complex_passes(int size);

// Tables of one transform for one tile layout. Lists of input samples are in the order of their use.
struct LaneFft {
  enum class Method { two_pass, passes, bluestein };
  Method method = Method::passes;
  int n_fft = 0;
  int n_bins = 0;
  int lanes = 0;
  TileLayout layout;
  int n_columns = 0;  // two_pass: points of a column's transform, 16 or 32
  int n_rows = 0;     // two_pass: points of a row's transform

  std::vector<std::int32_t> offset;    // [n_fft] tile offsets; with pairs [n_fft / 2]
  std::vector<float> window;           // [n_fft], times the powers of two that the format and halving ask for
  std::vector<float> column_twiddles;  // two_pass: [n_rows][n_columns] exp(-2 pi i b c / m), (re, im)
  std::vector<float> row_twiddles;     // two_pass: [last][first] exp(-2 pi i v s / n_rows), (re, im)
  std::vector<float> split_twiddles;   // [m] -i w^k, (re, im)
  ComplexPasses passes;                // passes, bluestein
  std::vector<float> chirp;            // bluestein: [n_fft] exp(-pi i j^2 / n_fft), (re, im)
  std::vector<float> chirp_transformed;  // bluestein: [passes.size], (re, im)

  // Floats of aligned scratch that a transform needs.
  std::size_t scratch_size() const;
};

// n_columns, 16 or 32, is what suits the instruction set (FeatureKernels::fft_columns).
LaneFft make_lane_fft(std::span<const float> window, int hop_length, int lanes, int n_columns, bool pairs);

// How a row's transform of n_rows points is split: n_rows = first * last.
struct RowSplit {
  int first = 0;
  int last = 0;
};
constexpr RowSplit row_split(int n_rows) {
  switch (n_rows) {
    case 4:
      return {1, 4};
    case 8:
      return {2, 4};
    case 16:
      return {4, 4};
    case 32:
      return {8, 4};
    case 64:
      return {8, 8};
    case 128:
      return {16, 8};
  }
  return {};
}

// |X|^2 [n_frames, n_bins] of frames [n_frames, n_fft] with the present instruction set: for tests and
// measurements.
Matrix<float> power_spectra(MatrixView<const float> frames, std::span<const float> window);

}  // namespace melgrad
