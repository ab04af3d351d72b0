#include "kernels/feature_parts.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <variant>

#include "host/core/error.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

constexpr std::size_t alignment = 256;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

std::size_t aligned(std::size_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

std::size_t sample_size(const WaveformBatch& batch) {
  return std::holds_alternative<std::span<const std::int16_t>>(batch.samples) ? sizeof(std::int16_t)
                                                                              : sizeof(float);
}

// A clip with `padding` samples on either side, as numpy.pad.
template <class Sample>
void copy_padded(std::span<const Sample> clip, Index padding, PadMode pad_mode, Sample* to) {
  const Index n = static_cast<Index>(clip.size());
  const auto pad = [&](Index first, Index count, Sample* out) {
    for (Index i = 0; i < count; ++i) {
      const Index from = padded_sample(first + i, n, pad_mode);
      out[i] = from < 0 ? Sample{0} : clip[at(from)];
    }
  };
  pad(-padding, padding, to);
  std::copy(clip.begin(), clip.end(), to + padding);
  pad(n, padding, to + padding + n);
}

}  // namespace

PartPlanner::PartPlanner(const FeaturePlan& plan, const DeviceFeatureTables& tables, bool keeps_magnitudes)
    : plan_(plan),
      tables_(tables),
      padding_(plan.spec.stft.center ? plan.spec.stft.n_fft / 2 : 0),
      magnitude_words_(keeps_magnitudes ? ((plan.n_bins + 1) / 2 + 7) / 8 * 8 : 0) {}

PartSize PartPlanner::clip_size(const WaveformBatch& batch, Index clip) const {
  PartSize size;
  const Index n_samples = batch.length(clip);
  size.first_clip = clip;
  size.n_clips = 1;
  size.n_rows = n_samples == 0 ? 0 : plan_.n_frames(n_samples);
  if (size.n_rows == 0)
    fail("clip {} of the batch: {} samples are too short for a frame of {}", clip, n_samples,
         plan_.spec.stft.n_fft);
  size.n_chunks = (size.n_rows + tables_.frames_of_chunk() - 1) / tables_.frames_of_chunk();
  size.sample_bytes = aligned(at(n_samples + 2 * padding_) * sample_size(batch));
  return size;
}

void PartPlanner::cut(const WaveformBatch& batch, bool with_tracks, std::size_t slot_bytes,
                      std::size_t part_bytes, std::vector<PartSize>& parts) const {
  parts.clear();
  for (Index clip = 0; clip < batch.n_clips(); ++clip) {
    const PartSize size = clip_size(batch, clip);
    PartSize joined = size;
    if (!parts.empty()) {
      const PartSize& last = parts.back();
      joined = {last.first_clip, last.n_clips + 1, last.n_chunks + size.n_chunks, last.n_rows + size.n_rows,
                last.sample_bytes + size.sample_bytes};
    }
    if (!parts.empty() && joined.sample_bytes <= part_bytes &&
        layout(joined, with_tracks).end <= slot_bytes) {
      parts.back() = joined;
      continue;
    }
    const std::size_t needed = layout(size, with_tracks).end;
    if (needed > slot_bytes)
      fail(
          "clip {} of the batch: its {} samples need {} bytes of device memory, over the {} bytes that a "
          "part "
          "of a batch may have",
          clip, batch.length(clip), needed, slot_bytes);
    if (size.n_chunks > std::numeric_limits<int>::max())
      fail("clip {} of the batch: {} frames are too many", clip, size.n_rows);
    parts.push_back(size);
  }
}

std::size_t PartPlanner::result_bytes(const PartSize& part, bool with_tracks) const {
  const Index n_values = with_tracks ? part.n_rows * tables_.n_track_rows() : part.n_clips * plan_.n_features;
  return at(n_values) * sizeof(float);
}

