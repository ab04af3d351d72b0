#include "host/cpu/speech_features.hpp"

#include <algorithm>
#include <cassert>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/cpu/aligned.hpp"
#include "host/cpu/speech_clip_groups.hpp"
#include "host/cpu/speech_frames.hpp"
#include "host/cpu/speech_tracks.hpp"
#include "host/features/speech_trim.hpp"

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// A worker: one clip after another on its way to a row.
class SpeechWorker {
 public:
  explicit SpeechWorker(const SpeechTables& tables) : tables_(tables) {}

  // Clip i of the batch.
  void read(const WaveformBatch& batch, Index clip) {
    const Index n_samples = batch.length(clip);
    if (n_samples == 0) fail("clip {} of the batch has no samples", clip);
    const float* const samples = copy_samples(batch, clip, n_samples);
    const SampleBlocks blocks = sum_blocks(samples, n_samples);
    const SpeechCut cut = cut_silence(blocks, n_samples);
    Index length = cut.end - cut.begin;
    if (length < SpeechFrames::win_length) length += SpeechFrames::win_length;
    tracks_.compute(tables_, blocks, cut.begin / SampleBlocks::size, length);
    const auto seconds = [](Index n) { return static_cast<double>(n) / SpeechFrames::sample_rate; };
    frames_.samples = {samples + cut.begin, at(length)};
    frames_.full_s = seconds(n_samples);
    frames_.lead_s = seconds(cut.begin);
    frames_.trail_s = seconds(n_samples - cut.end);
    frames_.mel = tracks_.mel.view();
    frames_.log_mel = tracks_.log_mel.view();
    frames_.mfcc = tracks_.mfcc.view();
    frames_.rms_db = tracks_.shape.view().row(static_cast<Index>(SpectralShape::rms_db));
  }

  // row [n_features]
  void put_row(std::span<float> row) {
    const SpeechPlan& plan = *tables_.plan.speech;
    for (std::size_t i = 0; i < plan.groups.size(); ++i)
      if (const TrackRows* tracks = tracks_of(plan.groups[i]))
        put_mean_and_std(tables_.kernels, *tracks, row.data() + plan.first_feature[i]);
    if (std::ranges::any_of(plan.groups, is_clip_group)) clip_groups_.put(frames_, plan.groups, row);
  }

  std::vector<FrameTrack> tracks() const {
    return {{"mfcc", dense(tracks_.mfcc)},
            {"log_mel", dense(tracks_.log_mel)},
            {"contrast", dense(tracks_.contrast)},
            {"shape", dense(tracks_.shape)}};
  }

 private:
  // Null for a group that is not of statistics over frames.
  const TrackRows* tracks_of(SpeechGroup group) const {
    switch (group) {
      case SpeechGroup::mfcc:
        return &tracks_.mfcc;
      case SpeechGroup::mfcc_delta:
        return &tracks_.mfcc_slopes;
      case SpeechGroup::mfcc_delta2:
        return &tracks_.mfcc_curvatures;
      case SpeechGroup::log_mel:
        return &tracks_.log_mel;
      case SpeechGroup::contrast:
        return &tracks_.contrast;
      case SpeechGroup::shape:
        return &tracks_.shape;
      case SpeechGroup::shape_delta:
        return &tracks_.shape_slopes;
      default:
        return nullptr;
    }
  }

  static constexpr Index samples_before = 32;  // zeros

  static Matrix<float> dense(const TrackRows& tracks) {
    const MatrixView<float> view = tracks.view();
    Matrix<float> values(view.rows, view.cols);
    for (Index row = 0; row < view.rows; ++row) std::ranges::copy(view.row(row), values.row(row).begin());
    return values;
  }

  // The clip between zeros.
  const float* copy_samples(const WaveformBatch& batch, Index clip, Index n_samples) {
    const Index behind = 2 * SpeechFrames::win_length + SpeechTracks::samples_behind(tables_);
    samples_.require(at(samples_before + n_samples + behind));
    float* const samples = samples_.data() + samples_before;
    std::fill_n(samples_.data(), samples_before, 0.0f);
    const Index first = batch.offsets[at(clip)];
    if (const auto* int16 = std::get_if<std::span<const std::int16_t>>(&batch.samples))
      tables_.kernels.to_float(int16->data() + first, n_samples, samples);
    else
      std::copy_n(std::get<std::span<const float>>(batch.samples).data() + first, n_samples, samples);
    std::fill_n(samples + n_samples, behind, 0.0f);
    return samples;
  }

  SampleBlocks sum_blocks(const float* samples, Index n_samples) {
    // Up to a frame that begins at the clip's end.
    const Index n_blocks = n_samples / SampleBlocks::size + SampleBlocks::in_frame + 1;
    squares_.resize(at(n_blocks));
    sign_changes_.resize(at(n_blocks));
    tables_.kernels.sum_blocks(samples, n_blocks, squares_.data(), sign_changes_.data());
    return {samples, squares_, sign_changes_};
  }

  const SpeechTables& tables_;
  AlignedArray<float> samples_;
  std::vector<float> squares_;
  std::vector<int> sign_changes_;
  SpeechTracks tracks_;
  SpeechFrames frames_;
  SpeechClipGroups clip_groups_;
};

class SpeechFeatureExtractor final : public FeatureExtractor {
 public:
  SpeechFeatureExtractor(std::shared_ptr<const SpeechTables> tables, int n_threads)
      : tables_(std::move(tables)) {
    for (int i = 0; i < n_threads; ++i) workers_.push_back(std::make_unique<SpeechWorker>(*tables_));
  }

  std::unique_ptr<FeatureExtractor> for_another_thread() const override {
    return std::make_unique<SpeechFeatureExtractor>(tables_, 1);
  }

  void extract(const WaveformBatch& batch, MatrixView<float> rows) override {
    assert(rows.rows == batch.n_clips() && rows.cols == tables_->plan.n_features);
    for_each_clip(batch, [&](Index clip, SpeechWorker& worker) { worker.put_row(rows.row(clip)); });
  }

  std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch& batch) override {
    std::vector<std::vector<FrameTrack>> tracks(at(batch.n_clips()));
    for_each_clip(batch, [&](Index clip, SpeechWorker& worker) { tracks[at(clip)] = worker.tracks(); });
    return tracks;
  }

 private:
  // Calls body(clip, worker) for every clip of the batch, read.
  template <class Body>
  void for_each_clip(const WaveformBatch& batch, const Body& body) {
    assert(batch.n_clips() == 0 || batch.sample_rate == tables_->plan.sample_rate);
    const auto of_clip = [&](Index clip, int thread) {
      SpeechWorker& worker = *workers_[at(thread)];
      worker.read(batch, clip);
      body(clip, worker);
    };
    parallel_for(batch.n_clips(), static_cast<int>(workers_.size()), std::cref(of_clip));
  }

  std::shared_ptr<const SpeechTables> tables_;
  std::vector<std::unique_ptr<SpeechWorker>> workers_;  // [n_threads]
};

}  // namespace

std::unique_ptr<FeatureExtractor> make_speech_feature_extractor(const FeaturePlan& plan, int n_threads) {
  return std::make_unique<SpeechFeatureExtractor>(std::make_shared<const SpeechTables>(plan), n_threads);
}

}  // namespace melgrad
