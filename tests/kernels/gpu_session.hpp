#pragma once
// Runs code that uses the CUDA engine on the emulated device.

#include <utility>

#include "access.hpp"
#include "kernels/cuda_feature_extractor.hpp"
#include "sanitizer.hpp"
#include "session.hpp"

namespace melgrad {

namespace gpu = emulated;

// This program checks every access, which takes ten times as long: its tests take fewer and shorter clips.
inline const bool is_slow = emulation::has_asan || emulation::accesses_are_seen();

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
