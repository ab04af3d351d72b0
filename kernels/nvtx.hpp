#pragma once
// Ranges that Nsight shows, in the domain "melgrad". Nothing where nvcc is not the compiler.

#if defined(__CUDACC__)
#include <nvtx3/nvtx3.hpp>
#endif

#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

#if defined(__CUDACC__)
struct NvtxDomain {
  static constexpr char const* name{"melgrad"};
};
using ProfilerRange = nvtx3::scoped_range_in<NvtxDomain>;
#else
struct ProfilerRange {
  explicit ProfilerRange(const char*) {}
};
#endif

}  // namespace melgrad::MELGRAD_KERNELS
