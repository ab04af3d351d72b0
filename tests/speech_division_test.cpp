#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/engine/speech_division.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_speech.hpp"

namespace melgrad {
namespace {

using namespace testing;

std::unique_ptr<Engine> cpu_engine() {
  return make_cpu_engine({.n_threads = 1});
}

FeatureSpec speech_of(const std::vector<SpeechGroup>& groups) {
  FeatureSpec spec = feature_spec("speech");
  spec.descriptors = {{Speech{groups}, {}}};
  return spec;
}

}  // namespace

TEST_SUITE("speech_division") {
  TEST_CASE("a GPU computes 489 values of speech, and the CPU the other 654") {
    const Division division = division_of(feature_spec("speech"), "cuda:1");
    Index n_values_of_gpu = 0;
    for (const SpeechGroup group : all_speech_groups())
      if (has_kernels(group)) n_values_of_gpu += n_values(group);
    CHECK(n_values_of_gpu == 489);
    CHECK(division.at("cuda:1").size() == 8);
    CHECK(division.at("cpu").size() == 9);
    CHECK(to_text(division) ==
          "pitch, loudness, voice, formants, voiced_mfcc, thirds, eighths, modulation, mfcc_correlation by "
          "cpu; mfcc, mfcc_delta, mfcc_delta2, log_mel, contrast, shape, shape_delta, prosody by cuda:1");
  }

  TEST_CASE("an engine that computes everything is named alone, and nothing needs to be said") {
    for (const auto& [spec, engine] :
         {std::pair(feature_spec("speech"), "cpu"), std::pair(feature_spec("notebook"), "cuda:0"),
          std::pair(speech_of({SpeechGroup::mfcc}), "cuda:0")}) {
      const Division division = division_of(spec, engine);
      REQUIRE(division.size() == 1);
      CHECK(division.begin()->first == engine);
      CHECK(to_text(division).empty());
    }
    CHECK(division_of(speech_of({SpeechGroup::voice}), "cuda:0") == Division{{"cpu", {"voice"}}});
  }

  TEST_CASE("values of two engines stand where one engine puts them, of batches of any size") {
    const FeaturePlan plan = make_feature_plan(
        speech_of({SpeechGroup::contrast, SpeechGroup::prosody, SpeechGroup::thirds}), 16000);
    const auto divided = make_divided_engine(cpu_engine(), cpu_engine())->feature_extractor(plan);
    const auto whole = cpu_engine()->feature_extractor(plan);
    for (const Index n_clips : {3, 1, 0, 2}) {
      Clips<std::int16_t> clips(16000);
      for (Index i = 0; i < n_clips; ++i) clips.add(speech_signal("speech", 9000 + 500 * i, 1));
      CHECK(rows_of(*divided, plan, clips) == rows_of(*whole, plan, clips));
    }
  }
}

}  // namespace melgrad
