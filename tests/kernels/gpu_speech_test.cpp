// The CUDA engine's speech set against the CPU engine's, emulated.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "gpu_session.hpp"
#include "host/audio/decode.hpp"
#include "host/audio/resample.hpp"
#include "host/core/error.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/engine/speech_division.hpp"
#include "kernels/cuda_engine.hpp"
#include "kernels/cuda_speech_extractor.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_speech.hpp"

namespace melgrad {
namespace {

using namespace testing;
using Sound = std::vector<std::int16_t>;

// Of a value's spread over clips.
constexpr double tolerance = 1e-3;

std::vector<SpeechGroup> groups_with_kernels() {
  std::vector<SpeechGroup> groups = all_speech_groups();
  std::erase_if(groups, [](SpeechGroup group) { return !has_kernels(group); });
  return groups;
}

FeaturePlan plan_of(const std::vector<SpeechGroup>& groups) {
  FeatureSpec spec = feature_spec("speech");
  spec.descriptors = {{Speech{groups}, {}}};
  return make_feature_plan(spec, speech_sample_rate);
}

std::unique_ptr<FeatureExtractor> by_cpu(const FeaturePlan& plan) {
  return make_cpu_engine({.n_threads = 1})->feature_extractor(plan);
}

std::unique_ptr<FeatureExtractor> by_gpu(const FeaturePlan& plan, std::size_t device_bytes = 16 << 20) {
  gpu::CudaFeatureOptions options;
  options.device_bytes = device_bytes;
  return gpu::make_cuda_speech_extractor(plan, options);
}

// With some noise: under a pure tone the least magnitudes are the transform's rounding, which the contrast
// would show.
Sound tone(Index n_samples, double hz) {
  const Sound noise = speech_signal("noise", n_samples, 7);
  Sound samples;
  for (Index i = 0; i < n_samples; ++i) {
    const double angle = 2 * std::numbers::pi * hz * static_cast<double>(i) / speech_sample_rate;
    samples.push_back(
        static_cast<std::int16_t>(9000 * std::sin(angle) + noise[static_cast<std::size_t>(i)] / 256.0));
  }
  return samples;
}

// Speech and what is hard on trimming, pitch and statistics; around the lengths at which a clip has its first
// frames, slopes (10 frames), rhythm (42) and chunks (31).
std::vector<Sound> signals() {
  std::vector<Sound> made;
  for (const Index n : {1, 399, 400, 561, 1200, 1840, 2001}) made.push_back(speech_signal("noise", n, 3));
  made.push_back(speech_signal("click", 3000, 1));
  made.push_back(speech_signal("silence", 2000, 1));
  made.push_back(tone(5600, 220));
  if (is_slow) return made;
  for (const Index n : {16000, 9000}) made.push_back(speech_signal("speech", n, 1));
  Sound bursts = speech_signal("noise", 9000, 2);
  std::fill(bursts.begin() + 2000, bursts.begin() + 6000, std::int16_t{0});
  made.push_back(bursts);
  made.push_back(tone(9000, 70));
  return made;
}

Clips<std::int16_t> batch_of(const std::vector<Sound>& clips) {
  Clips<std::int16_t> batch(speech_sample_rate);
  for (const Sound& clip : clips) batch.add(clip);
  return batch;
}

// Standard deviation of each column, at least 1e-4 of the largest value: values are of many units.
std::vector<double> spreads(const Matrix<float>& rows) {
  std::vector<double> spreads;
  for (Index col = 0; col < rows.cols; ++col) {
    double sum = 0, squares = 0, largest = 0;
    for (Index row = 0; row < rows.rows; ++row) {
      const auto value = static_cast<double>(rows(row, col));
      sum += value;
      squares += value * value;
      largest = std::max(largest, std::abs(value));
    }
    const auto n = static_cast<double>(rows.rows);
    const double variance = squares / n - sum / n * (sum / n);
    spreads.push_back(std::max(std::sqrt(std::max(variance, 0.0)), 1e-4 * largest));
  }
  return spreads;
}

struct Worst {
  double deviation = 0;
  Index value = 0;
};
// Of the values of a row that is_in(value); infinite where one is not finite.
template <class IsIn>
Worst compare(std::span<const float> row, std::span<const float> truth, const std::vector<double>& spread,
              const IsIn& is_in) {
  Worst worst;
  for (Index i = 0; i < static_cast<Index>(row.size()); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!is_in(i)) continue;
    double off = std::abs(static_cast<double>(row[at]) - static_cast<double>(truth[at]));
    if (off > 0) off /= spread[at];
    if (!std::isfinite(row[at])) off = std::numeric_limits<double>::infinity();
    if (off > worst.deviation) worst = {off, i};
  }
  return worst;
}

}  // namespace

