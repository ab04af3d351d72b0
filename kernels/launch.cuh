#pragma once
// The one file that knows which compiler reads a kernel source.
//
//   nvcc              namespace melgrad::cuda; launch() is a launch on a stream of a GPU.
//   any C++ compiler  namespace melgrad::emulated; the same kernels run on the CPU, for the tests: the
//   include path
//                     then has tests/emulation/.
//
// Sources of kernels open namespace melgrad::MELGRAD_KERNELS, include no CUDA header, and write
//   SHARED_ARRAY(float, tile, 32 * 33);   __shared__ float tile[32 * 33]   one dimension, sizeof() not
//   meaningful DYNAMIC_SHARED(float, rows);          extern __shared__ float rows[] LaunchShape::shared_bytes
//   of it, 16-byte
//                                                                          aligned; one in a kernel
//   launch(kernel, {grid, block, shared_bytes}, stream, args...);
//   check(cudaMemcpyAsync(...));          throws what CUDA says, with the place of the call

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#include <cuda_pipeline.h>
#include <cuda_runtime.h>
#define MELGRAD_KERNELS cuda
#define SHARED_ARRAY(T, name, n) __shared__ T name[n]
#define DYNAMIC_SHARED(T, name)                                           \
  extern __shared__ __align__(16) unsigned char melgrad_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(melgrad_dynamic_shared)
#define CALLED_FROM(site)
#else
#include "cuda_emulation.hpp"
#define MELGRAD_KERNELS emulated
#define SHARED_ARRAY(T, name, n) T* const name = ::melgrad::emulation::shared_array_at<T>(n, [] {})
#define DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::melgrad::emulation::dynamic_shared())
#define CALLED_FROM(site) , site  // the emulated runtime names the place of a call, here that of our caller
#endif

#include <cstddef>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>

#include "host/core/error.hpp"
#include "host/engine/out_of_device_memory.hpp"

namespace melgrad::MELGRAD_KERNELS {

// check(cudaMalloc(&p, n)) throws Error if the call failed, OutOfDeviceMemory if it was for memory, and
// clears CUDA's memory of it, so that the next launch does not find it. `what` stands in front of the
// message, as in "allocating the mel bank".
inline void check(cudaError_t status, std::string_view what = {},
                  std::source_location site = std::source_location::current()) {
  if (status == cudaSuccess) return;
  const cudaError_t error = status;
  static_cast<void>(cudaGetLastError());
  std::string message(what);
  if (!what.empty()) message += ": ";
  const std::string_view path = site.file_name();
  message += std::string("CUDA says ") + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) +
             ") in " + std::string(path.substr(path.find_last_of('/') + 1)) + ":" +
             std::to_string(site.line());
  if (error == cudaErrorMemoryAllocation) throw OutOfDeviceMemory(message);
  throw Error(message);
}

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes;  // dynamic
  std::source_location site;

  LaunchShape(dim3 grid_, dim3 block_, std::size_t shared_bytes_ = 0,
              std::source_location site_ = std::source_location::current())
      : grid(grid_), block(block_), shared_bytes(shared_bytes_), site(site_) {}
};

// Blocks of `size` that cover n >= 0.
constexpr unsigned ceil_div(long long n, long long size) {
  return static_cast<unsigned>((n + size - 1) / size);
}

// Asks for the 128 bytes around `address` in device memory, of any allocation, to be brought near.
#if defined(__CUDACC__)
__device__ __forceinline__ void prefetch_to_l2(const void* address) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}
#else
inline void prefetch_to_l2(const void*) {}
#endif

// Runs kernel(args...) on a stream. Nothing runs if the grid is empty in any dimension, as that of an empty
// batch.
template <class... Params>
void launch(void (*kernel)(Params...), const LaunchShape& shape, cudaStream_t stream,
            const std::type_identity_t<Params>&... args) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
#if defined(__CUDACC__)
  kernel<<<shape.grid, shape.block, shape.shared_bytes, stream>>>(args...);
#else
  launch_kernel(bind_kernel<Params...>(kernel, args...), shape.grid, shape.block, shape.shared_bytes, stream,
                shape.site);
#endif
  check(cudaGetLastError(), "kernel launch", shape.site);
}

}  // namespace melgrad::MELGRAD_KERNELS
