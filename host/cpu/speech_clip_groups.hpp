#pragma once
// The groups `prosody` to `mfcc_correlation` of the `speech` set on the CPU. What several groups read (pitch
// track, measures of the voice) is computed once a clip, and only for a group that asks for it.

#include <span>
#include <vector>

#include "host/cpu/course_spectra.hpp"
#include "host/cpu/pitch_path.hpp"
#include "host/cpu/speech_contours.hpp"
#include "host/cpu/speech_formants.hpp"
#include "host/cpu/speech_frames.hpp"
#include "host/cpu/speech_kernels.hpp"
#include "host/features/speech_groups.hpp"

namespace melgrad {

// Groups from `prosody` on.
constexpr bool is_clip_group(SpeechGroup group) {
  return group >= SpeechGroup::prosody;
}

// For one thread; allocates nothing after the longest clip.
class SpeechClipGroups {
 public:
  SpeechClipGroups();

  // Writes the values of each clip group among `groups` to its place in the row [sum of n_values(group)];
  // others are skipped. Every value is finite, whatever the clip.
  void put(const SpeechFrames& frames, std::span<const SpeechGroup> groups, std::span<float> row);

 private:
  void prepare(const SpeechFrames& frames, std::span<const SpeechGroup> groups);
  void put(SpeechGroup group, const SpeechFrames& frames, std::span<float> values);

  SpeechKernels kernels_;
  LongFrames long_frames_;
  PitchFinder finder_;
  FormantAnalyser formants_;
  CourseSpectra spectra_;
  SpeechContours contours_;
  SpeechScratch scratch_;
  std::vector<float> padded_;
};

}  // namespace melgrad
