#include "host/cpu/cpu_features.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>
#include <variant>

#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/cpu/feature_tables.hpp"

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// sums / n_frames are the mean spectrum that the bank is applied to.
void put_mel_means(const MelBank& bank, const double* sums, double n_frames, float* means) {
  for (int band = 0; band < bank.n_mels; ++band) {
    const double* const bin = sums + bank.first_bin[at(band)];
    double value = 0;
    for (int i = bank.offset[at(band)], k = 0; i < bank.offset[at(band + 1)]; ++i, ++k)
      value += static_cast<double>(bank.weights[at(i)]) * bin[k];
    means[band] = static_cast<float>(value / n_frames);
  }
}

// sums / n_frames are the mean dB of each band.
void put_mfcc_means(const Matrix<float>& dct, const double* sums, double n_frames, float* means) {
  for (Index c = 0; c < dct.rows; ++c) {
    double value = 0;
    for (Index band = 0; band < dct.cols; ++band) value += static_cast<double>(dct(c, band)) * sums[band];
    means[c] = static_cast<float>(value / n_frames);
  }
}

class CpuFeatureExtractor final : public FeatureExtractor {
 public:
  CpuFeatureExtractor(const FeaturePlan& plan, int n_threads, std::size_t kept_bytes)
      : CpuFeatureExtractor(std::make_shared<const FeatureTables>(plan, feature_kernels()), n_threads,
                            kept_bytes) {}
  CpuFeatureExtractor(std::shared_ptr<const FeatureTables> tables, int n_threads, std::size_t kept_bytes)
      : tables_(std::move(tables)), workspaces_(at(n_threads)), kept_bytes_(kept_bytes) {}

  std::unique_ptr<FeatureExtractor> for_another_thread() const override {
    return std::make_unique<CpuFeatureExtractor>(tables_, 1, kept_bytes_);
  }

  void extract(const WaveformBatch& batch, MatrixView<float> rows) override {
    assert(rows.rows == batch.n_clips() && rows.cols == tables_->plan.n_features);
    for_each_clip(batch, [&](Index clip, ClipTask& task, Workspace& workspace) {
      tables_->kernels.extract_clip(*tables_, workspace, task);
      put_row(workspace, static_cast<double>(task.n_frames), rows.row(clip).data());
    });
  }

  std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch& batch) override {
    std::vector<std::vector<FrameTrack>> tracks(at(batch.n_clips()));
    for_each_clip(batch, [&](Index clip, ClipTask& task, Workspace& workspace) {
      for (const DescriptorPlan& descriptor : tables_->plan.descriptors)
        tracks[at(clip)].push_back({descriptor.name, Matrix<float>(descriptor.n_values, task.n_frames)});
      task.tracks = tracks[at(clip)].data();
      tables_->kernels.extract_clip(*tables_, workspace, task);
    });
    return tracks;
  }

 private:
  // Calls body(clip, task, workspace) for every clip of the batch.
  template <class Body>
  void for_each_clip(const WaveformBatch& batch, const Body& body) {
    assert(batch.n_clips() == 0 || batch.sample_rate == tables_->plan.sample_rate);
    const int n_threads =
        static_cast<int>(std::clamp<Index>(batch.n_clips(), 1, static_cast<Index>(workspaces_.size())));
    const auto of_clip = [&](Index clip, int worker) {
      Workspace& workspace = workspaces_[at(worker)];
      ClipTask task;
      const Index first = batch.offsets[at(clip)];
      if (const auto* int16 = std::get_if<std::span<const std::int16_t>>(&batch.samples))
        task.int16_samples = int16->data() + first;
      else
        task.float_samples = std::get<std::span<const float>>(batch.samples).data() + first;
      task.n_samples = batch.length(clip);
      task.n_frames = task.n_samples == 0 ? 0 : tables_->plan.n_frames(task.n_samples);
      if (task.n_frames == 0)
        fail("clip {} of the batch: {} samples are too short for a frame of {}", clip, task.n_samples,
             tables_->plan.spec.stft.n_fft);
      workspace.prepare(*tables_, task.n_frames, kept_bytes_);
      body(clip, task, workspace);
    };
    parallel_for(batch.n_clips(), n_threads, std::cref(of_clip));
  }

  void put_row(const Workspace& workspace, double n_frames, float* row) const {
    for (const DescriptorTable& table : tables_->descriptors) {
      float* const features = row + table.plan->first_feature;
      if (table.per_frame)
        put_statistics(table, workspace.statistics.data() + table.statistics_offset, n_frames, features);
      else
        put_means(table, workspace.sums.data(), n_frames, features);
    }
  }

  void put_means(const DescriptorTable& table, const double* sums, double n_frames, float* means) const {
    if (table.mel != nullptr)
      put_mel_means(
          table.mel->bank,
          sums + (table.mel->spec.power == 1 ? tables_->magnitude_sum_offset : tables_->power_sum_offset),
          n_frames, means);
    else if (table.mfcc != nullptr)
      put_mfcc_means(table.mfcc->dct, sums + table.sum_offset, n_frames, means);
    else
      for (Index i = 0; i < table.plan->n_values; ++i)
        means[i] = static_cast<float>(sums[table.sum_offset + at(i)] / n_frames);
  }

  static void put_statistics(const DescriptorTable& table, const FrameStatistics* statistics, double n_frames,
                             float* features) {
    const Index n_values = table.plan->n_values;
    for (Index i = 0; i < n_values; ++i) {
      const FrameStatistics& s = statistics[i];
      const double shifted_mean = s.sum / n_frames;
      const double variance = std::max(0.0, s.sum_of_squares / n_frames - shifted_mean * shifted_mean);
      if (table.places.mean >= 0)
        features[table.places.mean * n_values + i] = static_cast<float>(s.shift + shifted_mean);
      if (table.places.std >= 0)
        features[table.places.std * n_values + i] = static_cast<float>(std::sqrt(variance));
    }
  }

  std::shared_ptr<const FeatureTables> tables_;
  std::vector<Workspace> workspaces_;  // [n_threads]
  std::size_t kept_bytes_;
};

}  // namespace

std::unique_ptr<FeatureExtractor> make_cpu_feature_extractor(const FeaturePlan& plan, int n_threads,
                                                             std::size_t kept_bytes) {
  return std::make_unique<CpuFeatureExtractor>(plan, n_threads, kept_bytes);
}

}  // namespace melgrad
