// The audit's figures, for kernels whose traffic can be counted by hand.

#include "kernels/launch.cuh"
//
#include "examples.hpp"
#include "kernels/cuda_handles.hpp"
#include "session.hpp"

#include <doctest/doctest.h>

namespace melgrad::emulated {
namespace {

using emulation::KernelTrace;
using emulation::Session;

constexpr int n = 1024;

__global__ void copy_with_stride(const float* in, int stride, float* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  out[i] = in[i * stride % n];
}
__global__ void copy_float4(const float4* in, float4* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = in[i];
}
// One warp; every lane reads `stride` words from the one before.
__global__ void shared_with_stride(int stride, float* out) {
  SHARED_ARRAY(float, values, n);
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) values[i] = 0;
  __syncwarp();
  out[threadIdx.x] = values[static_cast<int>(threadIdx.x) * stride % n];
}
__global__ void count(unsigned* counts) {
  atomicAdd(&counts[threadIdx.x % 8], 1u);
}
__global__ void half_of_the_lanes(float* out) {
  if (threadIdx.x % 2 == 0) out[threadIdx.x] = 1;
}

// Traffic of the one kernel that `work` launches; its two arguments are arrays of n floats of 0.
template <class Work>
KernelTrace trace_of(Work&& work) {
  Session session({.trace = true});
  {
    const DeviceBuffer<float> in(n), out(n);
    const Stream stream;
    check(cudaMemsetAsync(in.data(), 0, n * sizeof(float), stream.get()));
    check(cudaMemsetAsync(out.data(), 0, n * sizeof(float), stream.get()));
    work(stream.get(), in.data(), out.data());
    stream.synchronize();
  }
  session.finish();
  const auto kernels = session.kernel_traces();
  REQUIRE(kernels.size() == 1);
  return kernels[0];
}

}  // namespace

TEST_SUITE("emulation_trace") {
  TEST_CASE("a trace without seen accesses is refused") {
    if (emulation::accesses_are_seen()) return;
    CHECK_THROWS_AS(Session({.trace = true}), emulation::Fault);
  }

  TEST_CASE("a coalesced copy moves what it asks for") {
    if (!emulation::accesses_are_seen()) return;
    const KernelTrace trace = trace_of([](cudaStream_t stream, float* in, float* out) {
      launch(copy_with_stride, {n / 128, 128}, stream, in, 1, out);
    });
    CHECK(trace.name == "copy_with_stride");
    CHECK(trace.launches == 1);
    CHECK(trace.blocks == n / 128);
    CHECK(trace.threads == n);
    CHECK(trace.global_read.requests == n / 32);
    CHECK(trace.global_read.bytes == 4 * n);
    CHECK(trace.global_read.sectors == n / 8);
    CHECK(trace.global_read.sector_efficiency() == 1);
    CHECK(trace.global_write.sectors == n / 8);
    CHECK(trace.unique_sectors_read == n / 8);
    CHECK(trace.unique_sectors_written == n / 8);
  }

  TEST_CASE("strided reads touch a sector for each lane") {
    if (!emulation::accesses_are_seen()) return;
    const KernelTrace trace = trace_of([](cudaStream_t stream, float* in, float* out) {
      launch(copy_with_stride, {n / 128, 128}, stream, in, 8, out);
    });
    CHECK(trace.global_read.requests == n / 32);
    CHECK(trace.global_read.sectors == n);
    CHECK(trace.global_read.sector_efficiency() == 1.0 / 8);
    CHECK(trace.unique_sectors_read == n / 8);
    REQUIRE(trace.sites.size() == 2);
    CHECK(trace.sites[0].code.starts_with("trace_test.cpp:"));  // the read costs more
    CHECK(trace.sites[0].kind == emulation::AccessKind::read);
  }

  TEST_CASE("a load of 16 bytes a lane is one request") {
    if (!emulation::accesses_are_seen()) return;
    const KernelTrace trace = trace_of([](cudaStream_t stream, float* in, float* out) {
      launch(copy_float4, {n / 128, 32}, stream, reinterpret_cast<const float4*>(in),
             reinterpret_cast<float4*>(out));
    });
    CHECK(trace.global_read.requests == n / 128);
    CHECK(trace.global_read.sectors == n / 8);
    CHECK(trace.global_write.requests == n / 128);
    CHECK(trace.global_write.sector_efficiency() == 1);
  }

  TEST_CASE("bank conflicts of strides: 1, 2, 32 ways, and none for odd strides and broadcasts") {
    if (!emulation::accesses_are_seen()) return;
    for (const auto& [stride, wavefronts] :
         {std::pair(1, 1), std::pair(2, 2), std::pair(4, 4), std::pair(32, 32), std::pair(33, 1),
          std::pair(7, 1), std::pair(0, 1)}) {
      const KernelTrace trace = trace_of([stride = stride](cudaStream_t stream, float*, float* out) {
        launch(shared_with_stride, {1, 32}, stream, stride, out);
      });
      CAPTURE(stride);
      CHECK(trace.shared_read.requests == 1);
      CHECK(trace.shared_read.wavefronts == static_cast<std::uint64_t>(wavefronts));
      CHECK(trace.shared_read.least_wavefronts == 1);
      CHECK(trace.shared_write.wavefronts == n / 32);
      CHECK(trace.max_shared_bytes == 4 * n);
    }
  }

  TEST_CASE("lanes at one address count once, and atomics are their own kind") {
    if (!emulation::accesses_are_seen()) return;
    const KernelTrace trace = trace_of([](cudaStream_t stream, float* in, float*) {
      launch(count, {2, 64}, stream, reinterpret_cast<unsigned*>(in));
    });
    CHECK(trace.global_atomic.requests == 4);
    CHECK(trace.global_atomic.bytes == 4 * 32);
    CHECK(trace.global_atomic.sectors == 4);
    CHECK(trace.global_read.requests == 0);
  }

  TEST_CASE("lanes that stay away leave holes") {
    if (!emulation::accesses_are_seen()) return;
    const KernelTrace trace = trace_of([](cudaStream_t stream, float*, float* out) {
      launch(half_of_the_lanes, {1, 64}, stream, out);
    });
    CHECK(trace.global_write.requests == 2);
    CHECK(trace.global_write.bytes == 128);
    CHECK(trace.global_write.sectors == 8);
    CHECK(trace.global_write.sector_efficiency() == 0.5);
  }

  TEST_CASE("padding rids the transposition of its 32-way bank conflicts") {
    if (!emulation::accesses_are_seen()) return;
    const std::vector<float> matrix(64 * 64);
    for (const bool padded : {false, true}) {
      Session session({.trace = true});
      examples::transpose(matrix, 64, 64, padded);
      session.finish();
      const KernelTrace trace = session.kernel_traces().at(0);
      CHECK(trace.name == (padded ? "transpose_kernel<33>" : "transpose_kernel<32>"));
      CHECK(trace.shared_read.requests == 64 * 64 / 32);
      CHECK(trace.shared_read.wavefronts == (padded ? 1 : 32) * trace.shared_read.requests);
      CHECK(trace.shared_write.wavefronts == trace.shared_write.requests);
      CHECK(trace.global_read.sector_efficiency() == 1);
      CHECK(trace.global_write.sector_efficiency() == 1);
    }
  }
}

}  // namespace melgrad::emulated
