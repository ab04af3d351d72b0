#include "host/cpu/cpu_engine.hpp"

#include "host/core/parallel.hpp"
#include "host/cpu/cpu_features.hpp"
#include "host/cpu/cpu_mlp.hpp"
#include "host/cpu/cpu_neighbours.hpp"
#include "host/cpu/simd.hpp"
#include "host/cpu/speech_features.hpp"

namespace melgrad {
namespace {

class CpuEngine final : public Engine {
 public:
  explicit CpuEngine(const EngineOptions& options) : n_threads_(resolve_threads(options.n_threads)) {}

  std::string_view name() const override { return "cpu"; }
  std::string description() const override {
    return fmt::format("{}, {} thread{}", simd_name(), n_threads_, n_threads_ == 1 ? "" : "s");
  }
  std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan& plan) override {
    return plan.speech ? make_speech_feature_extractor(plan, n_threads_)
                       : make_cpu_feature_extractor(plan, n_threads_);
  }
  std::unique_ptr<MlpStack> mlp_stack(const TrainingSet& training_set,
                                      std::span<const MlpJob> jobs) override {
    return make_cpu_mlp_stack(training_set, jobs, n_threads_);
  }
  Neighbours nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries,
                                int k) override {
    return cpu_nearest_neighbours(train, queries, k, n_threads_);
  }

 private:
  int n_threads_;
};

}  // namespace

std::unique_ptr<Engine> make_cpu_engine(const EngineOptions& options) {
  choose_simd();
  return std::make_unique<CpuEngine>(options);
}

}  // namespace melgrad
