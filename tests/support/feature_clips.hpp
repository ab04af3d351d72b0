#pragma once
// Clips for feature extractors, and how far their features are from the truth.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "host/core/philox.hpp"
#include "host/core/waveform_batch.hpp"
#include "host/cpu/simd.hpp"
#include "host/engine/engine.hpp"

namespace melgrad::testing {

// Clips of one kind of sample, one after another.
template <class Sample>
class Clips {
 public:
  explicit Clips(int sample_rate) : sample_rate_(sample_rate) {}
  Clips(int sample_rate, const std::vector<Sample>& clip) : Clips(sample_rate) { add(clip); }

  void add(const std::vector<Sample>& clip) {
    samples_.insert(samples_.end(), clip.begin(), clip.end());
    offsets_.push_back(static_cast<Index>(samples_.size()));
  }
  WaveformBatch batch() const { return {sample_rate_, std::span<const Sample>(samples_), offsets_}; }

 private:
  int sample_rate_;
  std::vector<Sample> samples_;
  std::vector<Index> offsets_ = {0};
};

template <class Sample>
Matrix<float> rows_of(FeatureExtractor& extractor, const FeaturePlan& plan, const Clips<Sample>& clips) {
  Matrix<float> rows(clips.batch().n_clips(), plan.n_features);
  extractor.extract(clips.batch(), rows.view());
  return rows;
}

inline std::vector<float> as_float(const std::vector<std::int16_t>& samples) {
  std::vector<float> values;
  for (const std::int16_t sample : samples) values.push_back(static_cast<float>(sample) / 32768);
  return values;
}

inline std::vector<double> as_double(const std::vector<std::int16_t>& samples) {
  std::vector<double> values;
  for (const std::int16_t sample : samples) values.push_back(sample / 32768.0);
  return values;
}

// Three gliding tones with noise, and silence in [40 %, 60 %) of the clip.
inline std::vector<std::int16_t> test_sound(Index n_samples, std::uint32_t seed) {
  PhiloxSequence random(seed, RandomStream::search);
  std::vector<std::int16_t> samples;
  double phase = 0;
  for (Index i = 0; i < n_samples; ++i) {
    const double t = static_cast<double>(i) / 48000;
    phase += 0.03 + 0.005 * std::sin(3 * t + seed);
    const double tones = 0.3 * std::sin(phase) + 0.2 * std::sin(2.5 * phase) + 0.1 * std::sin(7 * phase);
    const double noise = 0.02 * (static_cast<double>(random.next_uniform01()) - 0.5);
    const bool is_silent = 10 * i >= 4 * n_samples && 10 * i < 6 * n_samples;
    samples.push_back(is_silent ? std::int16_t{0}
                                : static_cast<std::int16_t>(std::lrint(32000 * (tones + noise))));
  }
  return samples;
}

// The largest difference in parts of the family's spread: the range of the true values, or a tenth of the
// largest where they are all alike, but at least `least_spread`. Infinite if a value is not finite.
inline double deviation(std::span<const float> ours, std::span<const double> truth,
                        double least_spread = 1e-12) {
  if (ours.size() != truth.size() || truth.empty()) return std::numeric_limits<double>::infinity();
  const auto [low, high] = std::minmax_element(truth.begin(), truth.end());
  const double spread = std::max({*high - *low, 0.1 * std::abs(*low), 0.1 * std::abs(*high), least_spread});
  double worst = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    if (!std::isfinite(ours[i])) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, std::abs(static_cast<double>(ours[i]) - truth[i]));
  }
  return worst / spread;
}

// Runs body(name) with every instruction set that can be had here.
template <class Body>
void for_each_simd(const Body& body) {
  struct Restore {
    ~Restore() { choose_simd(); }
  } const restore;
  for (const std::string& simd : available_simd()) {
    use_simd(simd);
    body(simd);
  }
}

}  // namespace melgrad::testing
