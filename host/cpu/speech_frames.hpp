#pragma once
// One clip as the groups of the `speech` set read it: at 16 kHz, without the silence around it, cut into
// frames of 400 samples every 160; the STFT is of a periodic Hann window and 512 points.

#include <span>

#include "host/core/matrix.hpp"

namespace melgrad {

// Does not own. Reference: a clip that is shorter than a frame after trimming has zeros behind it.
struct SpeechFrames {
  static constexpr int sample_rate = 16000;
  static constexpr int win_length = 400;
  static constexpr int hop_length = 160;
  static constexpr int n_fft = 512;

  std::span<const float> samples;  // [n_samples], n_samples >= win_length
  MatrixView<const float> mel;     // [64, n_frames], Slaney's bands of 50 to 8000 Hz applied to |STFT|^2
  // [64, n_frames], 10 log10(max(mel, 1e-10)), at most 80 dB below the clip's maximum
  MatrixView<const float> log_mel;
  MatrixView<const float> mfcc;   // [40, n_frames], orthonormal DCT-II of log_mel
  std::span<const float> rms_db;  // [n_frames], 10 log10(mean square + 1e-10) of the unwindowed frame
  double full_s = 0;              // length of the recording, with its silence
  double lead_s = 0;              // silence that was cut off before
  double trail_s = 0;             // and behind

  Index n_frames() const { return static_cast<Index>(rms_db.size()); }
};

}  // namespace melgrad
