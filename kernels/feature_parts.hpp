#pragma once
// A batch is computed part by part, each some whole clips: what a part needs in device memory, where it lies,
// and how a batch is cut.

#include <cstddef>
#include <span>
#include <vector>

#include "host/core/waveform_batch.hpp"
#include "host/features/feature_plan.hpp"
#include "kernels/device_feature_tables.hpp"

namespace melgrad::MELGRAD_KERNELS {

// What of the batch, and how much of everything.
struct PartSize {
  Index first_clip = 0, n_clips = 0;
  Index n_chunks = 0, n_rows = 0;
  std::size_t sample_bytes = 0;
};

// Where a part's arrays begin in its slot's device memory, in bytes. Those up to `uploaded` are prepared by
// the host, those from `downloaded` on come back.
struct PartLayout {
  std::size_t clips, chunks, samples, uploaded;
  std::size_t loudest_db, tunings, n_peaks, peaks, sums, statistics, clip_sums, db, db_greatest, magnitudes;
  std::size_t downloaded;  // features or tracks
  std::size_t end;
};

class PartPlanner {
 public:
  PartPlanner(const FeaturePlan& plan, const DeviceFeatureTables& tables, bool keeps_magnitudes);

  // Cuts a batch into parts of at most slot_bytes of device memory each and about part_bytes of samples.
  // Throws Error for a clip without a frame, and for one that alone needs more.
  void cut(const WaveformBatch& batch, bool with_tracks, std::size_t slot_bytes, std::size_t part_bytes,
           std::vector<PartSize>& parts) const;
  PartLayout layout(const PartSize& part, bool with_tracks) const;
  std::size_t result_bytes(const PartSize& part, bool with_tracks) const;

  // Writes what the host prepares of a part: tasks, and padded samples.
  void stage(const WaveformBatch& batch, const PartSize& part, const PartLayout& layout, std::byte* to) const;
  Part device_part(const WaveformBatch& batch, const PartSize& part, const PartLayout& layout,
                   bool with_tracks, std::byte* memory) const;

 private:
  PartSize clip_size(const WaveformBatch& batch, Index clip) const;

  const FeaturePlan& plan_;
  const DeviceFeatureTables& tables_;
  Index padding_;  // samples on either side
  int magnitude_words_;
};

}  // namespace melgrad::MELGRAD_KERNELS
