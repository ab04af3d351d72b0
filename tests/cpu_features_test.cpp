#include "host/cpu/cpu_features.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "support/feature_cases.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_features.hpp"
#include "support/reference_features.hpp"

namespace melgrad {
namespace {

using namespace testing;

// Of a family's spread: what the design asks of every engine. Measured: 8e-6 in means, 3e-5 in single frames.
constexpr double tolerance = 1e-4;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

TEST_SUITE("cpu_features") {
  TEST_CASE("rows equal librosa's, of int16 and of float samples, with every instruction set") {
    for_each_simd([](const std::string& simd) {
      for (const GoldenClip& clip : golden_clips()) {
        CAPTURE(simd);
        CAPTURE(clip.name);
        const int sample_rate = clip.signal.sample_rate;
        const FeaturePlan plan = make_feature_plan(with_given_tuning(clip), sample_rate);
        const auto extractor = make_cpu_feature_extractor(plan, 1);
        const auto samples = golden_signal(clip.signal);
        const Matrix<float> of_int16 = rows_of(*extractor, plan, Clips(sample_rate, samples));
        const Matrix<float> of_float = rows_of(*extractor, plan, Clips(sample_rate, as_float(samples)));
        CHECK(row_deviation(plan, of_int16.row(0), clip.row) < tolerance);
        CHECK(row_deviation(plan, of_float.row(0), clip.row) < tolerance);
      }
    });
  }

  TEST_CASE("frames equal librosa's") {
    for (const GoldenClip& clip : golden_clips()) {
      CAPTURE(clip.name);
      const FeaturePlan plan = make_feature_plan(with_given_tuning(clip), clip.signal.sample_rate);
      const auto extractor = make_cpu_feature_extractor(plan, 1);
      const Clips clips(clip.signal.sample_rate, golden_signal(clip.signal));
      const auto tracks = extractor->tracks(clips.batch());
      REQUIRE(tracks.size() == 1);
      for (const GoldenFrame& frame : clip.frames) {
        CAPTURE(frame.descriptor);
        CAPTURE(frame.frame);
        const FrameTrack& track = tracks[0][at(frame.descriptor)];
        CHECK(track.name == plan.descriptors[at(frame.descriptor)].name);
        std::vector<float> values;
        for (Index value = 0; value < track.values.rows; ++value)
          values.push_back(track.values(value, frame.frame));
        CHECK(deviation(values, frame.values) < tolerance);
      }
    }
  }

  TEST_CASE("an estimated tuning is librosa's, wherever rounding does not decide it") {
    for_each_simd([](const std::string& simd) {
      int n_compared = 0;
      for (const GoldenClip& clip : golden_clips()) {
        if (!clip.tuning || !clip.tuning_is_stable) continue;
        CAPTURE(simd);
        CAPTURE(clip.name);
        const Clips clips(clip.signal.sample_rate, golden_signal(clip.signal));
        const FeaturePlan estimated = make_feature_plan(clip.spec, clip.signal.sample_rate);
        const FeaturePlan given = make_feature_plan(with_given_tuning(clip), clip.signal.sample_rate);
        const auto ours = rows_of(*make_cpu_feature_extractor(estimated, 1), estimated, clips);
        const auto librosa = rows_of(*make_cpu_feature_extractor(given, 1), given, clips);
        CHECK(ours == librosa);
        ++n_compared;
      }
      CHECK(n_compared >= 20);
    });
  }

  TEST_CASE(
      "any transform, hop, window, padding and mixture of descriptors gives the definition's rows and "
      "frames") {
    for_each_simd([](const std::string& simd) {
      for (const AwkwardCase& each : awkward_cases())
        for (const Index n_samples : each.n_samples) {
          CAPTURE(simd);
          CAPTURE(each.stft.n_fft);
          CAPTURE(each.stft.hop_length);
          CAPTURE(n_samples);
          const FeatureSpec spec{.name = "awkward", .stft = each.stft, .descriptors = many_descriptors()};
          const FeaturePlan plan = make_feature_plan(spec, 16000);
          const auto samples = test_sound(n_samples, 3);
          const auto truth = reference_features(spec, 16000, as_double(samples));
          const auto extractor = make_cpu_feature_extractor(plan, 1);
          const Clips of_int16(16000, samples);
          const Clips of_float(16000, as_float(samples));
          CHECK(row_deviation(plan, rows_of(*extractor, plan, of_int16).row(0), truth.row, truth.tracks) <
                tolerance);
          CHECK(row_deviation(plan, rows_of(*extractor, plan, of_float).row(0), truth.row, truth.tracks) <
                tolerance);
          CHECK(tracks_deviation(extractor->tracks(of_int16.batch())[0], truth.tracks) < tolerance);
        }
    });
  }

  TEST_CASE("a clip without a peak has tuning 0") {
    const auto row_with = [](const ChromaStft& chroma) {
      const FeatureSpec spec{
          .name = "chroma", .stft = {.n_fft = 256, .hop_length = 64}, .descriptors = {{chroma}}};
      const FeaturePlan plan = make_feature_plan(spec, 16000);
      std::vector<float> slope(100);  // its spectrum only falls
      for (std::size_t i = 0; i < slope.size(); ++i)
        slope[i] = 0.5f * std::exp(-0.5f * static_cast<float>(i));
      return rows_of(*make_cpu_feature_extractor(plan, 1), plan, Clips(16000, slope));
    };
    CHECK(row_with({.n_chroma = 12, .tuning = std::nullopt}) == row_with({.n_chroma = 12, .tuning = 0.0}));
    CHECK(row_with({.n_chroma = 12, .tuning = 0.3}) != row_with({.n_chroma = 12, .tuning = 0.0}));
  }
}

}  // namespace melgrad
