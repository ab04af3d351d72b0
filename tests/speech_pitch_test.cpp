// The pitch path of the `speech` set against tools/golden/speech_pitch.py, which computes in double.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <string>
#include <vector>

#include "host/core/philox.hpp"
#include "host/cpu/pitch_path.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_file.hpp"
#include "support/speech_voices.hpp"

namespace melgrad {
namespace {

using namespace testing;

PitchPath path_of(const std::vector<float>& samples) {
  const SpeechKernels kernels = speech_kernels();
  LongFrames frames(kernels.lanes, kernels.fft_columns);
  std::vector<float> padded;
  pad_for_long_frames(samples, padded);
  PitchPath path;
  PitchFinder(kernels, frames).find(padded, 1 + (static_cast<Index>(samples.size()) - 400) / 160, path);
  return path;
}

}  // namespace

TEST_SUITE("speech_pitch") {
  // Autocorrelations of 640 products in float32 err by some 1e-6 of their height, and a maximum's place by
  // that over its curvature.
  TEST_CASE("pitch and voicing of synthetic voices are those of the definition in double") {
    const Json golden = golden_file("speech_voices.json");
    for_each_simd([&](const std::string& simd) {
      for (const Json& clip : golden.at("clips")) {
        CAPTURE(simd);
        CAPTURE(clip.at("name"));
        auto f0 = clip.at("f0").get<std::vector<double>>();
        const auto height = clip.at("height").get<std::vector<double>>();
        if (std::count_if(f0.begin(), f0.end(), [](double f) { return f > 0; }) < 6)
          for (double& f : f0)
            if (f == 0) f = 150;
        const PitchPath path = path_of(speech_voice(clip.at("name")));
        REQUIRE(path.f0_hz.size() == f0.size());
        for (std::size_t frame = 0; frame < f0.size(); ++frame) {
          CAPTURE(frame);
          CHECK(std::abs(path.f0_hz[frame] - f0[frame]) <= 2e-5 * f0[frame]);
          CHECK(std::abs(path.height[frame] - height[frame]) <= 3e-6);
        }
      }
    });
  }

  TEST_CASE("what is derived from the pitch fits it") {
    const PitchPath path = path_of(speech_voice("glide"));
    REQUIRE(path.runs.size() >= 2);
    Index n_voiced = 0;
    for (const auto& [begin, end] : path.runs) n_voiced += end - begin;
    REQUIRE(n_voiced == static_cast<Index>(path.voiced.size()));
    for (std::size_t i = 0; i < path.voiced.size(); ++i) {
      const auto frame = static_cast<std::size_t>(path.voiced[i]);
      CHECK(path.is_voiced[frame] == 1);
      CHECK(path.semitones[i] == doctest::Approx(12 * std::log2(path.f0_hz[frame] / 100)));
      CHECK(path.contour[frame] == path.semitones[i]);
    }
    const auto gap = static_cast<std::size_t>(path.runs[0].second);
    const auto next = static_cast<std::size_t>(path.runs[1].first);
    const double step = (path.contour[next] - path.contour[gap - 1]) / static_cast<double>(next - gap + 1);
    for (std::size_t frame = gap; frame < next; ++frame)
      CHECK(path.contour[frame] == doctest::Approx(path.contour[frame - 1] + step));
  }

  TEST_CASE("a clip without a voice counts as voiced throughout, at 150 Hz") {
    for (const char* name : {"zeros", "noise"}) {
      CAPTURE(name);
      const PitchPath path = path_of(speech_voice(name));
      CHECK(path.voiced.size() == path.f0_hz.size());
      CHECK(path.runs.size() == 1);
      CHECK(path.median == doctest::Approx(12 * std::log2(1.5)));
    }
  }

  TEST_CASE("roots of polynomials of degree 10 are found, with every instruction set") {
    for_each_simd([](const std::string& simd) {
      CAPTURE(simd);
      const SpeechKernels kernels = speech_kernels();
      const auto lanes = static_cast<std::size_t>(kernels.root_lanes);
      PhiloxSequence random(3, RandomStream::search);
      const auto uniform = [&](double low, double high) {
        return low + (high - low) * static_cast<double>(random.next_uniform01());
      };
      for (int round = 0; round < 50; ++round) {
        // Conjugate pairs and real roots inside the unit circle, as linear prediction's are.
        std::vector<std::vector<std::complex<double>>> truth(lanes);
        std::vector<double> c(11 * lanes), re(10 * lanes), im(10 * lanes);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          auto& roots = truth[lane];
          while (roots.size() < 8) {
            const auto root = std::polar(uniform(0.4, 0.99), uniform(0.05, std::numbers::pi - 0.05));
            roots.push_back(root);
            roots.push_back(std::conj(root));
          }
          roots.push_back(uniform(0.1, 0.9));
          roots.push_back(-uniform(0.1, 0.9));
          std::vector<std::complex<double>> product{1};
          for (const auto& root : roots) {
            product.push_back(0);
            for (std::size_t k = product.size() - 1; k > 0; --k) product[k] -= root * product[k - 1];
          }
          for (std::size_t k = 0; k <= 10; ++k) c[k * lanes + lane] = product[k].real();
        }
        kernels.roots(10, c.data(), re.data(), im.data());
        for (std::size_t lane = 0; lane < lanes; ++lane)
          for (const auto& root : truth[lane]) {
            double nearest = 2;
            for (std::size_t k = 0; k < 10; ++k)
              nearest = std::min(nearest,
                                 std::abs(root - std::complex(re[k * lanes + lane], im[k * lanes + lane])));
            // Roots as near as 1e-3 to each other lose half the digits of a double's 16.
            CHECK(nearest < 1e-6);
          }
      }
    });
  }

  TEST_CASE("tenfold roots at zero, of a frame of silence, come out small and finite") {
    const SpeechKernels kernels = speech_kernels();
    const auto lanes = static_cast<std::size_t>(kernels.root_lanes);
    std::vector<double> c(11 * lanes), re(10 * lanes), im(10 * lanes);
    std::fill_n(c.begin(), lanes, 1.0);
    kernels.roots(10, c.data(), re.data(), im.data());
    for (std::size_t i = 0; i < re.size(); ++i) CHECK(std::hypot(re[i], im[i]) < 0.5);
  }
}

}  // namespace melgrad