PartLayout PartPlanner::layout(const PartSize& part, bool with_tracks) const {
  const FeatureTables& tables = tables_.tables(with_tracks);
  PartLayout layout;
  std::size_t end = 0;
  const auto take = [&](Index count, std::size_t size) {
    const std::size_t begin = end;
    end = aligned(end + at(count) * size);
    return begin;
  };
  layout.clips = take(part.n_clips, sizeof(ClipTask));
  layout.chunks = take(part.n_chunks, sizeof(ChunkTask));
  layout.samples = take(1, part.sample_bytes);
  layout.uploaded = end;
  layout.loudest_db = take(part.n_clips * tables.n_mfcc, sizeof(unsigned));
  layout.tunings = take(part.n_clips * tables.n_tunings, sizeof(int));
  layout.n_peaks = take(tables.n_tunings > 0 ? part.n_chunks * n_warps : 0, sizeof(int));
  layout.peaks = take(part.n_rows * tables.peaks.peaks_per_frame, sizeof(Peak));
  layout.sums = take(part.n_chunks * tables.n_sums, sizeof(float));
  layout.statistics = take(part.n_chunks * tables.n_statistics, sizeof(Statistics));
  layout.clip_sums = take(part.n_clips * tables.n_sums, sizeof(double));
  layout.db = take(part.n_rows * tables.n_db, tables.keeps_float_db ? sizeof(float) : sizeof(std::uint16_t));
  layout.db_greatest = take(part.n_rows * tables.n_db_slices, sizeof(float));
  layout.magnitudes = take(part.n_rows * magnitude_words_, sizeof(std::uint32_t));
  layout.downloaded = take(1, result_bytes(part, with_tracks));
  layout.end = end;
  return layout;
}

void PartPlanner::stage(const WaveformBatch& batch, const PartSize& part, const PartLayout& layout,
                        std::byte* to) const {
  auto* const clips = reinterpret_cast<ClipTask*>(to + layout.clips);
  auto* const chunks = reinterpret_cast<ChunkTask*>(to + layout.chunks);
  const Index frames_of_chunk = tables_.frames_of_chunk();
  Index row = 0, chunk = 0;
  std::size_t samples = 0;
  for (Index i = 0; i < part.n_clips; ++i) {
    const PartSize size = clip_size(batch, part.first_clip + i);
    clips[i] = {static_cast<std::int64_t>(samples), size.n_rows, row, static_cast<int>(chunk),
                static_cast<int>(size.n_chunks)};
    for (Index frame = 0; frame < size.n_rows; frame += frames_of_chunk)
      chunks[chunk++] = {frame * plan_.spec.stft.hop_length, row + frame,
                         static_cast<int>(std::min(frames_of_chunk, size.n_rows - frame)),
                         static_cast<int>(i)};
    std::byte* const begin = to + layout.samples + samples;
    std::visit(
        [&](const auto& all) {
          using Sample = std::remove_const_t<typename std::remove_cvref_t<decltype(all)>::element_type>;
          const auto first = at(batch.offsets[at(part.first_clip + i)]);
          copy_padded<Sample>(all.subspan(first, at(batch.length(part.first_clip + i))), padding_,
                              plan_.spec.stft.pad_mode, reinterpret_cast<Sample*>(begin));
        },
        batch.samples);
    row += size.n_rows;
    samples += size.sample_bytes;
  }
}

Part PartPlanner::device_part(const WaveformBatch& batch, const PartSize& part, const PartLayout& layout,
                              bool with_tracks, std::byte* memory) const {
  Part result{};
  result.samples = memory + layout.samples;
  result.chunks = reinterpret_cast<const ChunkTask*>(memory + layout.chunks);
  result.clips = reinterpret_cast<const ClipTask*>(memory + layout.clips);
  result.n_chunks = static_cast<int>(part.n_chunks);
  result.n_clips = static_cast<int>(part.n_clips);
  result.is_float = sample_size(batch) == sizeof(float);
  result.sums = reinterpret_cast<float*>(memory + layout.sums);
  result.statistics = reinterpret_cast<Statistics*>(memory + layout.statistics);
  result.db = memory + layout.db;
  result.db_greatest = reinterpret_cast<float*>(memory + layout.db_greatest);
  result.peaks = reinterpret_cast<Peak*>(memory + layout.peaks);
  result.n_peaks = reinterpret_cast<int*>(memory + layout.n_peaks);
  if (magnitude_words_ > 0) result.magnitudes = reinterpret_cast<std::uint32_t*>(memory + layout.magnitudes);
  result.magnitude_words = magnitude_words_;
  result.loudest_db = reinterpret_cast<unsigned*>(memory + layout.loudest_db);
  result.clip_sums = reinterpret_cast<double*>(memory + layout.clip_sums);
  result.tunings = reinterpret_cast<int*>(memory + layout.tunings);
  float* const results = reinterpret_cast<float*>(memory + layout.downloaded);
  (with_tracks ? result.tracks : result.features) = results;
  result.n_track_rows = tables_.n_track_rows();
  return result;
}

}  // namespace melgrad::MELGRAD_KERNELS
