#pragma once
// The real Fourier transform of eight frames at once, and its inverse. Frames lie side by side, so every loop
// over them is vectorised by the compiler.
//
//   X[k] = sum over j of x[j] exp(-2 pi i j k / n_fft), k in [0, n_fft / 2]
//
// A frame is transformed as m = n_fft / 2 complex points z[j] = x[2j] + i x[2j+1] by Stockham passes of radix
// 2, and Z is taken apart by X[k] = (Z[k] + Z'[m-k]) / 2 - i w^k (Z[k] - Z'[m-k]) / 2, where ' conjugates and
// w = exp(-2 pi i / n_fft).

#include <array>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

class FrameFft {
 public:
  static constexpr int n_frames = 8;
  struct alignas(32) Lanes {  // one number of each frame
    std::array<float, n_frames> at;
  };
  struct Point {
    Lanes re, im;
  };
  struct Spectrum {
    std::vector<float> re, im;  // [n_fft / 2 + 1]
  };
  using Spectra = std::array<Spectrum, n_frames>;

  // n_fft is a power of two, 4 at least.
  explicit FrameFft(int n_fft);
  Spectra make_spectra() const;

  // frames[lane] [n_fft].
  void forward(const std::array<const float*, n_frames>& frames, Spectra& spectra);
  // frames [n_fft], sample by sample: the real part of the spectra's inverse.
  void inverse(const Spectra& spectra, std::vector<Lanes>& frames);

 private:
  void transform();  // points_, by way of other_

  int n_fft_;
  std::vector<float> cos_, sin_;  // [n_fft / 2] of 2 pi k / n_fft
  std::vector<Point> points_, other_;
};

}  // namespace melgrad
