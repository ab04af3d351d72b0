#pragma once
// Altered copies of a recording: another speed, another pitch.

#include <optional>
#include <vector>

#include "host/audio/time_stretch.hpp"
#include "host/audio/waveform.hpp"

namespace melgrad {

// Alters clip after clip and keeps its buffers. One object a thread.
class Augmenter {
 public:
  // speed: played so much faster, so that pitch and formants move too. pitch: semitones up, at the same
  // length, as librosa.effects.pitch_shift(y, sr=sr, n_steps=pitch, n_fft=1024) after the change of speed.
  Augmenter(double speed, double pitch);

  // A waveform that is altered becomes float32, of ceil(n_samples / speed) samples. With speed 1 and pitch 0
  // it is left alone.
  void apply(Waveform& waveform);

 private:
  void change_speed(Waveform& waveform);
  void shift_pitch(Waveform& waveform);

  double speed_;
  double rate_;  // of the stretch; the samples are then played so much slower
  std::optional<TimeStretch> stretch_;
  std::vector<float> buffer_;
};

}  // namespace melgrad
