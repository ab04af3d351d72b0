#pragma once
// Runs code that uses the CUDA engine on the emulated device, or with MELGRAD_ON_GPU on a GPU, where a
// Session checks nothing.

#include <cstddef>
#include <utility>

#include "kernels/cuda_feature_extractor.hpp"
#ifndef MELGRAD_ON_GPU
#include "access.hpp"
#include "sanitizer.hpp"
#include "session.hpp"
#endif

namespace melgrad {

namespace gpu = MELGRAD_KERNELS;

#ifdef MELGRAD_ON_GPU
namespace emulation {
enum class FiberOrder { ascending, descending, random };
struct DeviceModel {
  int multiprocessors = 0;
};
struct Options {
  FiberOrder order = FiberOrder::ascending;
  DeviceModel device = {};
};
class Session {
 public:
  explicit Session(const Options& = {}) {}
  void finish() {}
};
}  // namespace emulation

inline constexpr bool is_slow = false;
#else
// This program checks every access, which takes ten times as long: its tests take fewer and shorter clips.
inline const bool is_slow = emulation::has_asan || emulation::accesses_are_seen();
#endif

// Calls body() in a Session of its own, after which everything must be in order: memory freed, work
// synchronised, errors looked at.
template <class Body>
void on_gpu(Body&& body, const emulation::Options& options = {}) {
  emulation::Session session(options);
  std::forward<Body>(body)();
  session.finish();
}

inline gpu::CudaFeatureOptions with_route(gpu::TransformRoute route) {
  gpu::CudaFeatureOptions options;
  options.transform = route;
  options.device_bytes = std::size_t{4} << 20;
  return options;
}

}  // namespace melgrad
