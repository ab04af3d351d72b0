#pragma once
// The CUDA runtime's functions that melgrad uses, with the names and arguments of CUDA 12 and 13; each also
// takes the place of its call. What a real driver answers with an error or with undefined behaviour is a
// Fault here, but for what correct programs must expect: no memory left, not ready, a value that the device
// does not support.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <tuple>
#include <vector>

#include "cuda_types.hpp"
#include "fault.hpp"

namespace melgrad::emulation {
struct StreamState;
struct EventState;
struct Graph;
struct GraphExec;
}  // namespace melgrad::emulation

namespace melgrad::emulated {

using emulation::Site;

enum cudaError : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719,
  cudaErrorUnknown = 999,
};

// A result that must be looked at: compared or converted. Otherwise the Session faults.
class [[nodiscard]] cudaError_t {
 public:
  cudaError_t(cudaError value = cudaSuccess) : value_(value), is_seen_(true) {}
  cudaError_t(cudaError value, const char* call, Site site)
      : value_(value), is_seen_(false), call_(call), site_(site) {}
  cudaError_t(const cudaError_t& o) : value_(o.value_), is_seen_(o.is_seen_), call_(o.call_), site_(o.site_) {
    o.is_seen_ = true;  // the copy has the duty now
  }
  cudaError_t& operator=(const cudaError_t& o) {
    if (this == &o) return *this;
    if (!is_seen_) complain();
    value_ = o.value_;
    is_seen_ = o.is_seen_;
    call_ = o.call_;
    site_ = o.site_;
    o.is_seen_ = true;
    return *this;
  }
  ~cudaError_t() {
    if (!is_seen_) complain();
  }
  operator cudaError() const {
    is_seen_ = true;
    return value_;
  }

 private:
  void complain() const;

  cudaError value_;
  mutable bool is_seen_;
  const char* call_ = "";
  Site site_;
};

using cudaStream_t = emulation::StreamState*;
using cudaEvent_t = emulation::EventState*;
using cudaGraph_t = emulation::Graph*;
using cudaGraphExec_t = emulation::GraphExec*;

enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMaxSharedMemoryPerBlock = 8,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrMaxThreadsPerMultiProcessor = 39,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
inline constexpr unsigned cudaStreamDefault = 0, cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2;
inline constexpr unsigned cudaHostAllocDefault = 0, cudaHostAllocPortable = 1, cudaHostAllocWriteCombined = 4;

struct cudaUUID_t {
  char bytes[16];
};
struct cudaDeviceProp {
  char name[256];
  cudaUUID_t uuid;
  std::size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin, sharedMemPerMultiprocessor;
  int warpSize, maxThreadsPerBlock, maxThreadsPerMultiProcessor, maxBlocksPerMultiProcessor;
  int multiProcessorCount, major, minor, l2CacheSize, memoryBusWidth, asyncEngineCount, concurrentKernels;
};

#define MELGRAD_AT Site site = Site::current()

// ---- errors
const char* cudaGetErrorName(cudaError error);
const char* cudaGetErrorString(cudaError error);
cudaError_t cudaGetLastError(MELGRAD_AT);
cudaError_t cudaPeekAtLastError(MELGRAD_AT);

// ---- device
cudaError_t cudaGetDeviceCount(int* count, MELGRAD_AT);
cudaError_t cudaGetDevice(int* device, MELGRAD_AT);
cudaError_t cudaSetDevice(int device, MELGRAD_AT);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device, MELGRAD_AT);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device, MELGRAD_AT);
cudaError_t cudaDriverGetVersion(int* version, MELGRAD_AT);
cudaError_t cudaRuntimeGetVersion(int* version, MELGRAD_AT);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total, MELGRAD_AT);
cudaError_t cudaDeviceSynchronize(MELGRAD_AT);

// ---- memory
cudaError_t cudaMalloc(void** pointer, std::size_t size, MELGRAD_AT);
cudaError_t cudaFree(void* pointer, MELGRAD_AT);
cudaError_t cudaMallocAsync(void** pointer, std::size_t size, cudaStream_t stream, MELGRAD_AT);
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream, MELGRAD_AT);
cudaError_t cudaMallocHost(void** pointer, std::size_t size, MELGRAD_AT);
cudaError_t cudaHostAlloc(void** pointer, std::size_t size, unsigned flags, MELGRAD_AT);
cudaError_t cudaFreeHost(void* pointer, MELGRAD_AT);
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind, MELGRAD_AT);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr, MELGRAD_AT);
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream = nullptr, MELGRAD_AT);
cudaError_t cudaMemset(void* pointer, int value, std::size_t size, MELGRAD_AT);
cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t size, cudaStream_t stream = nullptr,
                            MELGRAD_AT);
