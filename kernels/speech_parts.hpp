#pragma once
// Cuts a batch of speech into parts that fit the device, without the silence around clips, and prepares a
// part's upload.

#include <cstddef>
#include <vector>

#include "host/core/waveform_batch.hpp"
#include "host/features/feature_plan.hpp"
#include "kernels/speech_layout.hpp"

namespace melgrad::MELGRAD_KERNELS {

// A clip of the batch without the silence around it.
struct CutClip {
  Index clip = 0;
  SpeechCut cut;
  Index n_samples = 0;  // of the whole clip
  Index length = 0;     // of what is left, with zeros behind a clip that is shorter than a frame
  Index n_frames = 0;
};

// Clips [first, end) of the batch, which are computed together.
struct SpeechPartSize {
  Index first = 0, end = 0;
  Index n_rows = 0, n_chunks = 0;
  std::size_t sample_bytes = 0;

  Index n_clips() const { return end - first; }
  Index n_pitches() const { return n_rows + speech::frames_behind * n_clips(); }
};

// Where the arrays of a part begin in device memory, in bytes. The first are uploaded.
struct SpeechPartLayout {
  std::size_t clips, chunks, samples, uploaded;
  std::size_t tracks[speech::n_tracks];
  std::size_t rms_db, loudest, lags, periodicity, smooth_lags, voiced, features;
  std::size_t end;
};

class SpeechPartPlanner {
 public:
  // The plan stays; its groups are n_groups at most.
  explicit SpeechPartPlanner(const FeaturePlan& plan);

  // Finds where the clips of the batch begin and end. Throws Error for a clip without samples.
  void cut_silence(const WaveformBatch& batch);
  const std::vector<CutClip>& clips() const { return clips_; }

  // Clips from `first` on, as many as part_bytes of device memory hold and sample_bytes of samples, or one.
  // Throws Error for a clip that alone needs more memory.
  SpeechPartSize part_from(Index first, const WaveformBatch& batch, std::size_t part_bytes,
                           std::size_t sample_bytes) const;
  SpeechPartLayout layout(const SpeechPartSize& part) const;

  // Writes what the host prepares of a part: tasks, and samples between zeros.
  void stage(const WaveformBatch& batch, const SpeechPartSize& part, const SpeechPartLayout& layout,
             std::byte* to) const;
  speech::Part device_part(const WaveformBatch& batch, const SpeechPartSize& part,
                           const SpeechPartLayout& layout, std::byte* memory) const;

 private:
  const FeaturePlan& plan_;
  std::vector<CutClip> clips_;
  std::vector<float> squares_;  // of blocks of samples
};

}  // namespace melgrad::MELGRAD_KERNELS
