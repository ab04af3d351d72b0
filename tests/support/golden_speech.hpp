#pragma once
// Small signals of integer arithmetic at 16 kHz, and the speech set's values of them in numpy:
// tests/golden/speech_clips.json, made by tools/golden/make_speech.py, which holds the same formulas.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad::testing {

// "speech": voiced and whispered syllables between silence; "noise": white; "click": one sample; "silence".
std::vector<std::int16_t> speech_signal(const std::string& kind, Index n_samples, std::uint32_t seed);

struct GoldenSpeech {
  std::string name;  // for messages: "speech 38400"
  std::vector<std::int16_t> samples;
  std::map<std::string, std::vector<double>> groups;  // values of samples / 32768
};

std::vector<GoldenSpeech> golden_speech();

}  // namespace melgrad::testing
