#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/core/error.hpp"
#include "host/cpu/speech_features.hpp"
#include "host/features/feature_plan.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_speech.hpp"

namespace melgrad {
namespace {

using namespace testing;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

FeaturePlan speech_plan(const std::vector<SpeechGroup>& groups = all_speech_groups()) {
  FeatureSpec spec = feature_spec("speech");
  spec.descriptors = {{Speech{groups}, {}}};
  return make_feature_plan(spec, 16000);
}

std::unique_ptr<FeatureExtractor> speech_extractor(const FeaturePlan& plan, int n_threads = 1) {
  return make_speech_feature_extractor(plan, n_threads);
}

// The spread of each value over the golden clips, at least 1e-4 of the largest: values are of many units.
std::vector<double> spreads(const std::vector<GoldenSpeech>& clips, const std::string& group) {
  std::vector<double> spread(clips[0].groups.at(group).size());
  for (std::size_t i = 0; i < spread.size(); ++i) {
    double sum = 0, squares = 0, largest = 0;
    for (const GoldenSpeech& clip : clips) {
      const double value = clip.groups.at(group)[i];
      sum += value;
      squares += value * value;
      largest = std::max(largest, std::abs(value));
    }
    const double mean = sum / static_cast<double>(clips.size());
    spread[i] =
        std::max(std::sqrt(squares / static_cast<double>(clips.size()) - mean * mean), 1e-4 * largest);
  }
  return spread;
}

}  // namespace

TEST_SUITE("speech_features") {
  TEST_CASE("values equal numpy's, of int16 and of float samples, with every instruction set") {
    const std::vector<GoldenSpeech> clips = golden_speech();
    const FeaturePlan plan = speech_plan();
    const std::vector<std::string> names = feature_names(plan.spec);
    for_each_simd([&](const std::string& simd) {
      const auto extractor = speech_extractor(plan);
      for (const GoldenSpeech& clip : clips) {
        const Matrix<float> of_int16 = rows_of(*extractor, plan, Clips(16000, clip.samples));
        const Matrix<float> of_float = rows_of(*extractor, plan, Clips(16000, as_float(clip.samples)));
        for (std::size_t g = 0; g < plan.speech->groups.size(); ++g) {
          const std::string group(to_name(plan.speech->groups[g]));
          if (!clip.groups.contains(group)) continue;  // its truth is elsewhere
          const std::vector<double>& truth = clip.groups.at(group);
          const std::vector<double> spread = spreads(clips, group);
          double worst = 0;
          std::size_t worst_value = 0;
          for (std::size_t i = 0; i < truth.size(); ++i)
            for (const Matrix<float>* rows : {&of_int16, &of_float}) {
              const double value = (*rows)(0, plan.speech->first_feature[g] + static_cast<Index>(i));
              const double deviation = std::abs(value - truth[i]) / spread[i];
              if (deviation <= worst) continue;
              worst = deviation;
              worst_value = i;
            }
          CAPTURE(simd);
          CAPTURE(clip.name);
          CAPTURE(names[at(plan.speech->first_feature[g]) + worst_value]);
          CAPTURE(truth[worst_value]);
          CAPTURE(of_int16(0, plan.speech->first_feature[g] + static_cast<Index>(worst_value)));
          CHECK(worst < 1e-3);
        }
      }
    });
  }

  TEST_CASE("a clip's values do not depend on its batch, on threads, or on the groups beside them") {
    const FeaturePlan plan = speech_plan();
    std::vector<std::vector<std::int16_t>> signals;
    for (const GoldenSpeech& clip : golden_speech()) signals.push_back(clip.samples);
    Clips<std::int16_t> all(16000);
    for (const auto& signal : signals) all.add(signal);
    const Matrix<float> rows = rows_of(*speech_extractor(plan, 3), plan, all);
    const auto extractor = speech_extractor(plan);
    for (std::size_t i = signals.size(); i-- > 0;) {
      const Matrix<float> row = rows_of(*extractor, plan, Clips(16000, signals[i]));
      CHECK(std::ranges::equal(row.row(0), rows.row(static_cast<Index>(i))));
    }
    for (std::size_t g = 0; g < plan.speech->groups.size(); ++g) {
      const FeaturePlan one = speech_plan({plan.speech->groups[g]});
      const Matrix<float> values = rows_of(*speech_extractor(one), one, all);
      for (Index clip = 0; clip < values.rows; ++clip)
        CHECK(std::ranges::equal(
            values.row(clip), rows.row(clip).subspan(at(plan.speech->first_feature[g]), at(one.n_features))));
    }
  }

  TEST_CASE("any number of samples gives finite values") {
    const FeaturePlan plan = speech_plan();
    const auto extractor = speech_extractor(plan);
    for (const char* kind : {"speech", "noise", "click", "silence"})
      for (const Index n : {1,   2,   79,  80,  81,   159,  160,  161,  399,  400,  401,  559,  560,
                            561, 719, 720, 880, 1040, 1200, 1840, 1999, 2000, 2001, 2960, 3120, 7000}) {
        CAPTURE(kind);
        CAPTURE(n);
        const Matrix<float> rows = rows_of(*extractor, plan, Clips(16000, speech_signal(kind, n, 1)));
        CHECK(std::ranges::all_of(rows.values, [](float x) { return std::isfinite(x); }));
      }
  }

  TEST_CASE("silence around speech changes only what tells of it") {
    const FeaturePlan plan = speech_plan();
    const auto extractor = speech_extractor(plan);
    const std::vector<std::int16_t> speech = speech_signal("speech", 20000, 1);
    std::vector<std::int16_t> padded(1600);
    padded.insert(padded.end(), speech.begin(), speech.end());
    padded.resize(padded.size() + 3000);
    const Matrix<float> a = rows_of(*extractor, plan, Clips(16000, speech));
    const Matrix<float> b = rows_of(*extractor, plan, Clips(16000, padded));
    const std::vector<std::string> names = feature_names(plan.spec);
    std::set<std::string> changed;
    for (std::size_t i = 0; i < names.size(); ++i)
      if (a.values[i] != b.values[i]) changed.insert(names[i]);
    CHECK(changed == std::set<std::string>{"speech_prosody_recording_s", "speech_prosody_silence_after_s",
                                           "speech_prosody_silence_before_s"});
  }

  TEST_CASE("tracks have a value for each frame") {
    const FeaturePlan plan = speech_plan();
    const auto tracks = speech_extractor(plan)->tracks(Clips(16000, speech_signal("noise", 4000, 1)).batch());
    REQUIRE(tracks.size() == 1);
    std::vector<std::string> names;
    for (const FrameTrack& track : tracks[0]) {
      names.push_back(track.name);
      CHECK(track.values.cols == plan.n_frames(4000));
    }
    CHECK(names == std::vector<std::string>{"mfcc", "log_mel", "contrast", "shape"});
  }

  TEST_CASE("frames of 25 ms stand every 10 ms, and a clip has one at least") {
    const FeaturePlan plan = speech_plan();
    const std::vector<std::pair<Index, Index>> counts{{1, 1},   {399, 1}, {400, 1},
                                                      {559, 1}, {560, 2}, {16000, 98}};
    for (const auto& [n_samples, n_frames] : counts) CHECK(plan.n_frames(n_samples) == n_frames);
    CHECK_THROWS_WITH_AS(make_feature_plan(plan.spec, 48000), "sample rate: 48000 Hz; speech is of 16000 Hz",
                         UsageError);
  }

  TEST_CASE("an empty clip is refused") {
    const FeaturePlan plan = speech_plan();
    CHECK(plan.n_frames(0) == 0);
    CHECK_THROWS_WITH_AS(rows_of(*speech_extractor(plan), plan, Clips(16000, std::vector<float>())),
                         "clip 0 of the batch has no samples", Error);
  }
}

}  // namespace melgrad
