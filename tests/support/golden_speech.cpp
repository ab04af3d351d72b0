#include "support/golden_speech.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "support/golden_file.hpp"

namespace melgrad::testing {
namespace {

// Numerical Recipes' linear congruential generator; a value in [-32768, 32767].
std::int64_t next_noise(std::uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return static_cast<std::int16_t>(state >> 16);
}

// A resonance of y[i] = x[i] + (a y[i - 1] - b y[i - 2]) / 4096.
struct Formant {
  std::int64_t a, b;
  std::int64_t y1 = 0, y2 = 0;

  std::int64_t pass(std::int64_t x) {
    const std::int64_t y = x + ((a * y1 - b * y2) >> 12);
    y2 = y1;
    y1 = y;
    return y;
  }
};

// Syllables of 0.2 s through formants at 500, 1500 and 2500 Hz: a voice that glides up, every fourth one a
// whisper; 0.1 s of near silence between them, and an eighth of silence at both ends.
class Speaker {
 public:
  Speaker(Index n_samples, std::uint32_t seed) : n_(n_samples), state_(seed) {}

  std::int64_t next() {
    const std::int64_t random = next_noise(state_);
    const std::uint64_t step = (static_cast<std::uint64_t>(110000 + 90000 * i_ / n_) << 32) / 16000000;
    const Index position = i_ - n_ / 8;
    const bool is_spoken = position >= 0 && i_ < n_ - n_ / 8 && position % 4800 < 3200;
    std::int64_t value = 0;
    if (is_spoken) {
      const std::int64_t pulse = phase_ + step >= std::uint64_t{1} << 32 ? 900 : 0;
      value = position / 4800 % 4 == 3 ? random >> 8 : pulse + (random >> 13);
      value *= std::min<Index>({16, position % 4800 / 50, (3200 - position % 4800) / 50});
    }
    phase_ = (phase_ + step) % (std::uint64_t{1} << 32);
    for (Formant& formant : formants_) value = formant.pass(value);
    ++i_;
    return (value >> 5) + (random >> 14);
  }

 private:
  Index n_;
  std::uint32_t state_;
  Index i_ = 0;
  std::uint64_t phase_ = 0;
  std::array<Formant, 3> formants_{Formant{7909, 3969}, Formant{6653, 3907}, Formant{4410, 3847}};
};

}  // namespace

std::vector<std::int16_t> speech_signal(const std::string& kind, Index n_samples, std::uint32_t seed) {
  Speaker speaker(n_samples, seed);
  std::vector<std::int16_t> samples;
  for (Index i = 0; i < n_samples; ++i) {
    std::int64_t value = 0;
    if (kind == "speech") value = speaker.next();
    if (kind == "noise") value = next_noise(seed) >> 2;
    if (kind == "click") value = i == n_samples / 2 ? 20000 : 0;
    samples.push_back(static_cast<std::int16_t>(std::clamp<std::int64_t>(value, -32768, 32767)));
  }
  return samples;
}

std::vector<GoldenSpeech> golden_speech() {
  const Json json = golden_file("speech_clips.json");
  std::vector<GoldenSpeech> clips;
  for (const Json& each : json.at("clips")) {
    const std::string kind = each.at("kind");
    const Index n_samples = each.at("n_samples");
    clips.push_back({fmt::format("{} {}", kind, n_samples), speech_signal(kind, n_samples, each.at("seed")),
                     each.at("groups")});
  }
  return clips;
}

}  // namespace melgrad::testing
