#pragma once
// What the groups `pitch` to `mfcc_correlation` of the `speech` set read of a clip beside its frames, and the
// memory that they share.

#include <array>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "host/cpu/pitch_path.hpp"
#include "host/cpu/speech_frames.hpp"
#include "host/cpu/track_statistics.hpp"

namespace melgrad {

// Measures of the voice in each voiced frame, see speech_voice.hpp.
enum class VoiceMeasure {
  harmonics_to_noise,
  cepstral_peak,
  h1_h2,
  h1_a1,
  h1_a2,
  h1_a3,
  h2_h4,
  alpha_ratio,
  hammarberg_index,
  high_ratio,
  slope_50_500,
  slope_500_1500,
  slope_1500_5000
};
constexpr std::size_t n_voice_measures = 13;

struct SpeechContours {
  PitchPath pitch;
  std::vector<double> db;                                   // [n_frames] rms
  std::vector<double> relative_db;                          // [n_frames] less the loudest frame's
  std::vector<double> voiced_db;                            // [n_voiced] rms
  std::array<std::vector<double>, n_voice_measures> voice;  // [n_voiced] each; if a group reads them

  std::span<const double> measure(VoiceMeasure m) const { return voice[static_cast<std::size_t>(m)]; }
};

// For whatever a group computes; nothing survives its return.
struct SpeechScratch {
  Percentiles percentiles;
  PeakFinder peaks;
  std::array<std::vector<double>, 4> values;
  std::vector<float> floats;
  std::vector<std::uint8_t> flags;

  // Empty, with its memory kept.
  std::vector<double>& cleared(std::size_t i) {
    values[i].clear();
    return values[i];
  }
  std::vector<double>& sized(std::size_t i, std::size_t n) {
    values[i].assign(n, 0);
    return values[i];
  }
};

// Writes a group's values one after another.
class ValueWriter {
 public:
  explicit ValueWriter(std::span<float> out) : out_(out) {}
  ~ValueWriter() { assert(n_ == out_.size()); }
  ValueWriter(const ValueWriter&) = delete;
  ValueWriter& operator=(const ValueWriter&) = delete;

  void put(double value) {
    assert(std::isfinite(value));
    out_[n_++] = static_cast<float>(value);
  }
  // Mean, standard deviation, percentiles 10, 50 and 90.
  void put_summary(std::span<const double> x, Percentiles& percentiles) {
    put(mean_of(x));
    put(std_of(x));
    percentiles.of(x);
    for (const double percent : {10, 50, 90}) put(percentiles(percent));
  }

 private:
  std::span<float> out_;
  std::size_t n_ = 0;
};

}  // namespace melgrad
