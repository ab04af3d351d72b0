#include "support/golden_features.hpp"

#include <algorithm>
#include <cmath>

#include "support/golden_file.hpp"

namespace melgrad::testing {
namespace {

// Numerical Recipes' linear congruential generator; the upper half of its state is a value in [-32768,
// 32767].
std::int64_t next_noise(std::uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return static_cast<std::int16_t>(state >> 16);
}

// A parabola for each half of a sine's period, in [-32768, 32768]; phase 2^32 is a period.
std::int64_t parabolic_sine(std::uint32_t phase) {
  const auto p = static_cast<std::int64_t>(static_cast<std::int16_t>(phase >> 16));
  return (p * (32768 - std::abs(p))) >> 13;
}

// Sum over harmonics h = 1..8 of 6000 / h * sine(h phase), times an envelope of 0 to 16, plus noise of +-64.
std::int64_t voice_sample(std::uint32_t phase, Index i, const GoldenSignal& signal, std::uint32_t& state) {
  std::int64_t sum = 0;
  for (std::uint32_t h = 1; h <= 8; ++h)
    sum += (6000 / static_cast<std::int64_t>(h) * parabolic_sine(h * phase)) >> 15;
  const Index syllable = signal.sample_rate / 4;  // an envelope rises and falls in it by 16 steps
  const Index position = i % syllable;
  const Index envelope =
      std::min<Index>({16, position * 64 / syllable, (syllable - position) * 64 / syllable});
  return ((sum * envelope) >> 4) + (next_noise(state) >> 9);
}

}  // namespace

std::vector<std::int16_t> golden_signal(const GoldenSignal& signal) {
  std::vector<std::int16_t> samples(static_cast<std::size_t>(signal.n_samples));
  std::uint32_t state = signal.seed, phase = 0;
  for (Index i = 0; i < signal.n_samples; ++i) {
    std::int64_t value = 0;
    if (signal.kind == "voice") {
      const std::int64_t millihertz = 110'000 + 60'000 * i / signal.n_samples;
      phase += static_cast<std::uint32_t>((millihertz << 32) / (std::int64_t{1000} * signal.sample_rate));
      value = i >= signal.n_samples - signal.n_samples / 8 ? 0 : voice_sample(phase, i, signal, state);
    } else if (signal.kind == "noise") {
      value = next_noise(state) >> 2;
    } else if (signal.kind == "click") {
      value = i == signal.n_samples / 2 ? 20'000 : 0;
    }
    samples[static_cast<std::size_t>(i)] =
        static_cast<std::int16_t>(std::clamp<std::int64_t>(value, -32768, 32767));
  }
  return samples;
}

std::vector<GoldenClip> golden_clips() {
  const Json json = golden_file("features_clips.json");
  std::vector<GoldenClip> clips;
  for (const Json& each : json.at("clips")) {
    GoldenClip clip;
    const std::string spec_name = each.at("spec");
    clip.spec = feature_spec_from_json(json.at("specs").at(spec_name));
    clip.signal = {each.at("kind"), each.at("sample_rate"), each.at("n_samples"), each.at("seed")};
    clip.name = fmt::format("{} {} {} Hz {}", spec_name, clip.signal.kind, clip.signal.sample_rate,
                            clip.signal.n_samples);
    clip.n_frames = each.at("n_frames");
    if (!each.at("tuning").is_null()) clip.tuning = each.at("tuning").get<double>();
    clip.tuning_is_stable = each.at("tuning_is_stable");
    clip.row = each.at("row").get<std::vector<double>>();
    for (const Json& frame : each.at("frames"))
      clip.frames.push_back({frame.at("descriptor"), frame.at("frame"), frame.at("values")});
    clips.push_back(std::move(clip));
  }
  return clips;
}

FeatureSpec with_given_tuning(const GoldenClip& clip) {
  FeatureSpec spec = clip.spec;
  for (DescriptorSpec& descriptor : spec.descriptors)
    if (auto* chroma = std::get_if<ChromaStft>(&descriptor.descriptor); chroma && !chroma->tuning)
      chroma->tuning = clip.tuning;
  return spec;
}

}  // namespace melgrad::testing
