#pragma once
// Owners of what CUDA hands out: memory, streams, events, graphs. Move-only. A stream waits for its work
// before it goes, so declare streams after the memory that their work uses.

#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "kernels/device_views.hpp"
#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

// Work of the thread that calls goes to this device from here on; gives the device.
inline int use_device(int device) {
  check(cudaSetDevice(device), "choice of the device");
  return device;
}

// A handle that Destroy()(handle) takes back.
template <class T, class Destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T handle) : handle_(handle) {}
  Handle(Handle&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
  Handle& operator=(Handle&& o) noexcept {
    std::swap(handle_, o.handle_);
    return *this;
  }
  ~Handle() {
    if (handle_) Destroy()(handle_);
  }
  T get() const { return handle_; }

 private:
  T handle_ = nullptr;
};

// ---- memory

// "8000 bytes of device memory, of which 1000 of 80000 are free": why there are none.
inline std::string device_memory_text(std::size_t bytes) {
  std::size_t n_free = 0, n_total = 0;
  const cudaError_t asked = cudaMemGetInfo(&n_free, &n_total);
  if (asked != cudaSuccess) return fmt::format("{} bytes of device memory", bytes);
  return fmt::format("{} bytes of device memory, of which {} of {} are free", bytes, n_free, n_total);
}

// Uninitialised device memory, [size].
template <class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(Index size, std::source_location site = std::source_location::current())
      : size_(size) {
    T* data = nullptr;
    const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
    const cudaError_t status = cudaMalloc(&data, bytes CALLED_FROM(site));
    check(status, status == cudaSuccess ? std::string() : device_memory_text(bytes), site);
    memory_ = Memory(data);
  }
  T* data() const { return memory_.get(); }
  Index size() const { return size_; }
  DeviceSpan<T> span() const { return {data(), size_}; }
  DeviceMatrix<T> matrix(Index rows, Index cols) const { return {data(), rows, cols}; }

 private:
  struct Free {
    void operator()(T* data) const { static_cast<void>(cudaFree(data)); }
  };
  using Memory = Handle<T*, Free>;
  Memory memory_;
  Index size_ = 0;
};

// Page-locked host memory, [size]: copies to and from it run beside the host.
template <class T>
class PinnedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(Index size, std::source_location site = std::source_location::current())
      : size_(size) {
    T* data = nullptr;
    check(cudaMallocHost(&data, static_cast<std::size_t>(size) * sizeof(T) CALLED_FROM(site)),
          "pinned host memory", site);
    memory_ = Memory(data);
  }
  T* data() const { return memory_.get(); }
  Index size() const { return size_; }
  std::span<T> span() const { return {data(), static_cast<std::size_t>(size_)}; }

 private:
  struct Free {
    void operator()(T* data) const { static_cast<void>(cudaFreeHost(data)); }
  };
  using Memory = Handle<T*, Free>;
  Memory memory_;
  Index size_ = 0;
};

// ---- streams and events

// Not blocked by the default stream.
class Stream {
 public:
  explicit Stream(std::source_location site = std::source_location::current()) {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking CALLED_FROM(site)), "stream", site);
    stream_ = Handle<cudaStream_t, Destroy>(stream);
  }
  cudaStream_t get() const { return stream_.get(); }
  void synchronize(std::source_location site = std::source_location::current()) const {
    check(cudaStreamSynchronize(get() CALLED_FROM(site)), "stream", site);
  }

 private:
  struct Destroy {
    void operator()(cudaStream_t stream) const {
      // Errors of the work have been seen by who waited for it, or an exception is under way. Only the
      // emulated runtime throws, and keeps what it threw for Session::finish().
      try {
        const cudaError_t waited = cudaStreamSynchronize(stream);
        if (waited != cudaSuccess) static_cast<void>(cudaGetLastError());
      } catch (...) {
      }
      static_cast<void>(cudaStreamDestroy(stream));
    }
  };
  Handle<cudaStream_t, Destroy> stream_;
};

