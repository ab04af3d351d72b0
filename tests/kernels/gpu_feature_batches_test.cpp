// What the CUDA engine's feature extractor owes its callers whatever the features: the same bits in any
// company, in any order of threads and streams, in any amount of device memory; no allocation, and errors
// that say why.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gpu_session.hpp"
#include "host/core/error.hpp"
#include "host/cpu/cpu_features.hpp"
#include "support/feature_cases.hpp"
#include "support/feature_clips.hpp"

namespace melgrad {
namespace {

using namespace testing;
using Sounds = std::vector<std::vector<std::int16_t>>;

// Every kind of stage, on a tile of several frames a warp.
FeatureSpec mixed_spec(int n_fft) {
  return {.name = "mixed",
          .stft = {.n_fft = n_fft, .hop_length = 200},
          .descriptors = {{ChromaStft{}, {Functional::mean, Functional::std}},
                          {ChromaStft{.n_chroma = 24, .tuning = {}}, {Functional::mean}},
                          {MelSpectrogram{.n_mels = 40}, {Functional::mean}},
                          {MelSpectrogram{.n_mels = 20, .power = 1}, {Functional::mean, Functional::std}},
                          {Mfcc{.n_mfcc = 13, .n_mels = 40}, {Functional::mean}},
                          {Rms{}, {Functional::mean}},
                          {Mfcc{.n_mfcc = 5, .n_mels = 20}, {Functional::std}}}};
}

Clips<std::int16_t> batch_of(const Sounds& sounds, int sample_rate) {
  Clips<std::int16_t> clips(sample_rate);
  for (const auto& sound : sounds) clips.add(sound);
  return clips;
}

// One sample, one frame, n_fft - 1, n_fft, two chunks of frames, silence.
Sounds awkward_sounds(int n_fft) {
  Sounds sounds;
  const Index n = n_fft;
  const std::vector<Index> lengths =
      is_slow ? std::vector<Index>{1, 199, n} : std::vector<Index>{1, 2, 199, n - 1, n, n + 1, 7000, 3000};
  for (const Index length : lengths)
    sounds.push_back(test_sound(length, static_cast<std::uint32_t>(sounds.size())));
  sounds.emplace_back(1500);
  return sounds;
}

struct Way {
  FeatureSpec spec;
  gpu::ChromaRoute chroma;
  gpu::TransformRoute transform;

