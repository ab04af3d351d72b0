// Altered copies of recordings against librosa's (tools/golden/make_augment.py), and what has to hold of any.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "host/audio/augment.hpp"
#include "host/audio/frame_fft.hpp"
#include "host/audio/time_stretch.hpp"
#include "host/core/philox.hpp"
#include "support/golden_file.hpp"

using namespace melgrad;
using namespace melgrad::testing;

namespace {

struct Golden {
  Json json = golden_file("audio_augment.json");
  std::vector<std::int16_t> samples = json["samples"];

  Waveform waveform(const Json& each) const {
    return {json["sample_rate"], true, {samples.begin(), samples.begin() + each["n_input"].get<int>()}, {}};
  }
  // The largest difference from the samples that are kept.
  double difference(const Json& each, std::span<const float> actual) const {
    REQUIRE(actual.size() == each["n_samples"].get<std::size_t>());
    const auto expected = each["samples"].get<std::vector<double>>();
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
      worst = std::max(
          worst, std::abs(static_cast<double>(actual[i * json["step"].get<std::size_t>()]) - expected[i]));
    return worst;
  }
};

// float32's rounding, of a recording that reaches 0.6; phases of quiet bins suffer most.
constexpr double tolerance = 2e-4;

// The frequency of the most power, by a search in steps of 1 Hz.
double peak_hz(const Waveform& waveform) {
  double best = 0, best_power = 0;
  for (double hz = 50; hz < 400; hz += 1) {
    double re = 0, im = 0;
    for (std::size_t i = 0; i < waveform.float32.size(); ++i) {
      const double angle = 2 * std::numbers::pi * hz * static_cast<double>(i) / waveform.sample_rate;
      re += static_cast<double>(waveform.float32[i]) * std::cos(angle);
      im += static_cast<double>(waveform.float32[i]) * std::sin(angle);
    }
    if (re * re + im * im <= best_power) continue;
    best_power = re * re + im * im;
    best = hz;
  }
  return best;
}

Waveform sine(double hz, int n_samples) {
  Waveform waveform{16000, true, {}, {}};
  for (int i = 0; i < n_samples; ++i)
    waveform.int16.push_back(static_cast<std::int16_t>(
        std::lround(10000 * std::sin(2 * std::numbers::pi * hz * i / waveform.sample_rate))));
  return waveform;
}

}  // namespace

TEST_SUITE("augment") {
  TEST_CASE("a transform of frames equals the sum that defines it, and its inverse gives the frames back") {
    for (int n_fft : {4, 8, 64, 1024}) {
      FrameFft fft(n_fft);
      std::vector<std::vector<float>> samples(FrameFft::n_frames,
                                              std::vector<float>(static_cast<std::size_t>(n_fft)));
      PhiloxSequence random(1, RandomStream::split);
      std::array<const float*, FrameFft::n_frames> frames{};
      for (std::size_t l = 0; l < samples.size(); ++l) {
        for (float& each : samples[l]) each = 2 * random.next_uniform01() - 1;
        frames[l] = samples[l].data();
      }
      auto spectra = fft.make_spectra();
      fft.forward(frames, spectra);
      double worst = 0;
      for (std::size_t l = 0; l < samples.size(); l += 3) {
        for (int k = 0; k <= n_fft / 2; k += n_fft > 100 ? 37 : 1) {
          double re = 0, im = 0;
          for (int j = 0; j < n_fft; ++j) {
            const double angle = -2 * std::numbers::pi * (j * k % n_fft) / n_fft;
            re += static_cast<double>(samples[l][static_cast<std::size_t>(j)]) * std::cos(angle);
            im += static_cast<double>(samples[l][static_cast<std::size_t>(j)]) * std::sin(angle);
          }
          const auto at = static_cast<std::size_t>(k);
          worst = std::max({worst, std::abs(re - static_cast<double>(spectra[l].re[at])),
                            std::abs(im - static_cast<double>(spectra[l].im[at]))});
        }
      }
      CAPTURE(n_fft);
      CHECK(worst < 2e-7 * n_fft);
      std::vector<FrameFft::Lanes> back;
      fft.inverse(spectra, back);
      double gap = 0;
      for (std::size_t l = 0; l < samples.size(); ++l)
        for (std::size_t j = 0; j < back.size(); ++j)
          gap = std::max(gap, std::abs(static_cast<double>(back[j].at[l] - samples[l][j])));
      CHECK(gap < 1e-6);
    }
  }

  TEST_CASE("stretched recordings equal librosa's time_stretch") {
    const Golden golden;
    for (const Json& each : golden.json["stretched"]) {
      std::vector<float> samples;
      for (const std::int16_t sample : golden.waveform(each).int16)
        samples.push_back(static_cast<float>(sample) / 32768);
      TimeStretch stretch(each["rate"]);
      CAPTURE(each["rate"].get<double>());
      CAPTURE(samples.size());
      CHECK(golden.difference(each, stretch.stretch(samples)) < tolerance);
    }
  }

  TEST_CASE("shifted recordings equal librosa's pitch_shift") {
    const Golden golden;
    for (const Json& each : golden.json["shifted"]) {
      Waveform waveform = golden.waveform(each);
      Augmenter(1, each["pitch"]).apply(waveform);
      CAPTURE(each["pitch"].get<double>());
      CAPTURE(each["n_input"].get<int>());
      CHECK_FALSE(waveform.is_int16);
      CHECK(golden.difference(each, waveform.float32) < tolerance);
    }
  }

  TEST_CASE("speed changes length and pitch, pitch changes pitch alone, and neither changes nothing") {
    Waveform faster = sine(200, 16000);
    Augmenter(1.1, 0).apply(faster);
    CHECK(faster.n_samples() == 14546);  // ceil(16000 / 1.1)
    CHECK(peak_hz(faster) == doctest::Approx(220).epsilon(0.01));
    Waveform higher = sine(200, 16000);
    Augmenter(1, 1.5).apply(higher);
    CHECK(higher.n_samples() == 16000);
    CHECK(peak_hz(higher) == doctest::Approx(200 * std::exp2(1.5 / 12)).epsilon(0.01));
    Waveform both = sine(200, 16000);
    Augmenter(0.9, -1.5).apply(both);
    CHECK(both.n_samples() == 17778);
    CHECK(peak_hz(both) == doctest::Approx(180 * std::exp2(-1.5 / 12)).epsilon(0.01));
    Waveform same = sine(200, 100);
    Augmenter(1, 0).apply(same);
    CHECK(same.is_int16);
    CHECK(same.int16 == sine(200, 100).int16);
  }

  TEST_CASE("a clip's copy does not depend on the clips before it, and the shortest clip has one") {
    Augmenter used(0.9, 1.5);
    Waveform first = sine(100, 5000);
    used.apply(first);
    for (int n_samples : {1, 255, 256, 1023, 1024, 3000}) {
      Waveform after = sine(300, n_samples), alone = sine(300, n_samples);
      used.apply(after);
      Augmenter(0.9, 1.5).apply(alone);
      CAPTURE(n_samples);
      CHECK(after.n_samples() == static_cast<Index>(std::ceil(n_samples / 0.9)));
      CHECK(after.float32 == alone.float32);
      CHECK(std::ranges::all_of(after.float32, [](float x) { return std::isfinite(x); }));
    }
  }
}
