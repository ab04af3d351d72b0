#include "host/engine/speech_division.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <variant>

namespace melgrad {
namespace {

// An extractor of some groups, and where each of its values stands in the row of all.
struct Share {
  std::unique_ptr<FeatureExtractor> extractor;  // null: there are no such groups
  std::vector<Index> columns;
  std::vector<float> values;  // [n_clips, columns.size()]
};

Share make_share(const FeaturePlan& plan, bool of_device, Engine& engine) {
  Share share;
  Speech speech;
  speech.groups.clear();
  for (std::size_t i = 0; i < plan.speech->groups.size(); ++i) {
    const SpeechGroup group = plan.speech->groups[i];
    if (has_kernels(group) != of_device) continue;
    speech.groups.push_back(group);
    for (Index value = 0; value < n_values(group); ++value)
      share.columns.push_back(plan.speech->first_feature[i] + value);
  }
  if (speech.groups.empty()) return share;
  FeatureSpec spec = plan.spec;
  spec.descriptors = {{speech, {}}};
  share.extractor = engine.feature_extractor(make_feature_plan(spec, plan.sample_rate));
  return share;
}

class DividedExtractor final : public FeatureExtractor {
 public:
  DividedExtractor(Share of_device, Share of_cpu) : shares_{std::move(of_device), std::move(of_cpu)} {}

  void extract(const WaveformBatch& batch, MatrixView<float> rows) override {
    for (Share& share : shares_) {
      if (share.extractor == nullptr) continue;
      const auto n_columns = static_cast<Index>(share.columns.size());
      share.values.resize(static_cast<std::size_t>(rows.rows * n_columns));
      const MatrixView<float> own(share.values.data(), rows.rows, n_columns);
      share.extractor->extract(batch, own);
      for (Index clip = 0; clip < rows.rows; ++clip)
        for (Index i = 0; i < n_columns; ++i)
          rows(clip, share.columns[static_cast<std::size_t>(i)]) = own(clip, i);
    }
  }

  // Whoever has an extractor has the tracks of all groups.
  std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch& batch) override {
    for (Share& share : shares_)
      if (share.extractor != nullptr) return share.extractor->tracks(batch);
    return {};
  }

 private:
  std::array<Share, 2> shares_;
};

class DividedEngine final : public Engine {
 public:
  DividedEngine(std::unique_ptr<Engine> device, std::unique_ptr<Engine> cpu)
      : device_(std::move(device)), cpu_(std::move(cpu)) {}

  std::string_view name() const override { return device_->name(); }
  std::string description() const override { return device_->description(); }
  std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan& plan) override {
    if (!plan.speech || std::ranges::all_of(plan.speech->groups, has_kernels))
      return device_->feature_extractor(plan);
    return std::make_unique<DividedExtractor>(make_share(plan, true, *device_),
                                              make_share(plan, false, *cpu_));
  }
  std::unique_ptr<MlpStack> mlp_stack(const TrainingSet& training_set,
                                      std::span<const MlpJob> jobs) override {
    return device_->mlp_stack(training_set, jobs);
  }
  Neighbours nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries,
                                int k) override {
    return device_->nearest_neighbours(train, queries, k);
  }

 private:
  std::unique_ptr<Engine> device_, cpu_;
};

}  // namespace

std::unique_ptr<Engine> make_divided_engine(std::unique_ptr<Engine> device, std::unique_ptr<Engine> cpu) {
  return std::make_unique<DividedEngine>(std::move(device), std::move(cpu));
}

Division division_of(const FeatureSpec& spec, std::string_view engine) {
  const std::string name(engine);
  const auto* speech = std::get_if<Speech>(&spec.descriptors[0].descriptor);
  if (speech == nullptr) return {{name, descriptor_names(spec)}};
  Division division;
  for (const SpeechGroup group : speech->groups)
    division[has_kernels(group) ? name : "cpu"].push_back(std::string(to_name(group)));
  return division;
}

std::string to_text(const Division& division) {
  if (division.size() < 2) return {};
  std::vector<std::string> shares;
  for (const auto& [engine, names] : division)
    shares.push_back(fmt::format("{} by {}", fmt::join(names, ", "), engine));
  return fmt::format("{}", fmt::join(shares, "; "));
}

}  // namespace melgrad
