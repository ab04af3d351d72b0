#pragma once
// A recording slower or faster at the same pitch: librosa.effects.time_stretch(y, rate=rate, n_fft=1024), the
// phase vocoder (Flanagan and Golden, "Phase vocoder", Bell System Technical Journal 45, 1966).

#include <array>
#include <span>
#include <vector>

#include "host/audio/frame_fft.hpp"

namespace melgrad {

// Keeps its buffers from clip to clip. One object a thread.
class TimeStretch {
 public:
  // rate > 1 is faster.
  explicit TimeStretch(double rate);

  // round(samples.size() / rate) samples; valid until the next call.
  std::span<const float> stretch(std::span<const float> samples);

 private:
  const FrameFft::Spectrum& column(Index index);
  void analyse(Index batch);
  void advance(const FrameFft::Spectrum& now, const FrameFft::Spectrum& next, float share,
               FrameFft::Spectrum& out);
  void synthesise(Index first, Index n_valid);

  double rate_;
  FrameFft fft_;
  std::vector<float> window_;  // periodic Hann
  std::span<const float> samples_;
  Index n_columns_ = 0;                 // frames of the samples
  std::array<Index, 2> batch_{-1, -1};  // which frames columns_ holds: 8 batch .. 8 batch + 7
  std::array<FrameFft::Spectra, 2> columns_;
  std::array<std::vector<float>, FrameFft::n_frames> frames_;  // windowed
  FrameFft::Spectrum zeros_;
  FrameFft::Spectrum phasors_;  // of unit magnitude: the phases of the next frame
  FrameFft::Spectra stretched_;
  std::vector<FrameFft::Lanes> synthesised_;
  std::vector<float> sum_, weight_;  // overlapped frames, and the squares of their windows
};

}  // namespace melgrad
