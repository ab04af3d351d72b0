// Faults of kernels, planted one by one. The tables are the list of what is caught and by which of the
// programs.

#include <functional>

#include "kernels/launch.cuh"
//
#include "kernels/cuda_handles.hpp"
#include "planted.hpp"

namespace melgrad::emulated {
namespace {

using emulation::Caught;
using emulation::FiberOrder;
using emulation::Planted;

// ---- barriers

__global__ void divergent_barrier() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void skipped_barrier() {
  if (threadIdx.x >= 32) return;
  __syncthreads();
}
__global__ void barrier_against_warp() {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __syncwarp();
}

// ---- order of memory within a block

__global__ void no_barrier(int* out) {
  SHARED_ARRAY(int, values, 64);
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  values[threadIdx.x] += 1;
  out[threadIdx.x] = values[63 - threadIdx.x];
}
__global__ void no_second_barrier(int* out) {  // the loop writes again what others still read
  SHARED_ARRAY(int, value, 1);
  int sum = 0;
  for (int i = 0; i < 2; ++i) {
    if (threadIdx.x == 0) value[0] = i;
    __syncthreads();
    sum += value[0];
  }
  out[threadIdx.x] = sum;
}
__global__ void no_syncwarp(int* out) {
  SHARED_ARRAY(int, values, 32);
  values[threadIdx.x] = 0;
  __syncwarp();
  values[threadIdx.x] = 1;
  out[threadIdx.x] = values[threadIdx.x ^ 1];
}
__global__ void syncwarp_for_two_warps(int* out) {
  SHARED_ARRAY(int, values, 64);
  values[threadIdx.x] = 0;
  __syncthreads();
  values[threadIdx.x] = 1;
  __syncwarp();
  out[threadIdx.x] = values[threadIdx.x ^ 32];
}
__global__ void half_syncwarp(int* out) {  // each half waits for itself, then they read each other's
  SHARED_ARRAY(int, values, 32);
  values[threadIdx.x] = 0;
  __syncwarp();
  values[threadIdx.x] = 1;
  __syncwarp(threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u);
  out[threadIdx.x] = values[threadIdx.x ^ 16];
}
__global__ void shuffle_for_barrier(int* out) {  // a shuffle does not order memory
  SHARED_ARRAY(int, values, 32);
  values[threadIdx.x] = 0;
  __syncwarp();
  values[threadIdx.x] = 1;
  const int one = __shfl_sync(~0u, 1, 0);
  out[threadIdx.x] = one + values[threadIdx.x ^ 1];
}
__global__ void not_atomic(int* out) {
  out[0] += 1;
}
__global__ void half_atomic(int* out) {
  if (threadIdx.x == 0)
    out[0] = 1;
  else
    atomicAdd(out, 1);
}
__global__ void between_blocks(int* out) {
  out[blockIdx.x] = 1;
  out[2 + blockIdx.x] = out[blockIdx.x ^ 1];
}

// ---- reads before writes

__global__ void unwritten_dynamic(float* out) {
  DYNAMIC_SHARED(float, values);
  out[threadIdx.x] = values[threadIdx.x];
}
__global__ void unwritten_static(float* out) {
  SHARED_ARRAY(float, values, 32);
  out[threadIdx.x] = values[threadIdx.x];
}
__global__ void of_last_block(int* out) {  // block 0 writes, block 1 hopes that it is still there
  SHARED_ARRAY(int, value, 1);
  if (blockIdx.x == 0) value[0] = 7;
  if (blockIdx.x == 1) out[0] = value[0];
}
__global__ void copy(const int* in, int* out) {
  out[threadIdx.x] = in[threadIdx.x];
}

// ---- bounds

__global__ void write_at(int* out, int index) {
  out[index] = 1;
}
__global__ void read_at(int* out, int index) {
  out[0] = out[index];
}
__global__ void static_write_at(int index) {
  SHARED_ARRAY(int, before, 32);
  SHARED_ARRAY(int, values, 32);
  before[0] = values[0] = 0;
  values[index] = 1;
}
__global__ void dynamic_read_at(int* out, int index) {
  DYNAMIC_SHARED(int, values);
  values[0] = 0;
  out[0] = values[index];
}
__global__ void no_dynamic() {
  DYNAMIC_SHARED(int, values);
  values[0] = 0;
}
volatile int program_variable = 0;
__global__ void write_program_variable() {
  program_variable = 1;
}
__global__ void stack_of_another(int* out) {
  SHARED_ARRAY(int*, pointer, 1);
  int mine = 5;
  if (threadIdx.x == 0) pointer[0] = &mine;
  __syncthreads();
  out[threadIdx.x] = *pointer[0];
  __syncthreads();
}
__noinline__ int recurse(volatile int* frame, int depth) {
  volatile int here[1024];
  here[0] = depth;
  if (depth <= 0) return frame[0];
  return recurse(here, depth - 1) + here[0];
}
__global__ void deep_recursion(int* out, int depth) {
  volatile int frame[1] = {1};
  out[0] = recurse(frame, depth);
}

// ---- warps

__global__ void not_in_own_mask() {
  __syncwarp(0x0000ffffu);
}
__global__ void lane_has_ended() {
  if (threadIdx.x < 16) return;
  __syncwarp();
}
__global__ void lane_never_comes() {
  if (threadIdx.x < 16)
    __syncwarp();
  else
    __syncthreads();
}
__global__ void reads_outside_mask(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 20);
}
__global__ void masks_disagree() {
  __syncwarp(threadIdx.x < 16 ? ~0u : 0xffff8000u);
}
__global__ void operations_disagree(int* out) {
  if (threadIdx.x < 16)
    out[0] = __any_sync(~0u, 1);
  else
    out[0] = __all_sync(~0u, 1);
}
__global__ void places_disagree(int* out) {
  int sum = static_cast<int>(threadIdx.x);
  if (threadIdx.x < 16)
    sum += __shfl_xor_sync(~0u, sum, 1);
  else
    sum -= __shfl_xor_sync(~0u, sum, 1);
  out[threadIdx.x] = sum;
}

// ---- asynchronous copies

__global__ void async_not_waited(const int* in, int* out) {
  SHARED_ARRAY(int, values, 32);
  __pipeline_memcpy_async(&values[threadIdx.x], &in[threadIdx.x], 4);
  __pipeline_commit();
  out[threadIdx.x] = values[threadIdx.x];
  __pipeline_wait_prior(0);
}
__global__ void async_one_group_short(const int* in, int* out) {
  SHARED_ARRAY(int, values, 64);
  for (unsigned i = threadIdx.x; i < 64; i += 32) {
    __pipeline_memcpy_async(&values[i], &in[i % 32], 4);
    __pipeline_commit();
  }
  __pipeline_wait_prior(1);
  out[threadIdx.x] = values[threadIdx.x] + values[threadIdx.x + 32];
  __pipeline_wait_prior(0);
}
__global__ void async_no_barrier(const int* in, int* out) {
  SHARED_ARRAY(int, values, 32);
  __pipeline_memcpy_async(&values[threadIdx.x], &in[threadIdx.x], 4);
  __pipeline_commit();
  __syncthreads();
  __pipeline_wait_prior(0);
  out[threadIdx.x] = values[31 - threadIdx.x];
}
__global__ void async_never_waited(const int* in) {
  SHARED_ARRAY(int, values, 32);
  __pipeline_memcpy_async(&values[threadIdx.x], &in[threadIdx.x], 4);
  __pipeline_commit();
}
__global__ void async_misaligned(const int* in) {
  SHARED_ARRAY(int, values, 64);
  __pipeline_memcpy_async(&values[1], in, 8);
}
__global__ void async_of_3_bytes(const int* in) {
  SHARED_ARRAY(int, values, 64);
  __pipeline_memcpy_async(&values[0], in, 3);
}
__global__ void async_to_global(int* in) {
  __pipeline_memcpy_async(in, in + 4, 4);
}

// ---- launches

__global__ void nothing() {}
__global__ void much_static() {
  SHARED_ARRAY(float, values, 12289);  // 48 KB and 4 bytes
  values[0] = 0;
}
__global__ void static_and_dynamic() {
  SHARED_ARRAY(float, values, 4096);
  DYNAMIC_SHARED(float, more);
  values[0] = more[0] = 0;
}

// ---- running them

// Runs kernel(arguments..., out) with `out` being 64 ints of 0.
template <class Kernel, class... Arguments>
std::function<void()> with_output(Kernel kernel, LaunchShape shape, Arguments... arguments) {
  return [=] {
    const DeviceBuffer<int> out(64);
    const Stream stream;
    check(cudaMemsetAsync(out.data(), 0, 64 * sizeof(int), stream.get()));
    if constexpr (std::is_invocable_v<Kernel, float*, Arguments...>)
      launch(kernel, shape, stream.get(), reinterpret_cast<float*>(out.data()), arguments...);
    else if constexpr (std::is_invocable_v<Kernel, const int*, int*>)
      launch(kernel, shape, stream.get(), out.data(), out.data() + 32);
    else
      launch(kernel, shape, stream.get(), out.data(), arguments...);
    stream.synchronize();
  };
}
std::function<void()> alone(void (*kernel)(), LaunchShape shape) {
  return [=] {
    const Stream stream;
    launch(kernel, shape, stream.get());
    stream.synchronize();
  };
}

std::function<void()> with_index(void (*kernel)(int), int index) {
  return [=] {
    const Stream stream;
    launch(kernel, {1, 1}, stream.get(), index);
    stream.synchronize();
  };
}

void read_unwritten_global() {
  const DeviceBuffer<int> in(32), out(32);
  const Stream stream;
  launch(copy, {1, 32}, stream.get(), in.data(), out.data());
  stream.synchronize();
}
void read_host_memory() {
  const DeviceBuffer<int> out(32);
  const std::vector<int> in(32);
  const Stream stream;
  launch(copy, {1, 32}, stream.get(), in.data(), out.data());
  stream.synchronize();
}

// What kernel(out) leaves in its 64 ints.
std::vector<int> result_of(void (*kernel)(int*), LaunchShape shape, FiberOrder order) {
  emulation::Session session({.order = order});
  std::vector<int> result;
  {
    const DeviceBuffer<int> out(64);
    const PinnedBuffer<int> pinned(64);
    const Stream stream;
    check(cudaMemsetAsync(out.data(), 0, 64 * sizeof(int), stream.get()));
    launch(kernel, shape, stream.get(), out.data());
    copy_to_host(pinned.span(), DeviceSpan<const int>(out.span()), stream);
    stream.synchronize();
    result.assign(pinned.data(), pinned.data() + 64);
  }
  session.finish();
  return result;
}

const std::vector<Planted> barriers{
    {"a __syncthreads in each branch", Caught::always,
     "kernel divergent_barrier, block (0,0,0): divergent barrier: 32 threads, the first is (*,0,0), at "
     "__syncthreads "
     "in device_faults_test.cpp:*; 32 threads",
     alone(divergent_barrier, {1, 64})},
    {"threads end before a __syncthreads of the others", Caught::always,
     "kernel skipped_barrier, block (0,0,0): missing barrier: 32 threads, the first is (0,0,0), at "
     "__syncthreads in "
     "device_faults_test.cpp:*; 32 of 64 threads have ended without reaching it",
     alone(skipped_barrier, {1, 64})},
    {"half a warp waits at a block barrier, half at a warp's", Caught::always,
     "kernel barrier_against_warp, block (0,0,0): deadlock: 16 threads, the first is (0,0,0), at "
     "__syncthreads*16 "
     "threads, the first is (16,0,0), at __syncwarp(0xffffffff)",
     alone(barrier_against_warp, {1, 32})},
};

const std::vector<Planted> order{
    {"a missing __syncthreads", Caught::with_access,
     "kernel no_barrier, block (0,0,0), thread (*,0,0): race in shared memory: at device_faults_test.cpp:* 4 "
     "bytes, "
     "byte * of the 256-byte static shared array, which thread (*,0,0) of block (0,0,0) at "
     "device_faults_test.cpp:* "
     "and nothing orders the two",
     with_output(no_barrier, {1, 64})},
    {"a missing second __syncthreads in a loop", Caught::with_access,
     "kernel no_second_barrier*race in shared memory: at * 4 bytes, byte 0 of the 4-byte static shared array",
     with_output(no_second_barrier, {1, 64})},
    {"a missing __syncwarp", Caught::with_access, "kernel no_syncwarp*race in shared memory",
     with_output(no_syncwarp, {1, 32})},
    {"a __syncwarp where two warps meet", Caught::with_access,
     "kernel syncwarp_for_two_warps*race in shared memory", with_output(syncwarp_for_two_warps, {1, 64})},
    {"a __syncwarp of half a warp where two halves meet", Caught::with_access,
     "kernel half_syncwarp*race in shared memory", with_output(half_syncwarp, {1, 32})},
    {"a shuffle taken for a __syncwarp", Caught::with_access,
     "kernel shuffle_for_barrier*race in shared memory", with_output(shuffle_for_barrier, {1, 32})},
    {"many threads add without atomics", Caught::with_access, "kernel not_atomic*race in global memory",
     with_output(not_atomic, {1, 32})},
    {"one block adds to what another adds to", Caught::with_access, "race in global memory*of block (*,0,0)",
     with_output(not_atomic, {2, 1})},
    {"a plain store beside atomics", Caught::with_access,
     "kernel half_atomic*race in global memory*atomically", with_output(half_atomic, {1, 32})},
    {"a block reads what another writes", Caught::with_access, "kernel between_blocks*race in global memory",
     with_output(between_blocks, {2, 1})},
};

const std::vector<Planted> unwritten{
    {"dynamic shared memory read before written", Caught::with_access,
     "shared memory read before written: byte 0 of the 128-byte dynamic shared array, at "
     "device_faults_test.cpp:",
     with_output(unwritten_dynamic, {1, 32, 128})},
    {"a static shared array read before written", Caught::with_access,
     "shared memory read before written: byte 0 of the 128-byte static shared array",
     with_output(unwritten_static, {1, 32})},
    {"what the last block left in shared memory", Caught::with_access,
     "block (1,0,0)*shared memory read before written", with_output(of_last_block, {2, 1})},
    {"global memory read before written", Caught::with_access,
     "global memory read before written: byte 0 of the 128-byte device allocation made in "
     "device_faults_test.cpp:",
     read_unwritten_global},
};

const std::vector<Planted> bounds{
    {"a write one past the end of global memory", Caught::with_access,
     "kernel write_at*writes 4 bytes at device_faults_test.cpp:*: byte 256 of the 256-byte device allocation "
     "made in "
     "*, out of bounds",
     with_output(write_at, {1, 1}, 64)},
    {"a read far before the beginning of global memory", Caught::with_access,
     "reads 4 bytes*byte -* out of bounds", with_output(read_at, {1, 1}, -900)},
    {"a write one past the end of a static shared array", Caught::with_access,
     "writes 4 bytes*byte 128 of the 128-byte static shared array, out of bounds",
     with_index(static_write_at, 32)},
    {"a read past the end of dynamic shared memory", Caught::with_access,
     "reads 4 bytes*byte 132 of the 128-byte dynamic shared array, out of bounds",
     with_output(dynamic_read_at, {1, 1, 128}, 33)},
    {"the same write past global memory", Caught::with_asan,
     "kernel write_at, block (0,0,0), thread (0,0,0):*AddressSanitizer: use-after-poison*WRITE of size 4*"
     "device_faults_test.cpp",
     with_output(write_at, {1, 1}, 64)},
    {"the same read before global memory", Caught::with_asan,
     "kernel read_at*AddressSanitizer*READ of size 4", with_output(read_at, {1, 1}, -900)},
    {"the same write past a static shared array", Caught::with_asan,
     "kernel static_write_at*AddressSanitizer: use-after-poison*WRITE of size 4",
     with_index(static_write_at, 32)},
    {"the same read past dynamic shared memory", Caught::with_asan,
     "kernel dynamic_read_at*AddressSanitizer: use-after-poison*READ of size 4",
     with_output(dynamic_read_at, {1, 1, 128}, 33)},
    {"a kernel reads host memory", Caught::with_access, "kernel copy*reads 4 bytes at *: this is host memory",
     read_host_memory},
    {"a kernel writes a variable of the program", Caught::with_access,
     "this is a variable of the program; device memory is passed by pointer",
     alone(write_program_variable, {1, 1})},
    {"a thread reads the stack of another", Caught::with_access, "this is the stack of thread 0 of its block",
     with_output(stack_of_another, {1, 2})},
    {"a thread's stack runs over", Caught::by_end,
     "kernel deep_recursion, block (0,0,0), thread (0,0,0): a thread's local memory exceeds",
     with_output(deep_recursion, {1, 1}, 1000)},
    {"dynamic shared memory that the launch did not ask for", Caught::always,
     "uses dynamic shared memory and was launched without any", alone(no_dynamic, {1, 1})},
};

const std::vector<Planted> warps{
    {"a lane calls with a mask that leaves it out", Caught::always,
     "kernel not_in_own_mask, block (0,0,0), thread (16,0,0): __syncwarp(0x0000ffff) in *: lane 16 is not in "
     "its own "
     "mask",
     alone(not_in_own_mask, {1, 32})},
    {"a lane of the mask has ended", Caught::always, "lane 0 is in the mask and has ended",
     alone(lane_has_ended, {1, 32})},
    {"a lane of the mask never comes", Caught::always,
     "deadlock: 16 threads, the first is (16,0,0), at __syncthreads*at __syncwarp(0xffffffff)",
     alone(lane_never_comes, {1, 32})},
    {"a shuffle reads a lane that is not in the mask", Caught::always,
     "__shfl_sync(0x0000ffff) in *: reads lane 20, which does not take part",
     with_output(reads_outside_mask, {1, 32})},
    {"lanes that name each other with different masks", Caught::always,
     "lanes of a warp disagree: __syncwarp(0xffff8000) in *, but lane 15 is at __syncwarp(0xffffffff)",
     alone(masks_disagree, {1, 32})},
    {"lanes at different operations", Caught::always,
     "lanes of a warp disagree: __all_sync(0xffffffff) in *, but lane 0 is at __any_sync(0xffffffff)",
     with_output(operations_disagree, {1, 32})},
    {"lanes at the same operation in different places", Caught::always,
     "lanes of a warp disagree: __shfl_xor_sync", with_output(places_disagree, {1, 32})},
};

const std::vector<Planted> async_copies{
    {"shared memory read before the copy into it was waited for", Caught::with_access,
     "reads byte 0 of the 128-byte static shared array at *, where an asynchronous copy from "
     "device_faults_test.cpp:* has not been waited for",
     with_output(async_not_waited, {1, 32})},
    {"waiting for one group too few", Caught::with_access,
     "where an asynchronous copy from * has not been waited for",
     with_output(async_one_group_short, {1, 32})},
    {"a copy waited for by its own thread alone", Caught::with_access,
     "kernel async_no_barrier*where an asynchronous copy from * has not been waited for",
     with_output(async_no_barrier, {1, 32})},
    {"a copy that nobody waits for", Caught::always,
     "ends with 1 asynchronous copies that it never waited for", with_output(async_never_waited, {1, 32})},
    {"a misaligned copy", Caught::always, "__pipeline_memcpy_async of 8 bytes: not aligned",
     with_output(async_misaligned, {1, 1})},
    {"a copy of 3 bytes", Caught::always, "__pipeline_memcpy_async of 3 bytes: only 4, 8 and 16",
     with_output(async_of_3_bytes, {1, 1})},
    {"a copy to global memory", Caught::always, "copies from global to shared memory only",
     with_output(async_to_global, {1, 1})},
};

const std::vector<Planted> launches{
    {"too many threads", Caught::always, "kernel nothing: block of (1025,1,1) threads",
     alone(nothing, {1, 1025})},
    {"too deep a block", Caught::always, "kernel nothing: block of (1,1,65) threads",
     alone(nothing, {1, {1, 1, 65}})},
    {"a block of no threads", Caught::always, "kernel nothing: block of (0,1,1) threads",
     alone(nothing, {1, 0})},
    {"too high a grid", Caught::always, "kernel nothing: grid of (1,65536,1) blocks",
     alone(nothing, {{1, 65536}, 1})},
    {"too wide a grid", Caught::always, "kernel nothing: grid of (2147483648,1,1) blocks",
     alone(nothing, {2147483648u, 1})},
    {"more than 48 KB of dynamic shared memory without opt-in", Caught::always,
     "kernel nothing: 49153 bytes of dynamic shared memory; 49152 are allowed",
     alone(nothing, {1, 1, 49153})},
    {"more static shared memory than a block can have", Caught::always,
     "kernel much_static*49156 bytes of static shared memory; a block has at most 49152",
     alone(much_static, {1, 1})},
    {"static and dynamic shared memory together beyond the device", Caught::always,
     "kernel static_and_dynamic*shared memory, static and dynamic; this device allows 101376",
     [] {
       check(cudaFuncSetAttribute(static_and_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 99 << 10));
       alone(static_and_dynamic, {1, 1, 99 << 10})();
     }},
};

}  // namespace

