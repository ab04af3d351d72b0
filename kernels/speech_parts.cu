#include "kernels/speech_parts.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <span>
#include <type_traits>
#include <variant>

#include "host/core/error.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

constexpr std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

std::size_t sample_size(const WaveformBatch& batch) {
  return std::holds_alternative<std::span<const std::int16_t>>(batch.samples) ? sizeof(std::int16_t)
                                                                              : sizeof(float);
}

// Calls use(samples) with those of a clip, of either kind.
template <class Use>
void visit_clip(const WaveformBatch& batch, Index clip, const Use& use) {
  std::visit([&](const auto& all) { use(all.subspan(at(batch.offsets[at(clip)]), at(batch.length(clip)))); },
             batch.samples);
}

// The sum of squares of each block of a clip, and of blocks of zeros behind it.
template <class Sample>
void sum_blocks(std::span<const Sample> samples, std::vector<float>& squares) {
  constexpr float scale = std::is_same_v<Sample, float> ? 1.0f : 1.0f / 32768;
  constexpr std::size_t size = at(SampleBlocks::size), lanes = 8;  // which the compiler adds side by side
  static_assert(size % lanes == 0);
  squares.assign(samples.size() / size + at(SampleBlocks::in_frame) + 1, 0.0f);
  for (std::size_t block = 0; block * size < samples.size(); ++block) {
    const auto part = samples.subspan(block * size, std::min(size, samples.size() - block * size));
    float sums[lanes] = {};
    for (std::size_t i = 0; i < part.size(); ++i) {
      const float x = scale * static_cast<float>(part[i]);
      sums[i % lanes] += x * x;
    }
    for (const float sum : sums) squares[block] += sum;
  }
}

// With zeros before and behind; in whole 128 bytes of samples of either kind.
Index padded_samples(const CutClip& clip) {
  return (clip.length + speech::padding_before + speech::padding_behind + 63) / 64 * 64;
}
Index n_chunks(const CutClip& clip) {
  return (clip.n_frames + speech::chunk_frames - 1) / speech::chunk_frames;
}

}  // namespace

SpeechPartPlanner::SpeechPartPlanner(const FeaturePlan& plan) : plan_(plan) {
  assert(plan.spec.stft.n_fft == speech::n_fft && plan.spec.stft.win_length == speech::win_length &&
         plan.spec.stft.hop_length == speech::hop_length && plan.sample_rate == speech::sample_rate);
}

void SpeechPartPlanner::cut_silence(const WaveformBatch& batch) {
  clips_.clear();
  for (Index clip = 0; clip < batch.n_clips(); ++clip) {
    CutClip& made = clips_.emplace_back();
    made.clip = clip;
    made.n_samples = batch.length(clip);
    if (made.n_samples == 0) fail("clip {} of the batch has no samples", clip);
    visit_clip(batch, clip, [&](const auto& samples) { sum_blocks(samples, squares_); });
    made.cut = melgrad::cut_silence({nullptr, squares_, {}}, made.n_samples);
    made.length = made.cut.end - made.cut.begin;
    if (made.length < speech::win_length) made.length += speech::win_length;
    made.n_frames = plan_.n_frames(made.length);
    if (made.n_frames > std::numeric_limits<int>::max())
      fail("clip {} of the batch: {} frames are too many", clip, made.n_frames);
  }
}

SpeechPartSize SpeechPartPlanner::part_from(Index first, const WaveformBatch& batch, std::size_t part_bytes,
                                            std::size_t sample_bytes) const {
  SpeechPartSize part;
  part.first = part.end = first;
  while (part.end < static_cast<Index>(clips_.size())) {
    const CutClip& clip = clips_[at(part.end)];
    SpeechPartSize more = part;
    ++more.end;
    more.n_rows += clip.n_frames;
    more.n_chunks += n_chunks(clip);
    more.sample_bytes += at(padded_samples(clip)) * sample_size(batch);
    const std::size_t needed = layout(more).end;
    const bool fits = needed <= part_bytes && more.n_chunks <= std::numeric_limits<int>::max() / 64;
    if (part.end > first && (!fits || more.sample_bytes > sample_bytes)) break;
    if (!fits)
      fail(
          "clip {} of the batch: its {} samples need {} bytes of device memory, over the {} bytes that a "
          "part of a batch may have",
          clip.clip, clip.n_samples, needed, part_bytes);
    part = more;
  }
  return part;
}

