#include "kernels/cuda_engine.hpp"

#include "host/core/error.hpp"
#include "kernels/cuda_feature_extractor.hpp"
#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

class CudaEngine final : public Engine {
 public:
  explicit CudaEngine(int device) : device_(device), name_(fmt::format("cuda:{}", device)) {
    check(cudaSetDevice(device), name_);
    check(cudaGetDeviceProperties(&properties_, device), name_);
  }

  std::string_view name() const override { return name_; }
  std::string description() const override {
    return fmt::format("{}, compute capability {}.{}, {} multiprocessors", properties_.name,
                       properties_.major, properties_.minor, properties_.multiProcessorCount);
  }
  std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan& plan) override {
    return make_cuda_feature_extractor(plan, {.device = device_});
  }
  std::unique_ptr<MlpStack> mlp_stack(const TrainingSet&, std::span<const MlpJob>) override {
    fail("{}: this build trains no networks on a GPU", name_);
  }

 private:
  int device_;
  std::string name_;
  cudaDeviceProp properties_{};
};

}  // namespace

std::unique_ptr<Engine> make_cuda_engine(int device) {
  return std::make_unique<CudaEngine>(device);
}

}  // namespace melgrad::MELGRAD_KERNELS