// A point in a stream, without a time.
class Event {
 public:
  explicit Event(std::source_location site = std::source_location::current()) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming CALLED_FROM(site)), "event", site);
    event_ = Handle<cudaEvent_t, Destroy>(event);
  }
  cudaEvent_t get() const { return event_.get(); }
  void record(const Stream& stream, std::source_location site = std::source_location::current()) const {
    check(cudaEventRecord(get(), stream.get() CALLED_FROM(site)), "event", site);
  }
  // What is put on `stream` from now on comes after this point.
  void hold(const Stream& stream, std::source_location site = std::source_location::current()) const {
    check(cudaStreamWaitEvent(stream.get(), get(), 0 CALLED_FROM(site)), "event", site);
  }
  void synchronize(std::source_location site = std::source_location::current()) const {
    check(cudaEventSynchronize(get() CALLED_FROM(site)), "event", site);
  }

 private:
  struct Destroy {
    void operator()(cudaEvent_t event) const { static_cast<void>(cudaEventDestroy(event)); }
  };
  Handle<cudaEvent_t, Destroy> event_;
};

// ---- copies on a stream; host memory is pinned

template <class T>
void copy_to_device(DeviceSpan<T> to, std::span<const std::type_identity_t<T>> from, const Stream& stream,
                    std::source_location site = std::source_location::current()) {
  check(cudaMemcpyAsync(to.data, from.data(), from.size_bytes(), cudaMemcpyHostToDevice,
                        stream.get() CALLED_FROM(site)),
        "upload", site);
}
template <class T>
void copy_to_host(std::span<T> to, DeviceSpan<const std::type_identity_t<T>> from, const Stream& stream,
                  std::source_location site = std::source_location::current()) {
  check(cudaMemcpyAsync(to.data(), from.data, to.size_bytes(), cudaMemcpyDeviceToHost,
                        stream.get() CALLED_FROM(site)),
        "download", site);
}

// ---- graphs

// Work captured once, launched many times.
class ExecutableGraph {
 public:
  // Captures what `work()` puts on the stream.
  template <class Work>
  static ExecutableGraph capture(const Stream& stream, Work&& work,
                                 std::source_location site = std::source_location::current()) {
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal CALLED_FROM(site)), "graph",
          site);
    cudaGraph_t graph = nullptr;
    try {
      std::forward<Work>(work)();
    } catch (...) {  // leave the stream usable
      const cudaError_t ended = cudaStreamEndCapture(stream.get(), &graph);
      if (ended != cudaSuccess) static_cast<void>(cudaGetLastError());
      if (graph) static_cast<void>(cudaGraphDestroy(graph));
      throw;
    }
    check(cudaStreamEndCapture(stream.get(), &graph CALLED_FROM(site)), "graph", site);
    const Handle<cudaGraph_t, DestroyGraph> owner(graph);
    cudaGraphExec_t exec = nullptr;
    check(cudaGraphInstantiate(&exec, graph, 0 CALLED_FROM(site)), "graph", site);
    return ExecutableGraph(exec);
  }
  void launch(const Stream& stream, std::source_location site = std::source_location::current()) const {
    check(cudaGraphLaunch(exec_.get(), stream.get() CALLED_FROM(site)), "graph", site);
  }

 private:
  struct DestroyGraph {
    void operator()(cudaGraph_t graph) const { static_cast<void>(cudaGraphDestroy(graph)); }
  };
  struct DestroyExec {
    void operator()(cudaGraphExec_t exec) const { static_cast<void>(cudaGraphExecDestroy(exec)); }
  };
  explicit ExecutableGraph(cudaGraphExec_t exec) : exec_(exec) {}
  Handle<cudaGraphExec_t, DestroyExec> exec_;
};

}  // namespace melgrad::MELGRAD_KERNELS