SpeechPartLayout SpeechPartPlanner::layout(const SpeechPartSize& part) const {
  SpeechPartLayout layout;
  std::size_t end = 0;
  const auto take = [&](Index count, std::size_t size) {
    const std::size_t begin = end;
    end = (end + at(count) * size + 255) / 256 * 256;
    return begin;
  };
  layout.clips = take(part.n_clips(), sizeof(speech::Clip));
  layout.chunks = take(part.n_chunks, sizeof(speech::Chunk));
  layout.samples = take(1, part.sample_bytes);
  layout.uploaded = end;
  for (int group = 0; group < speech::n_tracks; ++group)
    layout.tracks[group] = take(part.n_rows * speech::track_values(group), sizeof(float));
  layout.rms_db = take(part.n_rows, sizeof(float));
  layout.loudest = take(part.n_clips(), sizeof(unsigned));
  layout.lags = take(part.n_pitches(), sizeof(int));
  layout.periodicity = take(part.n_pitches(), sizeof(float));
  layout.smooth_lags = take(part.n_rows, sizeof(int));
  layout.voiced = take(part.n_rows, sizeof(int));
  layout.features = take(part.n_clips() * plan_.n_features, sizeof(float));
  layout.end = end;
  return layout;
}

void SpeechPartPlanner::stage(const WaveformBatch& batch, const SpeechPartSize& part,
                              const SpeechPartLayout& layout, std::byte* to) const {
  auto* const clips = reinterpret_cast<speech::Clip*>(to + layout.clips);
  auto* const chunks = reinterpret_cast<speech::Chunk*>(to + layout.chunks);
  const auto seconds = [](Index n) { return static_cast<double>(n) / speech::sample_rate; };
  Index sample = 0, row = 0, chunk = 0;
  for (Index i = 0; i < part.n_clips(); ++i) {
    const CutClip& clip = clips_[at(part.first + i)];
    // Frames of 40 ms that begin in the clip.
    const Index n_long_frames = (clip.length + speech::pitch_before) / speech::hop_length + 1;
    clips[i] = {sample,
                row,
                static_cast<int>(clip.n_frames),
                n_long_frames > 5,
                seconds(clip.n_samples),
                seconds(clip.cut.begin),
                seconds(clip.n_samples - clip.cut.end)};
    for (Index first = 0; first < clip.n_frames; first += speech::chunk_frames) {
      const Index n = std::min<Index>(speech::chunk_frames, clip.n_frames - first);
      const Index n_behind = first + n == clip.n_frames ? speech::frames_behind : 0;
      chunks[chunk++] = {static_cast<int>(i), static_cast<int>(first), static_cast<int>(n),
                         static_cast<int>(n + n_behind)};
    }
    visit_clip(batch, clip.clip, [&](const auto& samples) {
      using Sample = std::remove_const_t<typename std::remove_cvref_t<decltype(samples)>::element_type>;
      const auto kept = samples.subspan(at(clip.cut.begin), at(clip.cut.end - clip.cut.begin));
      Sample* const begin = reinterpret_cast<Sample*>(to + layout.samples) + sample;
      Sample* const first = std::fill_n(begin, speech::padding_before, Sample{0});
      Sample* const last = std::copy(kept.begin(), kept.end(), first);
      std::fill(last, begin + padded_samples(clip), Sample{0});
    });
    sample += padded_samples(clip);
    row += clip.n_frames;
  }
}

speech::Part SpeechPartPlanner::device_part(const WaveformBatch& batch, const SpeechPartSize& part,
                                            const SpeechPartLayout& layout, std::byte* memory) const {
  speech::Part result{};
  result.samples = memory + layout.samples;
  result.is_float = sample_size(batch) == sizeof(float);
  result.clips = reinterpret_cast<const speech::Clip*>(memory + layout.clips);
  result.chunks = reinterpret_cast<const speech::Chunk*>(memory + layout.chunks);
  result.n_clips = static_cast<int>(part.n_clips());
  result.n_chunks = static_cast<int>(part.n_chunks);
  for (int group = 0; group < speech::n_tracks; ++group)
    result.tracks[group] = reinterpret_cast<float*>(memory + layout.tracks[group]);
  result.rms_db = reinterpret_cast<float*>(memory + layout.rms_db);
  result.loudest = reinterpret_cast<unsigned*>(memory + layout.loudest);
  result.lags = reinterpret_cast<int*>(memory + layout.lags);
  result.periodicity = reinterpret_cast<float*>(memory + layout.periodicity);
  result.smooth_lags = reinterpret_cast<int*>(memory + layout.smooth_lags);
  result.voiced = reinterpret_cast<int*>(memory + layout.voiced);
  result.features = reinterpret_cast<float*>(memory + layout.features);
  result.n_features = static_cast<int>(plan_.n_features);
  std::fill_n(result.first_feature, speech::n_groups, -1);
  const SpeechPlan& plan = *plan_.speech;
  for (std::size_t i = 0; i < plan.groups.size(); ++i)
    result.first_feature[static_cast<int>(plan.groups[i])] = static_cast<int>(plan.first_feature[i]);
  return result;
}

}  // namespace melgrad::MELGRAD_KERNELS
