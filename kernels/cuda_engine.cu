#include "kernels/cuda_engine.hpp"

#include "host/core/error.hpp"
#include "host/engine/speech_division.hpp"
#include "kernels/cuda_feature_extractor.hpp"
#include "kernels/cuda_mlp_stack.hpp"
#include "kernels/cuda_speech_extractor.hpp"
#include "kernels/launch.cuh"
#include "kernels/nearest_neighbours.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

class CudaEngine final : public Engine {
 public:
  CudaEngine(int device, bool tf32) : device_(device), tf32_(tf32), name_(fmt::format("cuda:{}", device)) {
    check(cudaSetDevice(device), name_);
    check(cudaGetDeviceProperties(&properties_, device), name_);
  }

  std::string_view name() const override { return name_; }
  std::string description() const override {
    return fmt::format("{}, compute capability {}.{}, {} multiprocessors", properties_.name,
                       properties_.major, properties_.minor, properties_.multiProcessorCount);
  }
  std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan& plan) override {
    if (plan.speech) return speech_extractor(plan);
    return make_cuda_feature_extractor(plan, {.device = device_});
  }
  std::unique_ptr<MlpStack> mlp_stack(const TrainingSet& training_set,
                                      std::span<const MlpJob> jobs) override {
    return make_cuda_mlp_stack(training_set, jobs, {.device = device_, .tf32 = tf32_});
  }
  Neighbours nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries,
                                int k) override {
    return cuda_nearest_neighbours(train, queries, k, {.device = device_});
  }

 private:
  std::unique_ptr<FeatureExtractor> speech_extractor(const FeaturePlan& plan) const {
    for (const SpeechGroup group : plan.speech->groups)
      if (!has_kernels(group)) fail_usage("{} does not compute the speech group '{}'", name_, to_name(group));
    return make_cuda_speech_extractor(plan, {.device = device_});
  }

  int device_;
  bool tf32_;
  std::string name_;
  cudaDeviceProp properties_{};
};

}  // namespace

std::unique_ptr<Engine> make_cuda_engine(int device, bool tf32) {
  return std::make_unique<CudaEngine>(device, tf32);
}

}  // namespace melgrad::MELGRAD_KERNELS