TEST_SUITE("gpu_speech") {
  TEST_CASE("values are the CPU engine's, of int16 and of float samples") {
    const FeaturePlan plan = plan_of(groups_with_kernels());
    CHECK(plan.n_features == 489);
    const std::vector<Sound> clips = signals();
    Clips<float> of_float(speech_sample_rate);
    for (const Sound& clip : clips) of_float.add(as_float(clip));
    const Matrix<float> truth = rows_of(*by_cpu(plan), plan, batch_of(clips));
    const std::vector<double> spread = spreads(truth);
    const std::vector<std::string> names = feature_names(plan.spec);
    Worst worst;
    on_gpu([&] {
      const auto extractor = by_gpu(plan);
      for (const auto& rows :
           {rows_of(*extractor, plan, batch_of(clips)), rows_of(*extractor, plan, of_float)})
        for (Index clip = 0; clip < rows.rows; ++clip) {
          const Worst of_row = compare(rows.row(clip), truth.row(clip), spread, [](Index) { return true; });
          CAPTURE(clip);
          CAPTURE(names[static_cast<std::size_t>(of_row.value)]);
          CAPTURE(rows(clip, of_row.value));
          CAPTURE(truth(clip, of_row.value));
          CHECK(of_row.deviation < tolerance);
          if (of_row.deviation > worst.deviation) worst = of_row;
        }
    });
    MESSAGE("worst deviation " << worst.deviation << ", of " << names[static_cast<std::size_t>(worst.value)]);
  }

  TEST_CASE("tracks are the CPU engine's") {
    const FeaturePlan plan = plan_of(groups_with_kernels());
    for (const Sound& clip : signals()) {
      CAPTURE(clip.size());
      const auto truth = by_cpu(plan)->tracks(batch_of({clip}).batch())[0];
      on_gpu([&] {
        const auto tracks = by_gpu(plan)->tracks(batch_of({clip}).batch())[0];
        REQUIRE(tracks.size() == truth.size());
        for (std::size_t k = 0; k < tracks.size(); ++k) {
          CAPTURE(tracks[k].name);
          CHECK(tracks[k].name == truth[k].name);
          REQUIRE(tracks[k].values.rows == truth[k].values.rows);
          REQUIRE(tracks[k].values.cols == truth[k].values.cols);
          for (Index value = 0; value < truth[k].values.rows; ++value) {
            const auto row = truth[k].values.row(value);
            CAPTURE(value);
            // Values that hardly vary in a clip are compared by their unit. The least magnitudes of a loud
            // frame, which make its contrast, are near the rounding of its greatest.
            CHECK(deviation(tracks[k].values.row(value), {std::vector<double>(row.begin(), row.end())}, 1) <
                  2 * tolerance);
          }
        }
      });
    }
  }

  TEST_CASE("a clip's values have the same bits alone, in any batch and amount of memory, in any order") {
    const FeaturePlan plan = plan_of(groups_with_kernels());
    std::vector<Sound> clips = {speech_signal("noise", 300, 1), speech_signal("noise", 2001, 3),
                                speech_signal("click", 3000, 1)};
    if (!is_slow) clips.push_back(tone(5400, 220));  // two chunks
    Matrix<float> together;
    on_gpu([&] { together = rows_of(*by_gpu(plan), plan, batch_of(clips)); });
    const std::size_t tight = is_slow ? 24'000 : 50'000;  // the longest clip alone
    on_gpu([&] { CHECK(rows_of(*by_gpu(plan, tight), plan, batch_of(clips)) == together); });
    for (const auto order : {emulation::FiberOrder::descending, emulation::FiberOrder::random})
      on_gpu([&] { CHECK(rows_of(*by_gpu(plan), plan, batch_of(clips)) == together); }, {.order = order});
    on_gpu([&] {
      const auto extractor = by_gpu(plan);
      CHECK(rows_of(*extractor, plan, batch_of({})).rows == 0);
      for (std::size_t i = clips.size(); i-- > 0;)
        CHECK(std::ranges::equal(rows_of(*extractor, plan, batch_of({clips[i]})).row(0),
                                 together.row(static_cast<Index>(i))));
    });
  }

  TEST_CASE("a group's values do not depend on the groups beside it") {
    const FeaturePlan plan = plan_of(groups_with_kernels());
    const auto clips = batch_of({speech_signal("noise", 2001, 3), tone(2500, 220)});
    Matrix<float> all;
    on_gpu([&] { all = rows_of(*by_gpu(plan), plan, clips); });
    for (std::size_t g = 0; g < plan.speech->groups.size(); ++g) {
      CAPTURE(to_name(plan.speech->groups[g]));
      const FeaturePlan one = plan_of({plan.speech->groups[g]});
      on_gpu([&] {
        const Matrix<float> values = rows_of(*by_gpu(one), one, clips);
        const auto first = static_cast<std::size_t>(plan.speech->first_feature[g]);
        for (Index clip = 0; clip < values.rows; ++clip)
          CHECK(std::ranges::equal(values.row(clip),
                                   all.row(clip).subspan(first, static_cast<std::size_t>(values.cols))));
      });
    }
  }

  TEST_CASE("groups without kernels are the CPU engine's, in their columns") {
    const FeaturePlan plan = plan_of(all_speech_groups());
    const auto clips = batch_of({speech_signal("noise", 4000, 3), speech_signal("noise", 2001, 4)});
    const Matrix<float> cpu = rows_of(*by_cpu(plan), plan, clips);
    const FeaturePlan own = plan_of(groups_with_kernels());
    on_gpu([&] {
      const Matrix<float> device = rows_of(*by_gpu(own), own, clips);
      const auto engine = make_divided_engine(gpu::make_cuda_engine(0), make_cpu_engine({.n_threads = 1}));
      CHECK(engine->name() == "cuda:0");
      const auto extractor = engine->feature_extractor(plan);
      for (const Matrix<float>& rows : {rows_of(*extractor, plan, clips), rows_of(*extractor, plan, clips)})
        for (Index clip = 0; clip < rows.rows; ++clip)
          for (Index i = 0; i < rows.cols; ++i)
            CHECK(rows(clip, i) == (i < own.n_features ? device(clip, i) : cpu(clip, i)));
      CHECK(extractor->tracks(clips.batch())[1].size() == 4);
      const FeaturePlan rest = plan_of({SpeechGroup::thirds});
      CHECK(rows_of(*engine->feature_extractor(rest), rest, clips) == rows_of(*by_cpu(rest), rest, clips));
    });
  }

  TEST_CASE("a clip without samples, and one that memory does not hold, are named") {
    const FeaturePlan plan = plan_of(groups_with_kernels());
    on_gpu([&] {
      CHECK_THROWS_WITH_AS(rows_of(*by_gpu(plan), plan, batch_of({{}})), "clip 0 of the batch has no samples",
                           Error);
      CHECK_THROWS_WITH_AS(rows_of(*by_gpu(plan, 10'000), plan, batch_of({speech_signal("noise", 9000, 1)})),
                           doctest::Contains("clip 0 of the batch: its 9000 samples need "), Error);
    });
  }
}

TEST_SUITE("gpu_ravdess") {
  // MELGRAD_SPEECH_CLIPS: of how many recordings, 4 where it is not set.
  TEST_CASE("the speech values of real recordings are the CPU engine's") {
    const char* const root = std::getenv("MELGRAD_RAVDESS");
    if (root == nullptr || is_slow) {
      MESSAGE("skipped: " << (root == nullptr ? "MELGRAD_RAVDESS is not set" : "this program is too slow"));
      return;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& each : std::filesystem::recursive_directory_iterator(root))
      if (each.path().extension() == ".flac") files.push_back(each.path());
    std::ranges::sort(files);
    const char* const wanted = std::getenv("MELGRAD_SPEECH_CLIPS");
    const std::size_t n_clips = wanted == nullptr ? 4 : std::stoul(wanted);
    REQUIRE(files.size() >= n_clips);

    const FeaturePlan plan = plan_of(groups_with_kernels());
    const std::vector<std::string> names = feature_names(plan.spec);
    Matrix<float> rows(static_cast<Index>(n_clips), plan.n_features), truth = rows;
    for (std::size_t i = 0; i < n_clips; ++i) {
      Waveform waveform = decode_audio(files[i * files.size() / n_clips]);
      Resampler(speech_sample_rate).resample(waveform);
      const std::vector<Index> offsets = {0, waveform.n_samples()};
      const WaveformBatch batch{waveform.sample_rate, waveform.samples(), offsets};
      by_cpu(plan)->extract(batch, truth.view().rows_from(static_cast<Index>(i), 1));
      on_gpu([&] { by_gpu(plan)->extract(batch, rows.view().rows_from(static_cast<Index>(i), 1)); });
    }
    const std::vector<double> spread = spreads(truth);
    const auto is_prosody = [&](Index i) { return i >= rows.cols - n_values(SpeechGroup::prosody); };
    const auto is_rolloff = [&](Index i) {
      return names[static_cast<std::size_t>(i)].find("_rolloff_") != std::string::npos;
    };
    const auto is_other = [&](Index i) { return !is_prosody(i) && !is_rolloff(i); };
    Worst worst;
    // Rounding decides between two lags of a pitch, and between two bins of a rolloff.
    std::size_t n_same_pitch = 0, n_same_rolloffs = 0;
    for (Index clip = 0; clip < rows.rows; ++clip) {
      const Worst others = compare(rows.row(clip), truth.row(clip), spread, is_other);
      CAPTURE(clip);
      CAPTURE(names[static_cast<std::size_t>(others.value)]);
      CHECK(others.deviation < tolerance);
      if (others.deviation > worst.deviation) worst = others;
      n_same_pitch += compare(rows.row(clip), truth.row(clip), spread, is_prosody).deviation < tolerance;
      n_same_rolloffs += compare(rows.row(clip), truth.row(clip), spread, is_rolloff).deviation < tolerance;
    }
    MESSAGE("of " << n_clips << " clips, worst deviation " << worst.deviation << ", of "
                  << names[static_cast<std::size_t>(worst.value)] << "; prosody equal in " << n_same_pitch
                  << ", rolloffs in " << n_same_rolloffs);
    CHECK(100 * n_same_pitch >= 95 * n_clips);
    CHECK(100 * n_same_rolloffs >= 95 * n_clips);
  }
}

}  // namespace melgrad