  gpu::CudaFeatureOptions options(std::size_t device_bytes = std::size_t{4} << 20) const {
    gpu::CudaFeatureOptions options;
    options.device_bytes = device_bytes;
    options.chroma = chroma;
    options.transform = transform;
    return options;
  }
};
std::vector<Way> ways() {
  const auto recomputed = gpu::ChromaRoute::recomputed, stored = gpu::ChromaRoute::stored;
  const auto fused = gpu::TransformRoute::automatic, vendor = gpu::TransformRoute::vendor;
  std::vector<Way> ways = {{feature_spec("notebook"), recomputed, fused},
                           {feature_spec("notebook"), stored, fused},
                           {mixed_spec(400), recomputed, fused}};
  if (is_slow) ways.push_back({mixed_spec(512), recomputed, fused});
  if (is_slow) return ways;
  for (const int n_fft : {256, 512, 1024, 4096}) ways.push_back({mixed_spec(n_fft), recomputed, fused});
  ways.push_back({mixed_spec(1024), stored, fused});
  ways.push_back({mixed_spec(1024), recomputed, vendor});
  return ways;
}

void check_same(const Matrix<float>& rows, const Matrix<float>& expected) {
  REQUIRE(rows.rows == expected.rows);
  Index n_different = 0;
  for (Index row = 0; row < rows.rows; ++row)
    n_different += !std::equal(rows.row(row).begin(), rows.row(row).end(), expected.row(row).begin());
  CHECK(n_different == 0);
}

}  // namespace

TEST_SUITE("gpu_feature_batches") {
  TEST_CASE("a clip's row has the same bits alone, in any batch, and in any amount of memory") {
    for (const Way& way : ways()) {
      CAPTURE(way.spec.stft.n_fft);
      const int sample_rate = 16000;
      const FeaturePlan plan = make_feature_plan(way.spec, sample_rate);
      const Sounds sounds = awkward_sounds(way.spec.stft.n_fft);
      const Sounds reversed(sounds.rbegin(), sounds.rend());
      Matrix<float> alone(static_cast<Index>(sounds.size()), plan.n_features), together, backwards, in_parts;
      on_gpu([&] {
        const auto extractor = gpu::make_cuda_feature_extractor(plan, way.options());
        for (std::size_t i = 0; i < sounds.size(); ++i)
          extractor->extract(Clips(sample_rate, sounds[i]).batch(),
                             alone.view().rows_from(static_cast<Index>(i), 1));
        together = rows_of(*extractor, plan, batch_of(sounds, sample_rate));
        backwards = rows_of(*extractor, plan, batch_of(reversed, sample_rate));
        auto cut = way.options();
        cut.part_bytes = 10000;
        const auto cutting = gpu::make_cuda_feature_extractor(plan, cut);
        in_parts = rows_of(*cutting, plan, batch_of(sounds, sample_rate));
        CHECK(rows_of(*extractor, plan, Clips<std::int16_t>(sample_rate)).rows == 0);
      });
      check_same(together, alone);
      check_same(in_parts, alone);
      Matrix<float> forwards = backwards;
      for (Index row = 0; row < backwards.rows; ++row)
        std::copy_n(backwards.row(backwards.rows - 1 - row).begin(), plan.n_features,
                    forwards.row(row).begin());
      check_same(forwards, alone);
      // Not only the same, but right: silence has no chroma, no mel and a constant dB.
      const auto cpu_extractor = make_cpu_feature_extractor(plan, 1);
      const auto cpu = rows_of(*cpu_extractor, plan, batch_of(sounds, sample_rate));
      const auto cpu_tracks = cpu_extractor->tracks(batch_of(sounds, sample_rate).batch());
      for (Index row = 0; row < alone.rows; ++row) {
        CAPTURE(row);
        // One or two samples have a flat spectrum, whose peaks, and so its tuning, rounding decides.
        if (sounds[static_cast<std::size_t>(row)].size() <= 2) continue;
        const auto truth = cpu.row(row);
        CHECK(row_deviation(plan, alone.row(row), std::vector<double>(truth.begin(), truth.end()),
                            as_doubles(cpu_tracks[static_cast<std::size_t>(row)])) < 1e-4);
      }
    }
  }

  TEST_CASE("700 clips of different lengths, cut by the byte budget, have the rows of one clip at a time") {
    const Index n_clips = is_slow ? 12 : 700;
    FeatureSpec spec = feature_spec("notebook");
    spec.stft = {.n_fft = 4096, .hop_length = 1024};
    const FeaturePlan plan = make_feature_plan(spec, 16000);
    Sounds sounds;
    for (Index i = 0; i < n_clips; ++i)
      sounds.push_back(test_sound(1 + i * 7919 % 4000, static_cast<std::uint32_t>(i)));
    Matrix<float> alone(n_clips, plan.n_features), cut;
    std::uint64_t n_calls = 0;
    on_gpu([&] {
      const auto extractor = gpu::make_cuda_feature_extractor(plan);
      for (Index i = 0; i < n_clips; ++i)
        extractor->extract(Clips(16000, sounds[static_cast<std::size_t>(i)]).batch(),
                           alone.view().rows_from(i, 1));
    });
    {
      emulation::Session session;
      {
        gpu::CudaFeatureOptions options;
        options.device_bytes = 300'000;
        const auto extractor = gpu::make_cuda_feature_extractor(plan, options);
        cut = rows_of(*extractor, plan, batch_of(sounds, 16000));
      }
      n_calls = session.n_calls();
      session.finish();
    }
    check_same(cut, alone);
    CHECK(n_calls > static_cast<std::uint64_t>(n_clips));  // in many parts
  }

  TEST_CASE("any order of threads, streams and copies gives the same bits") {
    using emulation::FiberOrder, emulation::Schedule;
    for (const Way& way : ways()) {
      CAPTURE(way.spec.stft.n_fft);
      const FeaturePlan plan = make_feature_plan(way.spec, 16000);
      const Sounds sounds = {test_sound(9000, 1), test_sound(300, 2), test_sound(is_slow ? 500 : 3000, 3)};
      auto options = way.options();
      options.part_bytes = 1000;  // a clip at a time
      const auto rows_with = [&](const emulation::Options& emulation) {
        Matrix<float> rows;
        on_gpu(
            [&] {
              rows = rows_of(*gpu::make_cuda_feature_extractor(plan, options), plan, batch_of(sounds, 16000));
            },
            emulation);
        return rows;
      };
      const Matrix<float> first = rows_with({.order = FiberOrder::ascending, .schedule = Schedule::late});
      check_same(rows_with({.order = FiberOrder::descending, .schedule = Schedule::eager}), first);
      check_same(rows_with({.order = FiberOrder::random, .schedule = Schedule::random, .seed = 5}), first);
    }
  }

  TEST_CASE("nothing is allocated after the largest batch") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(512), 16000);
    const Clips large = batch_of({test_sound(5000, 1), test_sound(700, 2)}, 16000);
    const Clips small = batch_of({test_sound(900, 3), test_sound(1200, 5)}, 16000);
    emulation::Session session;
    {
      const auto extractor =
          gpu::make_cuda_feature_extractor(plan, with_route(gpu::TransformRoute::automatic));
      const auto before = session.n_allocations();
      rows_of(*extractor, plan, large);
      const auto largest = session.n_allocations();
      CHECK(largest > before);
      rows_of(*extractor, plan, small);
      rows_of(*extractor, plan, large);
      CHECK(session.n_allocations() == largest);
    }
    session.finish();
  }

  TEST_CASE("a device with less memory than it said gets smaller parts") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(512), 16000);
    Sounds sounds;
    for (std::uint32_t i = 0; i < 12; ++i) sounds.push_back(test_sound(3000, i));
    Matrix<float> roomy, tight;
    on_gpu([&] { roomy = rows_of(*gpu::make_cuda_feature_extractor(plan), plan, batch_of(sounds, 16000)); });
    emulation::Options options;
    options.device.memory = std::size_t{5} << 20;
    on_gpu(
        [&] {
          gpu::CudaFeatureOptions too_much;
          too_much.device_bytes = std::size_t{64} << 20;
          tight = rows_of(*gpu::make_cuda_feature_extractor(plan, too_much), plan, batch_of(sounds, 16000));
        },
        options);
    check_same(tight, roomy);
  }

  TEST_CASE("a clip without a frame, and one that memory does not hold, are named") {
    FeatureSpec spec = mixed_spec(512);
    spec.stft.center = false;
    const FeaturePlan plan = make_feature_plan(spec, 16000);
    on_gpu([&] {
      const auto extractor =
          gpu::make_cuda_feature_extractor(plan, with_route(gpu::TransformRoute::automatic));
      CHECK_THROWS_WITH_AS(
          rows_of(*extractor, plan, batch_of({test_sound(600, 1), test_sound(511, 1)}, 16000)),
          "clip 1 of the batch: 511 samples are too short for a frame of 512", Error);
      gpu::CudaFeatureOptions options;
      options.device_bytes = 20'000;
      const auto tight = gpu::make_cuda_feature_extractor(plan, options);
      CHECK_THROWS_WITH_AS(rows_of(*tight, plan, batch_of({test_sound(9000, 1)}, 16000)),
                           doctest::Contains("clip 0 of the batch: its 9000 samples need "), Error);
    });
  }

  TEST_CASE("every failed call of CUDA is an error that names its place, and leaves nothing behind") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(is_slow ? 512 : 400), 16000);
    const Clips clips = batch_of({test_sound(500, 1), test_sound(300, 2)}, 16000);
    auto options = with_route(gpu::TransformRoute::automatic);
    options.device_bytes = std::size_t{2} << 20;
    options.part_bytes = 1000;
    std::uint64_t n_calls = 0;
    {
      emulation::Session session;
      { rows_of(*gpu::make_cuda_feature_extractor(plan, options), plan, clips); }
      n_calls = session.n_calls();
      session.finish();
    }
    REQUIRE(n_calls > 30);
    for (std::uint64_t i = 1; i <= n_calls; ++i) {
      CAPTURE(i);
      emulation::Session session({.fail_call = static_cast<int>(i)});
      std::string message = "nothing";
      try {
        rows_of(*gpu::make_cuda_feature_extractor(plan, options), plan, clips);
      } catch (const Error& error) {
        message = error.what();
      }
      // The calls of destructors need not be looked at.
      if (message != "nothing") CHECK(message.find(" in ") != std::string::npos);
      if (message != "nothing") CHECK(message.find(".cu:") + message.find(".hpp:") != std::string::npos);
      session.finish();
    }
  }
}

}  // namespace melgrad
