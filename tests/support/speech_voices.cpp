#include "support/speech_voices.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numbers>

#include "host/core/error.hpp"

namespace melgrad::testing {
namespace {

using Signal = std::vector<double>;
using OfTime = std::function<double(double)>;

constexpr double sample_rate = 16000;
constexpr double pi = std::numbers::pi;

struct Formant {
  double hz, bandwidth_hz;
};
const std::vector<Formant> a{{700, 80}, {1200, 90}, {2500, 140}}, i{{300, 50}, {2200, 110}, {2900, 160}},
    u{{350, 60}, {800, 80}, {2300, 130}};

Signal noise(std::size_t n) {
  std::uint32_t state = 1;
  Signal values;
  for (std::size_t j = 0; j < n; ++j) {
    state = 1664525 * state + 1013904223;
    values.push_back(state / 2147483648.0 - 1);
  }
  return values;
}

Signal pulses(std::size_t n, const OfTime& f0, const OfTime& gain) {
  double phase = 0;
  Signal values;
  for (std::size_t j = 0; j < n; ++j) {
    const double t = static_cast<double>(j) / sample_rate;
    phase += f0(t) / sample_rate;
    values.push_back(phase >= 1 ? gain(t) : 0.0);
    phase -= std::floor(phase);
  }
  return values;
}

Signal resonate(Signal x, const std::vector<Formant>& formants) {
  for (const Formant& formant : formants) {
    const double r = std::exp(-pi * formant.bandwidth_hz / sample_rate);
    const double p = 2 * r * std::cos(2 * pi * formant.hz / sample_rate), q = r * r;
    double last = 0, before = 0;
    for (double& value : x) {
      const double y = (1 - p + q) * value + p * last - q * before;
      before = last;
      last = y;
      value = y;
    }
  }
  return x;
}

std::vector<float> mix(const Signal& voice, const Signal& breath, double level) {
  std::vector<float> samples;
  for (std::size_t j = 0; j < voice.size(); ++j)
    samples.push_back(static_cast<float>(voice[j] + level * breath[j]));
  return samples;
}

std::vector<float> glide() {
  const std::size_t n = 14400;
  const auto f0 = [](double t) { return t < 0.5 ? 110 + 120 * t : 230 - 150 * (t - 0.5); };
  const auto gain = [](double t) { return 0.4 <= t && t < 0.52 ? 0.0 : 1.0 - 0.5 * t; };
  return mix(resonate(pulses(n, f0, gain), a), noise(n), 1e-4);
}

std::vector<float> vibrato() {
  const std::size_t n = 12800;
  const auto f0 = [](double t) { return 300 + 12 * std::sin(2 * pi * 5.5 * t); };
  const auto gain = [](double t) { return 0.5 + 0.4 * std::sin(9 * t); };
  return mix(resonate(pulses(n, f0, gain), i), noise(n), 3e-4);
}

std::vector<float> creak() {
  const std::size_t n = 11200;
  const auto f0 = [](double t) { return t < 0.4 ? 71.3 : 95.7; };
  const auto gain = [](double t) { return static_cast<int>(t * 25) % 2 == 0 ? 1.0 : 0.6; };
  return mix(resonate(pulses(n, f0, gain), u), noise(n), 2e-4);
}

std::vector<float> whisper() {
  const std::size_t n = 8000;
  Signal breath = resonate(noise(n), a);
  for (double& value : breath) value *= 0.3;
  return mix(breath, Signal(n), 0);
}

std::vector<float> sentence() {
  const std::size_t n = 92000;
  const auto f0 = [](double t) { return 180 + 40 * std::sin(2 * t) + 15 * std::sin(11 * t); };
  const auto gain = [](double t) { return std::pow(std::max(0.0, std::sin(7 * t)), 2); };
  return mix(resonate(pulses(n, f0, gain), a), resonate(noise(n), i), 2e-2);
}

std::vector<float> cut(const std::vector<float>& samples, std::ptrdiff_t begin, std::ptrdiff_t end) {
  return {samples.begin() + begin, samples.begin() + end};
}

std::vector<float> voice_after_zeros() {
  std::vector<float> samples(1600);
  const std::vector<float> voice = vibrato();
  samples.insert(samples.end(), voice.begin(), voice.begin() + 3000);
  return samples;
}

}  // namespace

std::vector<float> speech_voice(const std::string& name) {
  if (name == "glide") return glide();
  if (name == "vibrato") return vibrato();
  if (name == "creak") return creak();
  if (name == "whisper") return whisper();
  if (name == "sentence") return sentence();
  if (name == "noise") return mix(Signal(6000), noise(6000), 0.1);
  if (name == "zeros") return std::vector<float>(4000);
  if (name == "voice after zeros") return voice_after_zeros();
  if (name == "five frames") return cut(glide(), 2000, 3040);
  if (name == "one frame") return cut(glide(), 2000, 2400);
  fail("no speech clip is named '{}'", name);
}

}  // namespace melgrad::testing
