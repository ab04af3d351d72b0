#pragma once
// Resonances of the vocal tract: linear prediction of order 10 at 10 kHz over the voiced frames.

#include <span>
#include <vector>

#include "host/cpu/aligned.hpp"
#include "host/cpu/speech_contours.hpp"
#include "host/cpu/speech_kernels.hpp"

namespace melgrad {

// The first three formants of a frame.
struct Formants {
  std::array<double, 3> hz;
  std::array<double, 3> bandwidth_hz;
};

// Keeps its memory from clip to clip.
class FormantAnalyser {
 public:
  explicit FormantAnalyser(const SpeechKernels& kernels);

  // 38 values: a summary of each of log F1 to F3 and log B1 to B3 (bandwidths taken into 30 to 700 Hz), their
  // means weighted by amplitude, medians of log F2/F1 and log F3/F2. A clip with fewer than three frames with
  // three formants has those of a neutral vowel (500, 1500, 2500 Hz).
  void put_formants(const SpeechFrames& frames, const SpeechContours& contours, SpeechScratch& scratch,
                    std::span<float> out);

 private:
  void find_formants(const SpeechFrames& frames, std::span<const Index> voiced);
  // Of at most root_lanes voiced frames.
  void fill_tile(std::span<const Index> voiced);
  void resample(std::span<const float> samples);

  SpeechKernels kernels_;
  std::vector<double> window_;  // Hamming
  std::vector<float> padded_;
  std::vector<float> samples_;  // at 10 kHz, pre-emphasised
  // Of root_lanes frames: windowed samples [256 + 10], their autocorrelation [11], predictors [11], roots
  // [10].
  AlignedArray<double> tile_, sums_, polynomials_, re_, im_;
  std::vector<Formants> formants_;
  std::vector<Index> frames_;  // whose formants they are
};

}  // namespace melgrad
