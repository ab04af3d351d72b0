// The CUDA engine's feature extractor against the CPU engine's and against foreign truth, emulated: what it
// computes. Batches are in gpu_feature_batches_test.cpp.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gpu_session.hpp"
#include "host/cpu/cpu_features.hpp"
#include "support/feature_cases.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_features.hpp"
#include "support/reference_features.hpp"

namespace melgrad {
namespace {

using namespace testing;

// Of a family's spread: what the design asks of every engine.
constexpr double tolerance = 1e-4;

std::vector<double> as_doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

}  // namespace

TEST_SUITE("gpu_features") {
  TEST_CASE("rows and frames equal librosa's, of int16 and of float samples") {
    double worst = 0, worst_frame = 0;
    for (const GoldenClip& clip : golden_clips()) {
      // One in three of the long ones: emulation takes a millisecond a frame.
      if (is_slow && clip.n_frames > 20) continue;
      CAPTURE(clip.name);
      const int sample_rate = clip.signal.sample_rate;
      const FeaturePlan plan = make_feature_plan(with_given_tuning(clip), sample_rate);
      const auto samples = golden_signal(clip.signal);
      on_gpu([&] {
        const auto extractor =
            gpu::make_cuda_feature_extractor(plan, with_route(gpu::TransformRoute::automatic));
        const Clips clips(sample_rate, samples);
        const double of_int16 = row_deviation(plan, rows_of(*extractor, plan, clips).row(0), clip.row);
        const double of_float = row_deviation(
            plan, rows_of(*extractor, plan, Clips(sample_rate, as_float(samples))).row(0), clip.row);
        CHECK(of_int16 < tolerance);
        CHECK(of_float < tolerance);
        worst = std::max({worst, of_int16, of_float});
        if (clip.frames.empty()) return;
        const auto tracks = extractor->tracks(clips.batch());
        for (const GoldenFrame& frame : clip.frames) {
          CAPTURE(frame.descriptor);
          CAPTURE(frame.frame);
          const FrameTrack& track = tracks[0][static_cast<std::size_t>(frame.descriptor)];
          std::vector<float> values;
          for (Index value = 0; value < track.values.rows; ++value)
            values.push_back(track.values(value, frame.frame));
          const double of_frame = deviation(values, frame.values);
          CHECK(of_frame < tolerance);
          worst_frame = std::max(worst_frame, of_frame);
        }
      });
    }
    MESSAGE("worst deviation of a row " << worst << ", of a frame " << worst_frame);
  }

  TEST_CASE("any transform, hop, window, padding and mixture of descriptors gives the definition's rows") {
    double worst = 0, worst_frame = 0;
    for (const AwkwardCase& each : awkward_cases())
      for (const Index n_samples : each.n_samples) {
        const Index n_frames = n_samples / each.stft.hop_length;
        if (is_slow && (n_frames > 10 || each.stft.n_fft > 8192)) continue;
        CAPTURE(each.stft.n_fft);
        CAPTURE(each.stft.hop_length);
        CAPTURE(n_samples);
        const FeatureSpec spec{.name = "awkward", .stft = each.stft, .descriptors = many_descriptors()};
        const FeaturePlan plan = make_feature_plan(spec, 16000);
        const auto samples = test_sound(n_samples, 3);
        const auto truth = reference_features(spec, 16000, as_double(samples));
        for (const auto route : {gpu::TransformRoute::automatic, gpu::TransformRoute::vendor}) {
          CAPTURE(static_cast<int>(route));
          const bool is_vendor = route == gpu::TransformRoute::vendor;
          if (is_vendor && (n_frames > 70 || n_samples != each.n_samples.back())) continue;
          on_gpu([&] {
            const auto extractor = gpu::make_cuda_feature_extractor(plan, with_route(route));
            const Clips of_int16(16000, samples);
            const Clips of_float(16000, as_float(samples));
            const double row =
                row_deviation(plan, rows_of(*extractor, plan, of_int16).row(0), truth.row, truth.tracks);
            const double float_row =
                row_deviation(plan, rows_of(*extractor, plan, of_float).row(0), truth.row, truth.tracks);
            const double frames = tracks_deviation(extractor->tracks(of_int16.batch())[0], truth.tracks);
            CHECK(row < tolerance);
            CHECK(float_row < tolerance);
            CHECK(frames < tolerance);
            worst = std::max({worst, row, float_row});
            worst_frame = std::max(worst_frame, frames);
          });
        }
      }
    MESSAGE("worst deviation of a row " << worst << ", of frames " << worst_frame);
  }

  TEST_CASE("the estimated tuning is the CPU engine's, with magnitudes recomputed and kept") {
    for (const GoldenClip& clip : golden_clips()) {
      if (!clip.tuning || !clip.tuning_is_stable || clip.n_frames > (is_slow ? 20 : 150)) continue;
      CAPTURE(clip.name);
      const FeaturePlan plan = make_feature_plan(clip.spec, clip.signal.sample_rate);
      const Clips clips(clip.signal.sample_rate, golden_signal(clip.signal));
      const auto cpu = rows_of(*make_cpu_feature_extractor(plan, 1), plan, clips);
      for (const auto route : {gpu::ChromaRoute::recomputed, gpu::ChromaRoute::stored})
        on_gpu([&] {
          CAPTURE(static_cast<int>(route));
          auto options = with_route(gpu::TransformRoute::automatic);
          options.chroma = route;
          const auto extractor = gpu::make_cuda_feature_extractor(plan, options);
          CHECK(row_deviation(plan, rows_of(*extractor, plan, clips).row(0), as_doubles(cpu.row(0))) <
                tolerance);
        });
    }
  }

  TEST_CASE("a clip without a peak has tuning 0") {
    const auto row_with = [](const ChromaStft& chroma) {
      const FeatureSpec spec{
          .name = "chroma", .stft = {.n_fft = 256, .hop_length = 64}, .descriptors = {{chroma}}};
      const FeaturePlan plan = make_feature_plan(spec, 16000);
      std::vector<float> slope(100);  // its spectrum only falls
      for (std::size_t i = 0; i < slope.size(); ++i)
        slope[i] = 0.5f * std::exp(-0.5f * static_cast<float>(i));
      Matrix<float> row;
      on_gpu([&] { row = rows_of(*gpu::make_cuda_feature_extractor(plan), plan, Clips(16000, slope)); });
      return row;
    };
    CHECK(row_with({.n_chroma = 12, .tuning = std::nullopt}) == row_with({.n_chroma = 12, .tuning = 0.0}));
    CHECK(row_with({.n_chroma = 12, .tuning = 0.3}) != row_with({.n_chroma = 12, .tuning = 0.0}));
  }
}

}  // namespace melgrad
