// What the CPU feature extractor owes its callers whatever the features: the same bits in any company, no
// allocation, bounded memory, errors that say why.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "host/core/error.hpp"
#include "host/cpu/cpu_features.hpp"
#include "support/allocations.hpp"
#include "support/feature_clips.hpp"

namespace melgrad {
namespace {

using namespace testing;

FeatureSpec mixed_spec() {
  return {.name = "mixed",
          .stft = {.n_fft = 512, .hop_length = 200},
          .descriptors = {{ChromaStft{}, {Functional::mean, Functional::std}},
                          {ChromaStft{.n_chroma = 24, .tuning = {}}, {Functional::mean}},
                          {MelSpectrogram{.n_mels = 40}, {Functional::mean}},
                          {MelSpectrogram{.n_mels = 20, .power = 1}, {Functional::mean, Functional::std}},
                          {Mfcc{.n_mfcc = 13, .n_mels = 40}, {Functional::mean}},
                          {Rms{}, {Functional::mean}},
                          {Mfcc{.n_mfcc = 5, .n_mels = 20}, {Functional::std}}}};
}

// Lengths around a frame, a chunk of any number of lanes, and several chunks.
const std::vector<Index> ragged_lengths = {1, 9000, 511, 512, 513, 2 * 16 * 200, 199, 3300, 30000, 2, 6400};

std::vector<std::vector<std::int16_t>> ragged_sounds() {
  std::vector<std::vector<std::int16_t>> sounds;
  for (const Index length : ragged_lengths)
    sounds.push_back(test_sound(length, static_cast<std::uint32_t>(sounds.size())));
  return sounds;
}

Clips<std::int16_t> batch_of(const std::vector<std::vector<std::int16_t>>& sounds) {
  Clips<std::int16_t> clips(16000);
  for (const auto& sound : sounds) clips.add(sound);
  return clips;
}

}  // namespace

TEST_SUITE("cpu_feature_batches") {
  TEST_CASE("a clip's row has the same bits alone, in any batch, and after any other clip") {
    for (const FeatureSpec& spec : {feature_spec("notebook"), mixed_spec()}) {
      const FeaturePlan plan = make_feature_plan(spec, 16000);
      const auto sounds = ragged_sounds();
      const auto extractor = make_cpu_feature_extractor(plan, 1);
      const Matrix<float> together = rows_of(*extractor, plan, batch_of(sounds));
      const auto reversed = std::vector(sounds.rbegin(), sounds.rend());
      const Matrix<float> backwards = rows_of(*extractor, plan, batch_of(reversed));
      for (std::size_t i = 0; i < sounds.size(); ++i) {
        CAPTURE(i);
        const auto clip = static_cast<Index>(i);
        const Matrix<float> alone =
            rows_of(*make_cpu_feature_extractor(plan, 1), plan, Clips(16000, sounds[i]));
        const auto row = together.row(clip), back = backwards.row(together.rows - 1 - clip);
        CHECK(std::equal(row.begin(), row.end(), alone.values.begin()));
        CHECK(std::equal(row.begin(), row.end(), back.begin()));
      }
    }
  }

  TEST_CASE("one, two and seven threads give the same bits") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(), 16000);
    const Clips clips = batch_of(ragged_sounds());
    const auto one = make_cpu_feature_extractor(plan, 1);
    const Matrix<float> rows = rows_of(*one, plan, clips);
    const auto tracks = one->tracks(clips.batch());
    for (const int n_threads : {2, 7}) {
      CAPTURE(n_threads);
      const auto extractor = make_cpu_feature_extractor(plan, n_threads);
      for (int repeat = 0; repeat < 5; ++repeat) CHECK(rows_of(*extractor, plan, clips) == rows);
      const auto again = extractor->tracks(clips.batch());
      for (std::size_t clip = 0; clip < tracks.size(); ++clip)
        for (std::size_t i = 0; i < tracks[clip].size(); ++i)
          CHECK(again[clip][i].values == tracks[clip][i].values);
    }
  }

  TEST_CASE("rows go where the view says, and nowhere else") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(), 16000);
    const auto extractor = make_cpu_feature_extractor(plan, 1);
    const Clips clips = batch_of({test_sound(5000, 1), test_sound(700, 2)});
    const Matrix<float> dense = rows_of(*extractor, plan, clips);
    Matrix<float> wide(2, plan.n_features + 3);
    std::fill(wide.values.begin(), wide.values.end(), -7.0f);
    extractor->extract(clips.batch(), {wide.values.data() + 1, 2, plan.n_features, wide.cols});
    for (Index row = 0; row < 2; ++row) {
      CHECK(wide(row, 0) == -7.0f);
      CHECK(wide(row, plan.n_features + 1) == -7.0f);
      CHECK(wide(row, plan.n_features + 2) == -7.0f);
      CHECK(std::equal(dense.row(row).begin(), dense.row(row).end(), wide.row(row).begin() + 1));
    }
  }

  TEST_CASE("a clip too long to keep its spectra gets the same bits from computing them again") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(), 16000);
    const Clips clips = batch_of({test_sound(100000, 1), test_sound(3000, 2), test_sound(70001, 3)});
    const auto keeps_all = make_cpu_feature_extractor(plan, 1);
    const Matrix<float> rows = rows_of(*keeps_all, plan, clips);
    const auto tracks = keeps_all->tracks(clips.batch());
    for (const std::size_t kept_bytes : {std::size_t{0}, std::size_t{60000}, std::size_t{200001}}) {
      CAPTURE(kept_bytes);
      const auto extractor = make_cpu_feature_extractor(plan, 1, kept_bytes);
      CHECK(rows_of(*extractor, plan, clips) == rows);
      const auto again = extractor->tracks(clips.batch());
      for (std::size_t clip = 0; clip < tracks.size(); ++clip)
        for (std::size_t i = 0; i < tracks[clip].size(); ++i)
          CHECK(again[clip][i].values == tracks[clip][i].values);
    }
  }

  TEST_CASE("nothing is allocated once the largest clip was seen") {
    for_each_simd([](const std::string& simd) {
      CAPTURE(simd);
      const FeaturePlan plan = make_feature_plan(mixed_spec(), 16000);
      const auto extractor = make_cpu_feature_extractor(plan, 1);
      const auto sounds = ragged_sounds();
      const Clips clips = batch_of(sounds);
      Clips<std::int16_t> others = batch_of({sounds[1], sounds[8], sounds[5]});
      Matrix<float> rows(clips.batch().n_clips(), plan.n_features);
      const std::size_t before_first = n_allocations();
      extractor->extract(clips.batch(), rows.view());
      const std::size_t after_first = n_allocations();
      CHECK(after_first > before_first);  // or the count counts nothing
      extractor->extract(clips.batch(), rows.view());
      extractor->extract(others.batch(), rows.view().rows_from(0, 3));
      CHECK(n_allocations() == after_first);
    });
  }

  TEST_CASE("no clips, no rows") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(), 16000);
    const auto extractor = make_cpu_feature_extractor(plan, 2);
    CHECK(rows_of(*extractor, plan, Clips<float>(16000)).rows == 0);
    CHECK(extractor->tracks(WaveformBatch{}).empty());
  }

  TEST_CASE("a clip without a frame is refused by its place, length and the limit") {
    FeatureSpec spec = mixed_spec();
    spec.stft.center = false;
    const FeaturePlan plan = make_feature_plan(spec, 16000);
    const auto extractor = make_cpu_feature_extractor(plan, 1);
    Matrix<float> rows(2, plan.n_features);
    CHECK_THROWS_WITH_AS(
        extractor->extract(batch_of({test_sound(600, 1), test_sound(511, 1)}).batch(), rows.view()),
        "clip 1 of the batch: 511 samples are too short for a frame of 512", Error);
    const FeaturePlan centred = make_feature_plan(mixed_spec(), 16000);
    CHECK_THROWS_AS(make_cpu_feature_extractor(centred, 1)->tracks(batch_of({{}}).batch()), Error);
  }

  TEST_CASE("silence has the values that librosa gives it") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(), 16000);
    const Matrix<float> rows =
        rows_of(*make_cpu_feature_extractor(plan, 1), plan, Clips(16000, std::vector<float>(5000)));
    for (const DescriptorPlan& descriptor : plan.descriptors) {
      CAPTURE(descriptor.name);
      const auto* mfcc = std::get_if<MfccPlan>(&descriptor.plan);
      for (std::size_t f = 0; f < descriptor.functionals.size(); ++f)
        for (Index value = 0; value < descriptor.n_values; ++value) {
          // 10 log10(amin) in every band: the DCT of a constant is in coefficient 0.
          const bool is_level =
              mfcc != nullptr && value == 0 && descriptor.functionals[f] == Functional::mean;
          const double truth = is_level ? -100 * std::sqrt(mfcc->bank.n_mels) : 0;
          const Index column = descriptor.first_feature + static_cast<Index>(f) * descriptor.n_values + value;
          CHECK(std::abs(static_cast<double>(rows(0, column)) - truth) <
                1e-4 * std::max(1.0, std::abs(truth)));
        }
    }
  }

  TEST_CASE("samples that are not finite, or huge, spoil their own row alone") {
    const FeaturePlan plan = make_feature_plan(mixed_spec(), 16000);
    const auto extractor = make_cpu_feature_extractor(plan, 1);
    const auto good = as_float(test_sound(4000, 1));
    const Matrix<float> alone = rows_of(*extractor, plan, Clips(16000, good));
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::max(), 1e18f}) {
      auto spoilt = good;
      spoilt[2000] = bad;
      Clips<float> clips(16000);
      clips.add(spoilt);
      clips.add(good);
      const Matrix<float> rows = rows_of(*extractor, plan, clips);
      CHECK(std::equal(alone.values.begin(), alone.values.end(), rows.row(1).begin()));
    }
  }
}

}  // namespace melgrad
