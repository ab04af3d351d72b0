// The groups `pitch` to `mfcc_correlation` of the `speech` set against tools/golden/speech_course.py, which
// computes in double with numpy and scipy.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "host/core/philox.hpp"
#include "host/cpu/speech_clip_groups.hpp"
#include "host/features/speech_clip_names.hpp"
#include "support/allocations.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_file.hpp"
#include "support/speech_input.hpp"
#include "support/speech_voices.hpp"

namespace melgrad {
namespace {

using namespace testing;
using enum SpeechGroup;

const std::vector<SpeechGroup> clip_groups{pitch,  loudness, voice,      formants,        voiced_mfcc,
                                           thirds, eighths,  modulation, mfcc_correlation};

std::size_t n_values(const std::vector<SpeechGroup>& groups) {
  Index n = 0;
  for (const SpeechGroup group : groups) n += n_values(group);
  return static_cast<std::size_t>(n);
}

std::vector<float> values_of(SpeechClipGroups& extractor, const SpeechInput& input,
                             const std::vector<SpeechGroup>& groups) {
  std::vector<float> row(n_values(groups));
  extractor.put(input.frames(), groups, row);
  return row;
}

std::vector<float> noise(std::size_t n, float level) {
  PhiloxSequence random(11, RandomStream::search);
  std::vector<float> samples;
  for (std::size_t i = 0; i < n; ++i) samples.push_back(level * (2 * random.next_uniform01() - 1));
  return samples;
}

}  // namespace

TEST_SUITE("speech_course") {
  // float32 spectra of 2048 points err by some 1e-6, which the cepstral peak (100 times a difference of small
  // numbers) shows most: 1.1e-4 of 22 in a whisper is the worst seen.
  TEST_CASE("values of synthetic voices are those of the definitions in double, with every instruction set") {
    const Json golden = golden_file("speech_voices.json");
    REQUIRE(golden.at("clips").size() >= 10);
    for (const Json& clip : golden.at("clips")) {
      const std::string clip_name = clip.at("name");
      CAPTURE(clip_name);
      const SpeechInput input(speech_voice(clip_name));
      for_each_simd([&](const std::string& simd) {
        CAPTURE(simd);
        SpeechClipGroups extractor;
        for (const SpeechGroup group : clip_groups) {
          const std::string group_name(to_name(group));
          CAPTURE(group_name);
          const auto truth = clip.at("groups").at(group_name).get<std::vector<double>>();
          const std::vector<float> ours = values_of(extractor, input, {group});
          const std::vector<std::string> names = clip_value_names(group);
          REQUIRE(truth.size() == ours.size());
          for (std::size_t i = 0; i < truth.size(); ++i) {
            CAPTURE(names[i]);
            CAPTURE(ours[i]);
            CAPTURE(truth[i]);
            CHECK(std::abs(static_cast<double>(ours[i]) - truth[i]) <= 3e-4 * (1 + std::abs(truth[i])));
          }
        }
      });
    }
  }

  TEST_CASE("a group's values are the same bits alone, among others, and after another clip") {
    const SpeechInput input(speech_voice("glide"));
    SpeechClipGroups extractor;
    const std::vector<float> all = values_of(extractor, input, clip_groups);
    values_of(extractor, SpeechInput(speech_voice("creak")), clip_groups);
    CHECK(values_of(extractor, input, clip_groups) == all);
    std::size_t first = 0;
    for (const SpeechGroup group : clip_groups) {
      CAPTURE(to_name(group));
      SpeechClipGroups another;
      const std::vector<float> alone = values_of(another, input, {group});
      CHECK(std::equal(alone.begin(), alone.end(), all.begin() + static_cast<std::ptrdiff_t>(first)));
      first += alone.size();
    }
  }

  TEST_CASE("values of groups before prosody are left to others") {
    const SpeechInput input(speech_voice("five frames"));
    const std::vector<SpeechGroup> groups{mfcc, shape, thirds, eighths};
    std::vector<float> row(n_values(groups), 7.0f);
    SpeechClipGroups().put(input.frames(), groups, row);
    CHECK(std::all_of(row.begin(), row.begin() + 106, [](float value) { return value == 7.0f; }));
    CHECK(std::none_of(row.begin() + 106, row.end(), [](float value) { return value == 7.0f; }));
  }

  TEST_CASE("awkward clips have finite values") {
    std::vector<float> square(8000), offset(3000, 0.7f), impulse(1200), largest(2000);
    for (std::size_t i = 0; i < square.size(); ++i) square[i] = i / 40 % 2 == 0 ? 1.0f : -1.0f;
    impulse[600] = 1;
    for (std::size_t i = 0; i < largest.size(); ++i) largest[i] = i % 3 == 0 ? -1.0f : 1.0f;
    std::vector<float> whole_silence(320000), faint = noise(6000, 1e-6f), pause = noise(6000, 0.3f);
    std::fill(pause.begin() + 2000, pause.begin() + 4000, 0.0f);
    SpeechClipGroups extractor;
    for (const auto& samples :
         {square, offset, impulse, largest, whole_silence, faint, pause, std::vector<float>(400)}) {
      const std::vector<float> row = values_of(extractor, SpeechInput(samples), clip_groups);
      CHECK(std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); }));
    }
    // Every number of frames up to where each statistic has enough of them.
    for (std::size_t n_frames = 1; n_frames <= 24; ++n_frames) {
      CAPTURE(n_frames);
      for (const char* name : {"glide", "whisper"}) {
        std::vector<float> samples = speech_voice(name);
        samples.resize(400 + 160 * (n_frames - 1));
        const std::vector<float> row = values_of(extractor, SpeechInput(samples), clip_groups);
        CHECK(std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); }));
      }
    }
  }

  TEST_CASE("nothing is allocated after the longest clip") {
    SpeechClipGroups extractor;
    std::vector<float> row(n_values(clip_groups));
    std::vector<SpeechInput> inputs;
    for (const char* name : {"sentence", "glide", "noise", "zeros", "one frame", "whisper"})
      inputs.emplace_back(speech_voice(name));
    // The longest one, voiced throughout as well: each track is as long as it can be.
    inputs.emplace_back(std::vector<float>(inputs.front().samples.size()));
    extractor.put(inputs.back().frames(), clip_groups, row);
    extractor.put(inputs.front().frames(), clip_groups, row);
    const std::size_t before = n_allocations();
    for (const SpeechInput& input : inputs) extractor.put(input.frames(), clip_groups, row);
    CHECK(n_allocations() == before);
  }

  TEST_CASE("every value has a name of its own") {
    for (const SpeechGroup group : clip_groups) {
      CAPTURE(to_name(group));
      const std::vector<std::string> names = clip_value_names(group);
      CHECK(static_cast<Index>(names.size()) == n_values(group));
      CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
    }
    CHECK(clip_value_names(prosody).empty());
  }
}

}  // namespace melgrad
