#pragma once
// An engine for tests of everything around engines: a cheap, exact stand-in for features that counts what it
// is given, and fails where it is told to.

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/progress.hpp"
#include "host/engine/engine.hpp"

namespace melgrad::test {

// What the engine was asked for.
struct FakeEngineLog {
  std::vector<int> extractor_rates;
  std::vector<int> batch_rates;
  std::vector<Index> batch_clips;
  Index n_clips = 0;
  Index fail_after = -1;         // extract() throws once it has seen so many clips; -1: never
  std::int16_t nan_marker = -1;  // a clip whose first sample is this gets a NaN
};

// Feature j of a clip: sample_rate + the sum of its samples i with i % n_features == j.
// Those for other threads keep no log.
class FakeExtractor final : public FeatureExtractor {
 public:
  FakeExtractor(int sample_rate, Index n_features, FakeEngineLog* log, bool lends_to_threads)
      : sample_rate_(sample_rate), n_features_(n_features), log_(log), lends_to_threads_(lends_to_threads) {}

  std::unique_ptr<FeatureExtractor> for_another_thread() const override {
    if (!lends_to_threads_) return nullptr;
    return std::make_unique<FakeExtractor>(sample_rate_, n_features_, nullptr, true);
  }

  void extract(const WaveformBatch& batch, MatrixView<float> rows) override {
    if (batch.sample_rate != sample_rate_)
      fail("a batch of {} Hz for {} Hz", batch.sample_rate, sample_rate_);
    if (rows.cols != n_features_ || rows.rows != batch.n_clips()) fail("rows of the wrong shape");
    if (log_ != nullptr) {
      log_->batch_rates.push_back(batch.sample_rate);
      log_->batch_clips.push_back(batch.n_clips());
    }
    for (Index clip = 0; clip < batch.n_clips(); ++clip) {
      if (log_ != nullptr && log_->n_clips++ == log_->fail_after) fail("the engine is out of order");
      std::visit([&](auto samples) { extract_clip(samples, batch, clip, rows.row(clip)); }, batch.samples);
    }
  }
  std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch&) override {
    fail("the fake engine has no tracks");
  }

 private:
  template <class T>
  void extract_clip(std::span<const T> samples, const WaveformBatch& batch, Index clip,
                    std::span<float> row) const {
    std::vector<double> sums(row.size(), sample_rate_);
    const Index begin = batch.offsets[static_cast<std::size_t>(clip)];
    for (Index i = 0; i < batch.length(clip); ++i)
      sums[static_cast<std::size_t>(i % n_features_)] +=
          static_cast<double>(samples[static_cast<std::size_t>(begin + i)]);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = static_cast<float>(sums[j]);
    if (log_ != nullptr && log_->nan_marker != -1 &&
        static_cast<double>(samples[static_cast<std::size_t>(begin)]) == log_->nan_marker)
      row[0] = std::numeric_limits<float>::quiet_NaN();
  }

  int sample_rate_;
  Index n_features_;
  FakeEngineLog* log_;
  bool lends_to_threads_;
};

class FakeEngine final : public Engine {
 public:
  FakeEngineLog log;
  bool lends_to_threads = false;  // as an engine that works on the host's cores

  explicit FakeEngine(std::string name = "fake") : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  std::string description() const override { return "for tests"; }
  std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan& plan) override {
    log.extractor_rates.push_back(plan.sample_rate);
    return std::make_unique<FakeExtractor>(plan.sample_rate, n_features(plan.spec), &log, lends_to_threads);
  }
  std::unique_ptr<MlpStack> mlp_stack(const TrainingSet&, std::span<const MlpJob>) override {
    fail("the fake engine has no MLPs");
  }
  Neighbours nearest_neighbours(MatrixView<const float>, MatrixView<const float>, int) override {
    fail("the fake engine knows no neighbours");
  }

 private:
  std::string name_;
};

// Keeps what it is told; asks to stop once enough is done.
class RecordedProgress final : public Progress {
 public:
  std::vector<std::string> warnings;
  Index n_steps = -1, n_done = -1, stop_after = 1'000'000;
  std::string note;

  void begin(std::string_view, Index n) override { n_steps = n; }
  void update(Index done, std::string_view text) override {
    n_done = done;
    note = text;
  }
  void end() override {}
  void warn(std::string_view message) override { warnings.emplace_back(message); }
  bool stop_asked() const override { return n_done >= stop_after; }
};

}  // namespace melgrad::test
