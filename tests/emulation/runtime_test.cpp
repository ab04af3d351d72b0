// What correct programs ask the emulated device and runtime, and the arithmetic that C++ lacks.

#include "kernels/launch.cuh"
//
#include "kernels/cuda_handles.hpp"
#include "session.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <numeric>

namespace melgrad::emulated {
namespace {

__global__ void nothing() {}

}  // namespace

TEST_SUITE("emulation_runtime") {
  TEST_CASE("the device has the properties of its model") {
    emulation::Session session({.device = {.name = "small one", .multiprocessors = 3}});
    int n_devices = 0, value = 0;
    check(cudaGetDeviceCount(&n_devices));
    CHECK(n_devices == 1);
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, 0));
    CHECK(std::string(properties.name) == "small one");
    CHECK(properties.multiProcessorCount == 3);
    CHECK(properties.sharedMemPerBlockOptin == 99 << 10);
    check(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
    CHECK(value == 3);
    CHECK_THROWS_WITH_AS(check(cudaSetDevice(1), "choosing a device"),
                         doctest::Contains("choosing a device: CUDA says invalid device ordinal "
                                           "(cudaErrorInvalidDevice) in runtime_test.cpp:"),
                         Error);
    session.finish();
  }

  TEST_CASE("occupancy follows from threads, blocks and shared memory") {
    emulation::Session session;
    const auto blocks = [](int n_threads, std::size_t shared_bytes) {
      int n_blocks = 0;
      check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n_blocks, nothing, n_threads, shared_bytes));
      return n_blocks;
    };
    CHECK(blocks(256, 0) == 6);         // 1536 threads
    CHECK(blocks(32, 0) == 24);         // blocks
    CHECK(blocks(256, 32 << 10) == 3);  // 100 KB, each block 1 KB more than it asks for
    CHECK(blocks(1024, 99 << 10) == 1);
    CHECK_THROWS_AS(blocks(2048, 0), Error);
    CHECK_THROWS_AS(
        check(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10)), Error);
    session.finish();
  }

  TEST_CASE("a copy of rows leaves what is between them") {
    emulation::Session session;
    {
      const DeviceBuffer<int> device(3 * 5);
      const PinnedBuffer<int> pinned(3 * 5);
      const Stream stream;
      check(cudaMemsetAsync(device.data(), 0, 15 * sizeof(int), stream.get()));
      std::iota(pinned.data(), pinned.data() + 15, 1);
      check(cudaMemcpy2DAsync(device.data(), 5 * sizeof(int), pinned.data(), 2 * sizeof(int), 2 * sizeof(int),
                              3, cudaMemcpyHostToDevice, stream.get()));
      stream.synchronize();
      copy_to_host(pinned.span(), DeviceSpan<const int>(device.span()), stream);
      stream.synchronize();
      CHECK(std::vector<int>(pinned.data(), pinned.data() + 15) ==
            std::vector{1, 2, 0, 0, 0, 3, 4, 0, 0, 0, 5, 6, 0, 0, 0});
    }
    session.finish();
  }

  TEST_CASE("memory of a stream's pool is used in its order") {
    emulation::Session session;
    {
      const PinnedBuffer<int> pinned(8);
      const Stream stream;
      int* pooled = nullptr;
      check(cudaMallocAsync(&pooled, 8 * sizeof(int), stream.get()));
      check(cudaMemsetAsync(pooled, 0, 8 * sizeof(int), stream.get()));
      check(cudaMemcpyAsync(pinned.data(), pooled, 8 * sizeof(int), cudaMemcpyDeviceToHost, stream.get()));
      check(cudaFreeAsync(pooled, stream.get()));
      stream.synchronize();
      CHECK(pinned.data()[7] == 0);
    }
    session.finish();
  }

  TEST_CASE("integer intrinsics") {
    CHECK(__brev(1u) == 0x80000000u);
    CHECK(__brev(0x12345678u) == 0x1e6a2c48u);
    CHECK(__popc(0xf0f0u) == 8);
    CHECK(__clz(1) == 31);
    CHECK(__clz(0) == 32);
    CHECK(__ffs(8) == 4);
    CHECK(__umulhi(0xffffffffu, 0xffffffffu) == 0xfffffffeu);
    CHECK(__mulhi(-1, 2) == -1);
    CHECK(__umul64hi(~0ull, ~0ull) == ~1ull);
    CHECK(__funnelshift_l(0x80000001u, 0x2u, 1) == 5);
    CHECK(__funnelshift_r(0x80000001u, 0x3u, 1) == 0xc0000000u);
    CHECK(__funnelshift_l(1u, 2u, 32) == 2);
    CHECK(__byte_perm(0x33221100u, 0x77665544u, 0x7410u) == 0x77441100u);
    CHECK(__byte_perm(0x00008000u, 0u, 0x9999u) == 0xffffffffu);
    CHECK(min(-1, 2) == -1);
    CHECK(max(3u, 2) == 3u);
  }

  TEST_CASE("floating-point intrinsics") {
    CHECK(max(std::nanf(""), 1.0f) == 1.0f);
    CHECK(__float2int_rn(2.5f) == 2);
    CHECK(__float2int_rz(-2.9f) == -2);
    CHECK(__float2int_rn(1e20f) == 0x7fffffff);
    CHECK(__float2int_rn(std::nanf("")) == 0);
    CHECK(__saturatef(-1.0f) == 0.0f);
    CHECK(__saturatef(std::nanf("")) == 0.0f);
    CHECK(rsqrtf(4.0f) == 0.5f);
    CHECK(sinpif(1.5f) == -1.0f);
    CHECK(std::abs(cospif(2.5f)) < 1e-15f);
    CHECK(__fadd_rn(__fmul_rn(0.1f, 0.1f), -0.01f) != __fmaf_rn(0.1f, 0.1f, -0.01f));
    CHECK(__float_as_int(1.0f) == 0x3f800000);
  }

  TEST_CASE("every 16-bit float comes back from float, and halves between two of them go to the even one") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
      const __half h = __ushort_as_half(static_cast<unsigned short>(bits));
      const float value = __half2float(h);
      if (value != value) continue;
      if (__float2half_rn(value).bits != bits) FAIL_CHECK("0x" << std::hex << bits);
      if (bits >= 0x7bff) continue;  // positive ones with a finite successor
      const float next = __half2float(__ushort_as_half(static_cast<unsigned short>(bits + 1)));
      const unsigned even = bits % 2 == 0 ? bits : bits + 1;
      if (__float2half_rn((value + next) / 2).bits != even)
        FAIL_CHECK("halfway after 0x" << std::hex << bits);
    }
  }
}

}  // namespace melgrad::emulated
