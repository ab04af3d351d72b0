#pragma once
// What Nsight shows beside kernels and copies: ranges in the domain "melgrad", and names of streams and
// events. Without a profiler each is a call through a null pointer or two; where nvcc is not the compiler,
// nothing.

#include <cstdint>

#if defined(__CUDACC__)
#include <nvtx3/nvToolsExtCudaRt.h>
#include <nvtx3/nvtx3.hpp>
#endif

#include "kernels/cuda_handles.hpp"
#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

#if defined(__CUDACC__)
struct NvtxDomain {
  static constexpr char const* name{"melgrad"};
};

// From here to the end of the scope. `amount` is its payload: clips, models, rows or bytes, as
// tools/PROFILING.md says of each name.
class ProfilerRange {
 public:
  ProfilerRange(const char* name, std::int64_t amount)
      : range_(nvtx3::event_attributes(nvtx3::message(name), nvtx3::payload(amount))) {}

 private:
  nvtx3::scoped_range_in<NvtxDomain> range_;
};

inline void name_for_profiler(const Stream& stream, const char* name) {
  nvtxNameCudaStreamA(stream.get(), name);
}
inline void name_for_profiler(const Event& event, const char* name) {
  nvtxNameCudaEventA(event.get(), name);
}
#else
struct ProfilerRange {
  ProfilerRange(const char*, std::int64_t) {}
};
inline void name_for_profiler(const Stream&, const char*) {}
inline void name_for_profiler(const Event&, const char*) {}
#endif

}  // namespace melgrad::MELGRAD_KERNELS