template <class T>
cudaError_t cudaMalloc(T** pointer, std::size_t size, MELGRAD_AT) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), size, site);
}
template <class T>
cudaError_t cudaMallocAsync(T** pointer, std::size_t size, cudaStream_t stream, MELGRAD_AT) {
  return cudaMallocAsync(reinterpret_cast<void**>(pointer), size, stream, site);
}
template <class T>
cudaError_t cudaMallocHost(T** pointer, std::size_t size, MELGRAD_AT) {
  return cudaMallocHost(reinterpret_cast<void**>(pointer), size, site);
}
template <class T>
cudaError_t cudaHostAlloc(T** pointer, std::size_t size, unsigned flags, MELGRAD_AT) {
  return cudaHostAlloc(reinterpret_cast<void**>(pointer), size, flags, site);
}

// ---- streams and events
cudaError_t cudaStreamCreate(cudaStream_t* stream, MELGRAD_AT);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags, MELGRAD_AT);
cudaError_t cudaStreamDestroy(cudaStream_t stream, MELGRAD_AT);
cudaError_t cudaStreamSynchronize(cudaStream_t stream, MELGRAD_AT);
cudaError_t cudaStreamQuery(cudaStream_t stream, MELGRAD_AT);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0, MELGRAD_AT);
cudaError_t cudaEventCreate(cudaEvent_t* event, MELGRAD_AT);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags, MELGRAD_AT);
cudaError_t cudaEventDestroy(cudaEvent_t event, MELGRAD_AT);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr, MELGRAD_AT);
cudaError_t cudaEventSynchronize(cudaEvent_t event, MELGRAD_AT);
cudaError_t cudaEventQuery(cudaEvent_t event, MELGRAD_AT);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end, MELGRAD_AT);

// ---- graphs
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode, MELGRAD_AT);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph, MELGRAD_AT);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags = 0,
                                 MELGRAD_AT);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream, MELGRAD_AT);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec, MELGRAD_AT);
cudaError_t cudaGraphDestroy(cudaGraph_t graph, MELGRAD_AT);

// ---- kernels
cudaError_t set_function_attribute(const void* kernel, cudaFuncAttribute attribute, int value, Site site);
cudaError_t max_active_blocks(int* n_blocks, const void* kernel, int n_threads, std::size_t shared_bytes,
                              Site site);
template <class... Params>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Params...), cudaFuncAttribute attribute, int value,
                                 MELGRAD_AT) {
  return set_function_attribute(reinterpret_cast<const void*>(kernel), attribute, value, site);
}
template <class... Params>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n_blocks, void (*kernel)(Params...),
                                                          int n_threads, std::size_t shared_bytes,
                                                          MELGRAD_AT) {
  return max_active_blocks(n_blocks, reinterpret_cast<const void*>(kernel), n_threads, shared_bytes, site);
}

// A kernel with its arguments, as one thread runs it.
struct KernelCall {
  const void* kernel = nullptr;
  std::shared_ptr<const void> arguments;
  std::size_t arguments_size = 0;
  void (*body)(const void* arguments) = nullptr;
  std::vector<std::uintptr_t> words;  // of the arguments: some are pointers to device memory
};
void launch_kernel(KernelCall call, dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
                   Site site);

template <class... Params>
KernelCall bind_kernel(void (*kernel)(Params...), const std::type_identity_t<Params>&... arguments) {
  static_assert((std::is_trivially_copyable_v<Params> && ...), "a kernel's arguments are copied as bytes");
  struct Arguments {
    void (*kernel)(Params...);
    std::tuple<Params...> values;
  };
  auto bound = std::make_shared<const Arguments>(Arguments{kernel, {arguments...}});
  KernelCall call;
  call.kernel = reinterpret_cast<const void*>(kernel);
  call.arguments_size = sizeof(Arguments);
  call.body = [](const void* raw) {
    const auto& self = *static_cast<const Arguments*>(raw);
    std::apply(self.kernel, self.values);
  };
  [[maybe_unused]] const auto collect = [&](const auto& argument) {
    for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= sizeof(argument); at += sizeof(std::uintptr_t)) {
      call.words.emplace_back();
      std::memcpy(&call.words.back(), reinterpret_cast<const char*>(&argument) + at, sizeof(std::uintptr_t));
    }
  };
  (collect(arguments), ...);
  call.arguments = std::move(bound);
  return call;
}
#undef MELGRAD_AT

}  // namespace melgrad::emulated
