#pragma once
// One block of a kernel: its threads, barriers, warp operations and shared memory. Blocks run one after
// another, and a thread of a block runs until it must wait: whatever the order of threads, a correct kernel
// has the same result.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda_types.hpp"
#include "fault.hpp"
#include "fibers.hpp"
#include "sabotage.hpp"

namespace melgrad::emulation {

using emulated::dim3;
using emulated::uint3;

inline constexpr unsigned warp_size = 32;

enum class FiberOrder { ascending, descending, random };

enum class ThreadState : std::uint8_t { fresh, ready, at_barrier, at_warp_operation, done };

// A copy of __pipeline_memcpy_async that has been asked for and has not landed yet.
struct AsyncCopy {
  void* destination;
  const void* source;
  std::size_t size;
  unsigned group;
  const void* code;
};

struct Thread {
  Fiber fiber;
  uint3 index{};        // threadIdx
  unsigned linear = 0;  // in the block
  ThreadState state = ThreadState::fresh;

  // What it waits for.
  const char* operation = "";
  Site site;
  unsigned mask = 0;         // of a warp operation
  void* argument = nullptr;  // of a warp operation, on this thread's stack
  int predicate = 0;         // of a barrier: in, and the count over the block: out

  // What it knows of its warp since the last block barrier, for the race detector: accesses that lane l made
  // at its time known[l] or before have happened before whatever this thread does next. known[own lane] is
  // its own time.
  std::array<std::uint16_t, warp_size> known{};

  std::vector<AsyncCopy> copies;
  unsigned open_group = 0;  // of copies; groups before it are committed

  unsigned lane() const { return linear % warp_size; }
};

// An array in shared memory, from SHARED_ARRAY (key: its place in the source) or DYNAMIC_SHARED (key: null).
struct SharedArray {
  const void* key;
  std::uintptr_t begin;
  std::size_t size;
};

// What one launch asks for.
struct Launch {
  const void* kernel = nullptr;  // address of the function
  Site site;                     // where launch() was called
  std::uint32_t operation = 0;   // its number in the Session
  dim3 grid, block;
  std::size_t dynamic_shared_bytes = 0;
  const void* arguments = nullptr;  // what body() reads
  std::size_t arguments_size = 0;
  void (*body)(const void* arguments) = nullptr;  // one thread
};

// Limits and habits that a Session gives to the blocks it runs.
struct BlockOptions {
  FiberOrder order = FiberOrder::ascending;
  std::uint64_t seed = 1;
  bool allow_exited_threads =
      false;  // CUDA lets threads leave before a barrier of the others; we call it a mistake
  std::size_t static_shared_limit = 48 << 10;
  std::size_t shared_limit = 99 << 10;  // static and dynamic together
  int broken_lane = -1;                 // floats that shuffles give to this lane of every warp are wrong
  Saboteur* saboteur = nullptr;
};

// Every block of the launch. Throws Fault.
void run_grid(const Launch& launch, const BlockOptions& options);

// The thread whose fiber is running on this thread of the host; null on the host's own stack.
Thread* running_thread();

struct Block {
  const Launch* launch = nullptr;
  BlockOptions options;
  uint3 index{};
  std::uint32_t linear = 0;
  std::uint32_t n_threads = 0;
  std::uint32_t n_done = 0;
  std::uint32_t n_at_barrier = 0;
  std::uint32_t epoch = 0;  // block barriers passed
  std::string fault;
  std::vector<Thread> threads;
  std::vector<SharedArray> shared;
  std::size_t static_shared_bytes = 0;
};
Block& running_block();  // only while one runs

// Where the stacks of threads and shared memory lie, for the access checks.
const FiberStacks& fiber_stacks();
std::uintptr_t shared_memory_begin();
bool is_shared_memory(std::uintptr_t address);
// The array that holds [address, address + size) wholly, or null.
const SharedArray* find_shared(std::uintptr_t address, std::size_t size);

// "kernel scan, block (1,0,0), thread (5,0,0)"
std::string describe_running_thread();
// Marks the block as faulty and leaves the running thread for good.
[[noreturn]] void stop_block(std::string message);

// ---- what device functions are made of

// Waits for every thread of the block at the same site; returns how many predicates were not 0.
int block_barrier(const char* operation, int predicate, const Site& site);

// Waits for every lane of the mask, at the same site with the same mask. The last to arrive calls complete()
// with the arguments of all (null: not in the mask). `orders_memory`: only __syncwarp does; CUDA promises
// nothing else.
using CompleteWarp = void (*)(void* const* arguments);
void warp_operation(const char* operation, unsigned mask, void* argument, CompleteWarp complete,
                    bool orders_memory, const Site& site);

void* shared_array(const void* key, std::size_t size, std::size_t alignment);
void* dynamic_shared();

}  // namespace melgrad::emulation
