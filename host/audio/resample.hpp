#pragma once
// Band-limited change of sample rate, by libsoxr.

#include <array>
#include <vector>

#include "host/audio/waveform.hpp"
#include "host/core/fields.hpp"

namespace melgrad {

// SoX's recipes: hq has 20 bits of accuracy and is librosa's default (soxr_hq), vhq has 28.
enum class ResampleQuality { hq, vhq };
template <>
inline constexpr auto enum_names<ResampleQuality> = std::array{"hq", "vhq"};

// ceil(n_samples * to / from) float32 samples of full scale 1, as librosa.resample; amplitudes stay. Only the
// ratio of the rates matters.
void resample_by(const Samples& samples, double from, double to, ResampleQuality quality,
                 std::vector<float>& out);

// Brings clip after clip to one rate and keeps its buffer. One object a thread.
class Resampler {
 public:
  // An Error if the rate is outside min_sample_rate .. max_sample_rate.
  explicit Resampler(int sample_rate, ResampleQuality quality = ResampleQuality::hq);

  // ceil(n_samples * rate / waveform.sample_rate) float32 samples, as librosa.resample; amplitudes stay. A
  // waveform that has the rate already is left alone, int16 as it is.
  void resample(Waveform& waveform);

 private:
  int sample_rate_;
  ResampleQuality quality_;
  std::vector<float> output_;
};

}  // namespace melgrad
