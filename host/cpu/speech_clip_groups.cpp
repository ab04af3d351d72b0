#include "host/cpu/speech_clip_groups.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "host/cpu/speech_course.hpp"
#include "host/cpu/speech_loudness.hpp"
#include "host/cpu/speech_pitch.hpp"
#include "host/cpu/speech_prosody.hpp"
#include "host/cpu/speech_voice.hpp"

namespace melgrad {
namespace {

bool reads_pitch(SpeechGroup group) {
  using enum SpeechGroup;
  return is_clip_group(group) && group != thirds && group != modulation && group != mfcc_correlation;
}

bool reads_voice(SpeechGroup group) {
  return group == SpeechGroup::voice || group == SpeechGroup::eighths;
}

}  // namespace

SpeechClipGroups::SpeechClipGroups()
    : kernels_(speech_kernels()),
      long_frames_(kernels_.lanes, kernels_.fft_columns),
      finder_(kernels_, long_frames_),
      formants_(kernels_),
      spectra_(feature_kernels()) {}

void SpeechClipGroups::prepare(const SpeechFrames& frames, std::span<const SpeechGroup> groups) {
  contours_.db.assign(frames.rms_db.begin(), frames.rms_db.end());
  const double loudest = largest_of(contours_.db);
  contours_.relative_db.clear();
  for (const double db : contours_.db) contours_.relative_db.push_back(db - loudest);
  if (std::none_of(groups.begin(), groups.end(), reads_pitch)) return;
  pad_for_long_frames(frames.samples, padded_);
  finder_.find(padded_, frames.n_frames(), contours_.pitch);
  contours_.voiced_db.clear();
  for (const Index frame : contours_.pitch.voiced)
    contours_.voiced_db.push_back(contours_.db[static_cast<std::size_t>(frame)]);
  if (std::any_of(groups.begin(), groups.end(), reads_voice))
    measure_voice(kernels_, long_frames_, padded_, contours_);
}

void SpeechClipGroups::put(const SpeechFrames& frames, std::span<const SpeechGroup> groups,
                           std::span<float> row) {
  prepare(frames, groups);
  std::size_t first = 0;
  for (const SpeechGroup group : groups) {
    const auto n = static_cast<std::size_t>(n_values(group));
    if (is_clip_group(group)) put(group, frames, row.subspan(first, n));
    first += n;
  }
  assert(first == row.size());
}

void SpeechClipGroups::put(SpeechGroup group, const SpeechFrames& frames, std::span<float> values) {
  switch (group) {
    case SpeechGroup::prosody:
      return put_prosody(frames, finder_.rough(), contours_, scratch_, values);
    case SpeechGroup::pitch:
      return put_pitch(frames, contours_, spectra_, scratch_, values);
    case SpeechGroup::loudness:
      return put_loudness(kernels_, frames, contours_, scratch_, values);
    case SpeechGroup::voice:
      return put_voice(contours_, scratch_, values);
    case SpeechGroup::formants:
      return formants_.put_formants(frames, contours_, scratch_, values);
    case SpeechGroup::voiced_mfcc:
      return put_voiced_mfcc(frames, contours_, scratch_, values);
    case SpeechGroup::thirds:
      return put_thirds(frames, scratch_, values);
    case SpeechGroup::eighths:
      return put_eighths(contours_, scratch_, values);
    case SpeechGroup::modulation:
      return put_modulation(frames, contours_, spectra_, scratch_, values);
    case SpeechGroup::mfcc_correlation:
      return put_mfcc_correlation(frames, scratch_, values);
    default:
      assert(false && "not a clip group");
  }
}

}  // namespace melgrad
