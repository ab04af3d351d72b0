#pragma once
// A small data set whose labels lie far apart, and an engine that learns it at once and remembers what it was
// asked.

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "host/core/philox.hpp"
#include "host/cpu/cpu_neighbours.hpp"
#include "host/data/dataset.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

// What a spy engine saw of its jobs, in the order in which the stacks were made.
struct SeenJob {
  std::int64_t random_state;
  std::vector<int> rows;
  std::vector<int> validation_rows;
  FeatureScaling scaling;
};

// "Trains" a nearest-centroid classifier in one epoch: logits 2 x . c - c . c of scaled features x.
class CentroidStack final : public MlpStack {
 public:
  CentroidStack(const TrainingSet& set, std::span<const MlpJob> jobs, const std::set<std::int64_t>& diverging)
      : set_(set), jobs_(jobs.begin(), jobs.end()), diverging_(diverging), progress_(jobs.size()) {
    const auto n_classes = set.n_classes;
    for (const MlpJob& job : jobs) {
      scaling_.push_back(*job.scaling);
      parameters_.push_back({{Matrix<float>(set.features.cols, n_classes)},
                             {std::vector<float>(static_cast<std::size_t>(n_classes))},
                             {}});
    }
  }
  void train(int) override {
    for (std::size_t model = 0; model < jobs_.size(); ++model) {
      if (progress_[model].stop_reason != StopReason::running) continue;
      fit(model);
      progress_[model] = {.n_iter = 1,
                          .stop_reason = StopReason::no_improvement,
                          .loss_curve = {0.5},
                          .validation_scores = {}};
      if (diverging_.contains(jobs_[model].spec.random_state))
        progress_[model] = {
            .n_iter = 1, .stop_reason = StopReason::not_finite, .loss_curve = {NAN}, .validation_scores = {}};
    }
  }
  const MlpProgress& progress(int model) const override { return progress_[static_cast<std::size_t>(model)]; }
  MlpParameters parameters(int model) const override { return parameters_[static_cast<std::size_t>(model)]; }
  void set_parameters(int model, const MlpParameters& parameters) override {
    parameters_[static_cast<std::size_t>(model)] = parameters;
  }
  void predict_proba(int model, MatrixView<const float> features, MatrixView<float> probabilities) override {
    const MlpParameters& parameters = parameters_[static_cast<std::size_t>(model)];
    const auto& weights = parameters.weights;
    const auto& biases = parameters.biases;
    for (Index row = 0; row < features.rows; ++row) {
      float sum = 0;
      for (Index label = 0; label < probabilities.cols; ++label) {
        double logit = biases[0][static_cast<std::size_t>(label)];
        for (Index f = 0; f < features.cols; ++f)
          logit += scaled(model, features(row, f), f) * weights[0](f, label);
        probabilities(row, label) = static_cast<float>(std::exp(std::clamp(logit, -50.0, 50.0)));
        sum += probabilities(row, label);
      }
      for (float& probability : probabilities.row(row)) probability /= sum;
    }
  }

 private:
  double scaled(int model, float value, Index f) const {
    const FeatureScaling& scaling = scaling_[static_cast<std::size_t>(model)];
    return (value - scaling.mean[static_cast<std::size_t>(f)]) / scaling.scale[static_cast<std::size_t>(f)];
  }
  void fit(std::size_t model) {
    auto& weights = parameters_[model].weights;
    auto& biases = parameters_[model].biases;
    std::vector<int> counts(biases[0].size());
    for (const int row : jobs_[model].rows)
      ++counts[static_cast<std::size_t>(set_.labels[static_cast<std::size_t>(row)])];
    for (const int row : jobs_[model].rows) {
      const auto label = static_cast<std::size_t>(set_.labels[static_cast<std::size_t>(row)]);
      for (Index f = 0; f < set_.features.cols; ++f)
        weights[0](f, static_cast<Index>(label)) +=
            static_cast<float>(2 * scaled(static_cast<int>(model), set_.features(row, f), f) / counts[label]);
    }
    for (std::size_t label = 0; label < counts.size(); ++label) {
      double square = counts[label] == 0 ? 50 : 0;
      for (Index f = 0; f < set_.features.cols; ++f)
        square += std::pow(weights[0](f, static_cast<Index>(label)) / 2, 2);
      biases[0][label] = static_cast<float>(-square);
    }
  }

  TrainingSet set_;
  std::vector<MlpJob> jobs_;
  std::set<std::int64_t> diverging_;
  std::vector<FeatureScaling> scaling_;
  std::vector<MlpParameters> parameters_;
  std::vector<MlpProgress> progress_;
};

class SpyEngine final : public Engine {
 public:
  std::string_view name() const override { return "spy"; }
  std::string description() const override { return "nearest centroids"; }
  std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan&) override { return nullptr; }
  std::unique_ptr<MlpStack> mlp_stack(const TrainingSet& set, std::span<const MlpJob> jobs) override {
    for (const MlpJob& job : jobs)
      seen.push_back({job.spec.random_state,
                      {job.rows.begin(), job.rows.end()},
                      {job.validation_rows.begin(), job.validation_rows.end()},
                      *job.scaling});
    return std::make_unique<CentroidStack>(set, jobs, diverging);
  }
  Neighbours nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries,
                                int k) override {
    return cpu_nearest_neighbours(train, queries, k, 1);
  }
  std::vector<SeenJob> seen;
  std::set<std::int64_t> diverging;  // random states of models whose loss becomes NaN
};

struct ExampleClip {
  std::string label;
  std::string group;
  std::string audio;
  std::string split;
};

// Two features: the label's own place, moved a little from clip to clip, and moved by the speaker.
inline Dataset example_dataset(const std::vector<ExampleClip>& clips, const std::string& prefix = "clip",
                               int min_labels = 2) {
  FeatureTable table;
  table.spec.name = "example";
  table.columns = {"x", "y"};
  table.features = Matrix<float>(static_cast<Index>(clips.size()), 2);
  PhiloxSequence random(3, RandomStream::search);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const auto row = static_cast<Index>(i);
    const float place = clips[i].label.empty() ? 0 : static_cast<float>(clips[i].label[0] - 'a');
    table.features(row, 0) = 3 * place + random.next_uniform01();
    table.features(row, 1) = 9 * place * place + random.next_uniform01();
    table.clips.push_back(
        {fmt::format("{}{}.wav", prefix, i), clips[i].label, clips[i].group, clips[i].split, {}});
    table.audio_hash.push_back(clips[i].audio.empty() ? fmt::format("{} {}", prefix, i) : clips[i].audio);
    table.status.push_back("ok");
    table.duration_s.push_back(2);
  }
  return make_dataset(table, min_labels);
}

inline std::vector<ExampleClip> sixty_clips() {
  std::vector<ExampleClip> clips;
  for (int i = 0; i < 60; ++i)
    clips.push_back({std::string(1, "abc"[i % 3]), fmt::format("{}", i % 7), "", ""});
  return clips;
}

}  // namespace melgrad
