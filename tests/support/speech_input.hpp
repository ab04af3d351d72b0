#pragma once
// A clip as the groups of the `speech` set read it, computed plainly from its samples.

#include <vector>

#include "host/core/matrix.hpp"
#include "host/cpu/speech_frames.hpp"

namespace melgrad::testing {

struct SpeechInput {
  std::vector<float> samples;
  Matrix<float> mel, log_mel, mfcc;
  std::vector<float> rms_db;

  explicit SpeechInput(std::vector<float> samples_);  // at least a frame of 400
  SpeechFrames frames() const;
};

}  // namespace melgrad::testing
