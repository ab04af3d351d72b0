// Faults of host code, planted one by one, under a driver that runs work as late as it may.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "kernels/launch.cuh"
//
#include "kernels/cuda_handles.hpp"
#include "planted.hpp"

namespace melgrad::emulated {
namespace {

using emulation::Caught;
using emulation::Options;
using emulation::Planted;
using emulation::Schedule;
using emulation::Session;

constexpr int n = 256;
constexpr std::size_t n_bytes = n * sizeof(float);

__global__ void fill(float* x, float value) {
  x[blockIdx.x * blockDim.x + threadIdx.x] = value;
}
__global__ void add_one(float* x) {
  x[blockIdx.x * blockDim.x + threadIdx.x] += 1;
}
__global__ void copy(const float* in, float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = in[i];
}

void run_fill(const Stream& stream, float* x, float value = 1) {
  launch(fill, {n / 64, 64}, stream.get(), x, value);
}

// Everything that a case may need; streams go first and wait.
struct World {
  DeviceBuffer<float> device{n}, other{n};
  PinnedBuffer<float> pinned{n};
  Event event;
  Stream stream, second;

  World() {
    std::fill_n(pinned.data(), n, 0.0f);
    copy_to_device(device.span(), pinned.span(), stream);
    copy_to_device(other.span(), pinned.span(), stream);
    stream.synchronize();
  }
};
std::function<void()> in_world(void (*body)(World&)) {
  return [=] {
    World world;
    body(world);
  };
}
std::function<void()> in_capture(void (*body)(World&)) {
  return [=] {
    World w;
    check(cudaStreamBeginCapture(w.stream.get(), cudaStreamCaptureModeGlobal));
    body(w);
  };
}
const float* as_host_pointer(const float* device) {
  return device;
}

// ---- synchronisation

const std::vector<Planted> synchronisation{
    {"the host reads a result before it waits", Caught::with_access,
     "race with the host: host code at host_faults_test.cpp:* reads 4 bytes, byte 0 of the 1024-byte pinned "
     "host "
     "allocation made in host_faults_test.cpp:*, which cudaMemcpyAsync in host_faults_test.cpp:* writes",
     in_world([](World& w) {
       copy_to_host(w.pinned.span(), DeviceSpan<const float>(w.device.span()), w.stream);
       volatile float early = w.pinned.data()[0];
       static_cast<void>(early);
       w.stream.synchronize();
     })},
    {"the host writes what an upload still reads", Caught::always,
     "the host memory that cudaMemcpyAsync in host_faults_test.cpp:* reads was changed before the copy was "
     "over",
     in_world([](World& w) {
       copy_to_device(w.device.span(), w.pinned.span(), w.stream);
       std::memset(w.pinned.data(), 1, 4);
       w.stream.synchronize();
     })},
    {"the same, seen when it is done",
     Caught::with_access,
     "race with the host: host code at * writes 4 bytes",
     in_world([](World& w) {
       copy_to_device(w.device.span(), w.pinned.span(), w.stream);
       w.pinned.data()[3] = 1;
       w.stream.synchronize();
     }),
     {.schedule = Schedule::eager}},
    {"pageable memory in an asynchronous copy", Caught::always,
     "the host memory is pageable: CUDA does not copy it asynchronously", in_world([](World& w) {
       const std::vector<float> pageable(n);
       check(cudaMemcpyAsync(w.device.data(), pageable.data(), n_bytes, cudaMemcpyHostToDevice,
                             w.stream.get()));
     })},
    {"pageable memory that is changed before the copy, where it is allowed",
     Caught::always,
     "the host memory that cudaMemcpyAsync in host_faults_test.cpp:* reads was changed before the copy was "
     "over",
     in_world([](World& w) {
       std::vector<float> pageable(n);
       check(cudaMemcpyAsync(w.device.data(), pageable.data(), n_bytes, cudaMemcpyHostToDevice,
                             w.stream.get()));
       pageable[7] = 1;
       w.stream.synchronize();
     }),
     {.allow_pageable = true}},
    {"a second stream does not wait for the first",
     Caught::with_access,
     "race between streams: at host_faults_test.cpp:* reads 4 bytes, byte * of the 1024-byte device "
     "allocation made "
     "in host_faults_test.cpp:*, which kernel fill launched in host_faults_test.cpp:* (at "
     "host_faults_test.cpp:*) "
     "wrote and nothing orders the two",
     in_world([](World& w) {
       run_fill(w.stream, w.device.data());
       launch(add_one, {n / 64, 64}, w.second.get(), w.device.data());
       w.stream.synchronize();
       w.second.synchronize();
     }),
     {.schedule = Schedule::eager}},
    {"a buffer is uploaded into while another stream's kernel reads it", Caught::with_access,
     "race between streams: cudaMemcpyAsync in * writes 1024 bytes*which kernel copy*read and nothing orders",
     in_world([](World& w) {
       launch(copy, {n / 64, 64}, w.second.get(), w.device.data(), w.other.data());
       copy_to_device(w.device.span(), w.pinned.span(), w.stream);
       w.second.synchronize();
       w.stream.synchronize();
     })},
    {"an event is recorded before the work that it stands for", Caught::with_access, "race between streams",
     in_world([](World& w) {
       w.event.record(w.stream);
       run_fill(w.stream, w.device.data());
       w.event.hold(w.second);
       launch(copy, {n / 64, 64}, w.second.get(), w.device.data(), w.other.data());
       w.second.synchronize();
       w.stream.synchronize();
     })},
    {"work that nobody waits for", Caught::always, "the end: nothing has waited for kernel fill launched in",
     [] {
       float* device = nullptr;
       check(cudaMalloc(&device, n_bytes));
       launch(fill, {1, 64}, nullptr, device, 1.0f);
     }},
    {"a stream destroyed with work on it", Caught::always,
     "cudaStreamDestroy in host_faults_test.cpp:*: nothing has waited for kernel fill",
     in_world([](World& w) {
       cudaStream_t stream = nullptr;
       check(cudaStreamCreate(&stream));
       launch(fill, {1, 64}, stream, w.device.data(), 1.0f);
       static_cast<void>(cudaStreamDestroy(stream));
     })},
    {"a stream used after it is destroyed", Caught::always,
     "the stream made in host_faults_test.cpp:* is destroyed", in_world([](World& w) {
       cudaStream_t stream = nullptr;
       check(cudaStreamCreate(&stream));
       static_cast<void>(cudaStreamDestroy(stream));
       launch(fill, {1, 64}, stream, w.device.data(), 1.0f);
     })},
    {"the time between events that were never recorded", Caught::always, "the event was never recorded",
     [] {
       cudaEvent_t event = nullptr;
       float milliseconds = 0;
       check(cudaEventCreate(&event));
       check(cudaEventElapsedTime(&milliseconds, event, event));
     }},
};

// ---- memory

const std::vector<Planted> memory{
    {"device memory freed while a kernel may still use it", Caught::always,
     "cudaFree in *: freed too early: nothing has waited for kernel fill launched in host_faults_test.cpp:*, "
     "which "
     "uses byte 0 of the 1024-byte device allocation",
     in_world([](World& w) {
       const DeviceBuffer<float> brief(n);
       run_fill(w.stream, brief.data());
     })},
    {"pinned memory freed while a copy may still use it", Caught::always,
     "cudaFreeHost in *: freed too early", in_world([](World& w) {
       const PinnedBuffer<float> brief(n);
       copy_to_host(brief.span(), DeviceSpan<const float>(w.device.span()), w.stream);
     })},
    {"a kernel is given freed memory", Caught::always,
     "kernel fill launched in * uses byte 0 of the * freed in", in_world([](World& w) {
       float* gone = DeviceBuffer<float>(n).data();
       run_fill(w.stream, gone);
     })},
    {"memory freed twice", Caught::always, "freed twice",
     [] {
       float* device = nullptr;
       check(cudaMalloc(&device, n_bytes));
       static_cast<void>(cudaFree(device));
       static_cast<void>(cudaFree(device));
     }},
    {"a pointer into the middle is freed", Caught::always, "is not where an allocation of this kind begins",
     in_world([](World& w) { static_cast<void>(cudaFree(w.device.data() + 1)); })},
    {"pinned memory freed as device memory", Caught::always, "is not where an allocation of this kind begins",
     in_world([](World& w) { static_cast<void>(cudaFree(w.pinned.data())); })},
    {"memory never freed", Caught::always,
     "the end: never freed: the 1024-byte allocation made in host_faults_test.cpp",
     [] {
       float* device = nullptr;
       check(cudaMalloc(&device, n_bytes));
     }},
    {"an event never destroyed", Caught::always,
     "the end: never destroyed: the event made in host_faults_test.cpp",
     [] {
       cudaEvent_t event = nullptr;
       check(cudaEventCreate(&event));
     }},
    {"a copy past the end of device memory", Caught::always,
     "the destination of 1028 bytes is byte 0 of the 1024-byte device allocation*out of bounds",
     in_world([](World& w) {
       const PinnedBuffer<float> longer(n + 1);
       copy_to_device(DeviceSpan<float>(w.device.data(), n + 1), longer.span(), w.stream);
     })},
    {"a copy in the wrong direction", Caught::always,
     "the kind says cudaMemcpyHostToDevice, the pointers say cudaMemcpyDeviceToHost", in_world([](World& w) {
       check(cudaMemcpyAsync(w.pinned.data(), w.device.data(), n_bytes, cudaMemcpyHostToDevice,
                             w.stream.get()));
     })},
    {"a memset of host memory", Caught::always, "the memory is not the device's",
     in_world([](World& w) { check(cudaMemsetAsync(w.pinned.data(), 0, n_bytes, w.stream.get())); })},
    {"host code reads device memory", Caught::by_end,
     "melgrad emulation: host code touches device memory: byte 4 of the 1024-byte device allocation",
     in_world([](World& w) {
       volatile float wrong = as_host_pointer(w.device.data())[1];
       static_cast<void>(wrong);
     })},
    {"host code reads freed device memory", Caught::by_end, "melgrad emulation: wild access*freed in",
     [] {
       const float* gone = DeviceBuffer<float>(n).data();
       volatile float wrong = gone[1];
       static_cast<void>(wrong);
     }},
    {"memory from cudaMallocAsync used on a stream that is not ordered after it", Caught::always,
     "is not ordered after it", in_world([](World& w) {
       float* pooled = nullptr;
       check(cudaMallocAsync(&pooled, n_bytes, w.stream.get()));
       run_fill(w.second, pooled);
       w.second.synchronize();
     })},
    {"memory used after its cudaFreeAsync", Caught::always, "after cudaFreeAsync in", in_world([](World& w) {
       float* pooled = nullptr;
       check(cudaMallocAsync(&pooled, n_bytes, w.stream.get()));
       static_cast<void>(cudaFreeAsync(pooled, w.stream.get()));
       run_fill(w.stream, pooled);
     })},
    {"cudaFreeAsync that is not ordered after a user on another stream", Caught::always,
     "freed too early: kernel fill*is not ordered before", in_world([](World& w) {
       float* pooled = nullptr;
       check(cudaMallocAsync(&pooled, n_bytes, w.stream.get()));
       w.event.record(w.stream);
       w.event.hold(w.second);
       run_fill(w.second, pooled);
       static_cast<void>(cudaFreeAsync(pooled, w.stream.get()));
       w.second.synchronize();
     })},
};

// ---- graphs

const std::vector<Planted> capture{
    {"cudaMalloc during a capture", Caught::always,
     "cudaMalloc in *: illegal while the capture begun in host_faults_test.cpp:* is under way",
     in_capture([](World&) { const DeviceBuffer<float> more(n); })},
    {"cudaFree during a capture", Caught::always, "cudaFree in *: illegal while the capture",
     in_capture([](World& w) {
       static_cast<void>(cudaFree(w.device.data()));
       check(cudaGetLastError());
     })},
    {"the stream is waited for during its capture", Caught::always,
     "cudaStreamSynchronize in *: illegal while", in_capture([](World& w) { w.stream.synchronize(); })},
    {"the device is waited for during a capture", Caught::always, "cudaDeviceSynchronize in *: illegal while",
     in_capture([](World&) { check(cudaDeviceSynchronize()); })},
    {"a synchronous copy during a capture", Caught::always, "cudaMemcpy in *: illegal while",
     in_capture([](World& w) {
       check(cudaMemcpy(w.device.data(), w.pinned.data(), n_bytes, cudaMemcpyHostToDevice));
     })},
    {"the default stream during a capture", Caught::always, "launch in *: illegal while",
     in_capture([](World& w) {
       launch(fill, {1, 64}, nullptr, w.device.data(), 1.0f);
     })},
    {"an event of the capture is waited for by the host", Caught::always,
     "cudaEventSynchronize in *recorded in a capture", in_capture([](World& w) {
       w.event.record(w.stream);
       w.event.synchronize();
     })},
    {"a stream under capture waits for an event from outside", Caught::always,
     "an event from outside of the capture",
     [] {
       World w;
       w.event.record(w.second);
       check(cudaStreamBeginCapture(w.stream.get(), cudaStreamCaptureModeGlobal));
       w.event.hold(w.stream);
     }},
    {"work forked in a capture is never joined", Caught::always,
     "cudaStreamEndCapture: kernel fill launched in * ran on another stream, which was never joined",
     in_capture([](World& w) {
       cudaGraph_t graph = nullptr;
       w.event.record(w.stream);
       w.event.hold(w.second);
       run_fill(w.second, w.device.data());
       check(cudaStreamEndCapture(w.stream.get(), &graph));
     })},
    {"a capture within a capture", Caught::always, "cudaStreamBeginCapture while the capture begun in",
     in_capture(
         [](World& w) { check(cudaStreamBeginCapture(w.second.get(), cudaStreamCaptureModeGlobal)); })},
    {"a graph is launched after its memory is freed", Caught::always,
     "cudaGraphLaunch in *uses byte 0 of*freed in", in_world([](World& w) {
       auto brief = std::make_unique<DeviceBuffer<float>>(n);
       const auto graph = ExecutableGraph::capture(w.stream, [&] { run_fill(w.stream, brief->data()); });
       brief.reset();
       graph.launch(w.stream);
     })},
    {"two branches of a graph write the same memory", Caught::with_access, "race between streams: *fill",
     in_world([](World& w) {
       const Event joined;
       const auto graph = ExecutableGraph::capture(w.stream, [&] {
         w.event.record(w.stream);
         w.event.hold(w.second);
         run_fill(w.second, w.device.data(), 1);
         run_fill(w.stream, w.device.data(), 2);
         joined.record(w.second);
         joined.hold(w.stream);
       });
       graph.launch(w.stream);
       w.stream.synchronize();
     })},
    {"a graph never destroyed", Caught::always, "the end: never destroyed: the graph made in",
     in_capture([](World& w) {
       cudaGraph_t graph = nullptr;
       check(cudaStreamEndCapture(w.stream.get(), &graph));
     })},
};

// ---- errors

const std::vector<Planted> errors{
    {"a result that is thrown away", Caught::always,
     "the result of cudaMemsetAsync in host_faults_test.cpp:* was never looked at", in_world([](World& w) {
       static_cast<void>(cudaMemsetAsync(w.device.data(), 0, n_bytes, w.stream.get()));
       w.stream.synchronize();
     })},
    {"a result that is kept and not looked at", Caught::always,
     "the result of cudaMalloc in * was never looked at",
     [] {
       float* device = nullptr;
       const cudaError_t kept = cudaMalloc(&device, n_bytes);
       static_cast<void>(&kept);
       static_cast<void>(cudaFree(device));
     }},
    {"an error that stays behind in the runtime", Caught::always,
     "the end: the error cudaErrorMemoryAllocation of cudaMalloc in * was never fetched with "
     "cudaGetLastError",
     [] {
       float* device = nullptr;
       if (cudaMalloc(&device, std::size_t{1} << 40) == cudaSuccess) FAIL("2^40 bytes were given");
     }},
};

}  // namespace

TEST_SUITE("emulation_host_faults") {
  TEST_CASE("missing synchronisation is caught") {
    emulation::check_planted(synchronisation);
  }
  TEST_CASE("wrong use of memory by host code is caught") {
    emulation::check_planted(memory);
  }
  TEST_CASE("what is illegal in a graph is caught") {
    emulation::check_planted(capture);
  }
  TEST_CASE("errors that nobody looks at are caught") {
    emulation::check_planted(errors);
  }

  TEST_CASE("CUDA without a Session is refused") {
    float* device = nullptr;
    CHECK_THROWS_WITH_AS(static_cast<void>(cudaMalloc(&device, 4)),
                         "CUDA is called and there is no emulation::Session", emulation::Fault);
  }

  TEST_CASE("a result that has not arrived is all ones in every bit") {
    if (emulation::accesses_are_seen()) return;  // looking at it is a fault
    Session session;
    {
      World w;
      copy_to_host(w.pinned.span(), DeviceSpan<const float>(w.device.span()), w.stream);
      CHECK(std::isnan(w.pinned.data()[0]));
      w.stream.synchronize();
      CHECK(w.pinned.data()[0] == 0);
    }
    session.finish();
  }

  TEST_CASE("a missing event gives the result of the wrong order when work runs late") {
    if (emulation::accesses_are_seen()) return;  // a race
    Session session;
    {
      World w;
      run_fill(w.stream, w.device.data(), 5);  // nobody waits for it: it has not run when the copy is made
      copy_to_host(w.pinned.span(), DeviceSpan<const float>(w.device.span()), w.second);
      w.second.synchronize();
      CHECK(w.pinned.data()[0] == 0);
    }
    session.finish();
  }

  TEST_CASE("out of device memory is an error that the program can go on from") {
    Session session({.device = {.memory = 1 << 20}});
    {
      const DeviceBuffer<float> half(1 << 17);
      CHECK_THROWS_AS(DeviceBuffer<float>(1 << 18), OutOfDeviceMemory);
      std::size_t free = 0, total = 0;
      check(cudaMemGetInfo(&free, &total));
      CHECK(free == 1 << 19);
      CHECK(total == 1 << 20);
      const DeviceBuffer<float> rest(1 << 17);
    }
    session.finish();
  }

  TEST_CASE("any call of the runtime can be made to fail, and its place is named") {
    std::uint64_t n_calls = 0;
    {
      Session session;
      { World w; }
      n_calls = session.n_calls();
      session.finish();
    }
    for (std::uint64_t i = 1; i <= n_calls; ++i) {
      Session session({.fail_call = static_cast<int>(i)});
      try {
        World w;
      } catch (const Error& error) {
        CHECK(emulation::matches(error.what(),
                                 "CUDA says unknown error (cudaErrorUnknown) in host_faults_test.cpp:"));
      }
      session.finish();  // nothing leaked, nothing left behind
    }
  }

  TEST_CASE("polling ends") {
    Session session;
    {
      World w;
      run_fill(w.stream, w.device.data());
      w.event.record(w.stream);
      int n_polls = 0;
      for (cudaError_t state = cudaEventQuery(w.event.get()); state == cudaErrorNotReady;
           state = cudaEventQuery(w.event.get()))
        ++n_polls;
      CHECK(n_polls > 0);
      CHECK(cudaStreamQuery(w.stream.get()) == cudaSuccess);
    }
    session.finish();
  }
}

}  // namespace melgrad::emulated