TEST_SUITE("emulation_device_faults") {
  TEST_CASE("missing and divergent barriers are caught") {
    emulation::check_planted(barriers);
  }
  TEST_CASE("races within a launch are caught, in any order of threads") {
    for (const FiberOrder threads : {FiberOrder::ascending, FiberOrder::descending, FiberOrder::random}) {
      auto table = order;
      for (Planted& planted : table) planted.options.order = threads;
      emulation::check_planted(table);
    }
  }
  TEST_CASE("a missing barrier gives other results in another order of threads") {
    if (emulation::accesses_are_seen()) return;  // it faults
    CHECK(result_of(no_barrier, {1, 64}, FiberOrder::ascending) !=
          result_of(no_barrier, {1, 64}, FiberOrder::descending));
    CHECK(result_of(no_syncwarp, {1, 32}, FiberOrder::ascending) !=
          result_of(no_syncwarp, {1, 32}, FiberOrder::descending));
  }
  TEST_CASE("shared memory holds all ones in every bit before it is written, for every block anew") {
    if (emulation::accesses_are_seen()) return;  // reading it faults
    CHECK(result_of(of_last_block, {2, 1}, FiberOrder::ascending)[0] == -1);
  }
  TEST_CASE("memory read before it is written is caught") {
    emulation::check_planted(unwritten);
  }
  TEST_CASE("accesses out of bounds and to foreign memory are caught") {
    emulation::check_planted(bounds);
  }
  TEST_CASE("warp operations whose lanes do not fit together are caught") {
    emulation::check_planted(warps);
  }
  TEST_CASE("asynchronous copies that were not waited for are caught") {
    emulation::check_planted(async_copies);
  }
  TEST_CASE("launches that no device takes are caught") {
    emulation::check_planted(launches);
  }
}

}  // namespace melgrad::emulated
