#include "block.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <tuple>

#include "access.hpp"
#include "sanitizer.hpp"

namespace melgrad::emulation {
namespace {

constexpr int max_threads = 1024;
constexpr std::size_t stack_bytes = has_asan ? 320 << 10 : 192 << 10;  // with the guard

// Room for every array of a block. Static arrays fill it from its beginning, with gaps between them; the
// dynamic array begins at the middle.
constexpr std::size_t shared_room = 1 << 20;
constexpr std::size_t dynamic_begin = shared_room / 2;
constexpr std::size_t array_gap = 256;

struct Room {
  Room()
      : begin(static_cast<char*>(mmap(nullptr, shared_room, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (begin == MAP_FAILED) throw std::bad_alloc();
  }
  ~Room() { munmap(begin, shared_room); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  char* begin;
};

// What runs blocks on one thread of the host.
struct Runner {
  FiberStacks stacks{max_threads, stack_bytes};
  Room room;
  Block block;
  std::vector<std::uint32_t> order;
  std::mt19937_64 random;
  bool left_frames = false;  // by a block that was given up
};
Runner& runner() {
  static thread_local Runner runner;
  return runner;
}

thread_local Thread* current_thread = nullptr;

struct StopThread {};

void thread_main() {
  const Launch& launch = *runner().block.launch;
  try {
    launch.body(launch.arguments);
    if (!current_thread->copies.empty())
      fault(fmt::format("ends with {} asynchronous copies that it never waited for",
                        current_thread->copies.size()));
  } catch (StopThread) {
  }
  current_thread->state = ThreadState::done;
  ++runner().block.n_done;
  current_thread->fiber.end();
}

void resume(Thread& thread) {
  Runner& r = runner();
  if (thread.state == ThreadState::fresh) {
    const int i = static_cast<int>(thread.linear);
    // Stacks end at different places in a page, or all of them would fight for the same lines of the cache.
    const std::size_t colour = 64 * (static_cast<std::size_t>(i) % 61);
    thread.fiber.prepare(r.stacks.stack(i), r.stacks.usable_size() - colour, thread_main);
    thread.state = ThreadState::ready;
  }
  current_thread = &thread;
  thread.fiber.resume();
  current_thread = nullptr;
}

// "31 threads, the first is (1,0,0), wait at __syncthreads in scan.cu:12" for every place where any wait.
std::string describe_waiting(const Block& block) {
  std::map<std::tuple<std::string, std::string>, std::pair<int, const Thread*>> places;
  for (const Thread& thread : block.threads) {
    if (thread.state != ThreadState::at_barrier && thread.state != ThreadState::at_warp_operation) continue;
    std::string operation = thread.operation;
    if (thread.state == ThreadState::at_warp_operation) operation += fmt::format("({:#010x})", thread.mask);
    auto& [count, first] = places[{operation, describe(thread.site)}];
    if (count++ == 0) first = &thread;
  }
  std::string text;
  for (const auto& [place, threads] : places) {
    const auto& [operation, site] = place;
    const auto& [count, first] = threads;
    text += fmt::format("{}{} {}, the first is ({},{},{}), at {} in {}", text.empty() ? "" : "; ", count,
                        count == 1 ? "thread" : "threads", first->index.x, first->index.y, first->index.z,
                        operation, site);
  }
  if (block.n_done > 0) text += fmt::format("; {} of {} threads have ended", block.n_done, block.n_threads);
  return text;
}

std::string describe_block(const Block& block) {
  return fmt::format("kernel {}, block ({},{},{})", function_name(block.launch->kernel), block.index.x,
                     block.index.y, block.index.z);
}

// 1 if the array that a block asks for after n_static others is to lack its last byte. The dynamic one is -1.
std::size_t is_too_short(const Block& block, int n_static) {
  const std::string kernel = function_name(block.launch->kernel);
  return block.options.saboteur->strikes(
             Sabotage::short_array,
             n_static < 0 ? "dynamic array of " + kernel : fmt::format("array {} of {}", n_static, kernel))
             ? 1
             : 0;
}

// Everyone who has not ended has come to a barrier: lets them go, or says what is wrong.
void release_barrier(Block& block) {
  const Thread* first = nullptr;
  int count = 0;
  for (Thread& thread : block.threads) {
    if (thread.state != ThreadState::at_barrier) continue;
    if (!first) first = &thread;
    if (thread.site.line() != first->site.line() || !same_text(thread.operation, first->operation) ||
        !same_text(thread.site.file_name(), first->site.file_name()))
      throw Fault(fmt::format("{}: divergent barrier: {}", describe_block(block), describe_waiting(block)));
    count += thread.predicate != 0;
  }
  if (block.n_done > 0 && !block.options.allow_exited_threads)
    throw Fault(fmt::format("{}: missing barrier: {} without reaching it", describe_block(block),
                            describe_waiting(block)));
  for (Thread& thread : block.threads) {
    if (thread.state != ThreadState::at_barrier) continue;
    thread.state = ThreadState::ready;
    thread.predicate = count;
    thread.known.fill(0);
    thread.known[thread.lane()] = 1;
  }
  block.n_at_barrier = 0;
  ++block.epoch;
}

void begin_block(Block& block) {
  block.n_done = block.n_at_barrier = block.epoch = 0;
  block.fault.clear();
  block.shared.clear();
  block.static_shared_bytes = 0;
  block.threads.resize(block.n_threads);
  const dim3 shape = block.launch->block;
  for (std::uint32_t i = 0; i < block.n_threads; ++i) {
    Thread& thread = block.threads[i];
    thread.index = {i % shape.x, i / shape.x % shape.y, i / shape.x / shape.y};
    thread.linear = i;
    thread.state = ThreadState::fresh;
    thread.known.fill(0);
    thread.known[thread.lane()] = 1;
    thread.copies.clear();
    thread.open_group = 0;
  }
  char* room = runner().room.begin;
  poison(room, shared_room);
  if (std::size_t bytes = block.launch->dynamic_shared_bytes; bytes > 0) {
    if (block.options.saboteur != nullptr) bytes -= is_too_short(block, -1);
    unpoison(room + dynamic_begin, bytes);
    std::memset(room + dynamic_begin, 0xff, bytes);  // NaN, -1: whoever reads before writing shall notice
    block.shared.push_back({nullptr, reinterpret_cast<std::uintptr_t>(room) + dynamic_begin, bytes});
  }
}

void arrange(std::vector<std::uint32_t>& order, std::uint32_t n, FiberOrder how, std::mt19937_64& random) {
  order.resize(n);
  for (std::uint32_t i = 0; i < n; ++i) order[i] = how == FiberOrder::descending ? n - 1 - i : i;
  if (how == FiberOrder::random) std::shuffle(order.begin(), order.end(), random);
}

void run_block(Block& block) {
  begin_block(block);
  Runner& r = runner();
  if (r.left_frames) r.stacks.forget_frames();
  r.left_frames = true;
  arrange(r.order, block.n_threads, block.options.order, r.random);
  while (block.n_done < block.n_threads) {
    if (block.options.order == FiberOrder::random) std::shuffle(r.order.begin(), r.order.end(), r.random);
    bool any_ran = false;
    for (const std::uint32_t i : r.order) {
      Thread& thread = block.threads[i];
      if (thread.state > ThreadState::ready) continue;
      any_ran = true;
      resume(thread);
      if (!block.fault.empty()) throw Fault(block.fault);
    }
    if (any_ran) continue;
    if (block.n_at_barrier + block.n_done < block.n_threads)
      throw Fault(fmt::format("{}: deadlock: {}", describe_block(block), describe_waiting(block)));
    release_barrier(block);
  }
  r.left_frames = false;
  end_of_block();
}

}  // namespace

Thread* running_thread() {
  return current_thread;
}
Block& running_block() {
  return runner().block;
}
const FiberStacks& fiber_stacks() {
  return runner().stacks;
}

std::string describe_running_thread() {
  const uint3 i = current_thread->index;
  return fmt::format("{}, thread ({},{},{})", describe_block(running_block()), i.x, i.y, i.z);
}

void stop_block(std::string message) {
  running_block().fault = std::move(message);
  // Where leaks are looked for, what the stack holds is given back. Elsewhere the stack is abandoned as it
  // is: a fault may come from within __tsan_read4() and the like, through which gcc lets no exception pass.
  if (has_asan) throw StopThread();
  current_thread->fiber.suspend();
  __builtin_unreachable();  // run_block() throws
}

void run_grid(const Launch& launch, const BlockOptions& options) {
  Runner& r = runner();
  r.block.launch = &launch;
  r.block.options = options;
  r.block.n_threads = launch.block.x * launch.block.y * launch.block.z;
  r.random.seed(options.seed);
  const std::uint64_t n_blocks = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  std::vector<std::uint32_t> order;
  arrange(order, static_cast<std::uint32_t>(n_blocks), options.order, r.random);
  for (const std::uint32_t b : order) {
    r.block.linear = b;
    r.block.index = {b % launch.grid.x, b / launch.grid.x % launch.grid.y, b / launch.grid.x / launch.grid.y};
    run_block(r.block);
  }
}

int block_barrier(const char* operation, int predicate, const Site& site) {
  Saboteur* const saboteur = running_block().options.saboteur;
  if (saboteur != nullptr && saboteur->strikes(Sabotage::no_barrier, operation, site)) return predicate;
  Thread& me = *current_thread;
  me.operation = operation;
  me.site = site;
  me.predicate = predicate;
  me.state = ThreadState::at_barrier;
  ++running_block().n_at_barrier;
  me.fiber.suspend();
  return me.predicate;
}

std::uintptr_t shared_memory_begin() {
  return reinterpret_cast<std::uintptr_t>(runner().room.begin);
}

bool is_shared_memory(std::uintptr_t address) {
  return address - shared_memory_begin() < shared_room;
}

const SharedArray* find_shared(std::uintptr_t address, std::size_t size) {
  for (const SharedArray& array : running_block().shared)
    if (address - array.begin < array.size && size <= array.size - (address - array.begin)) return &array;
  return nullptr;
}

void* shared_array(const void* key, std::size_t size, std::size_t alignment) {
  Block& block = running_block();
  char* room = runner().room.begin;
  std::size_t end = 0;
  int n_static = 0;
  for (const SharedArray& array : block.shared) {
    if (array.key == key) return reinterpret_cast<void*>(array.begin);
    if (!array.key) continue;
    end = std::max(end, array.begin - shared_memory_begin() + array.size);
    ++n_static;
  }
  if (block.options.saboteur != nullptr) size -= is_too_short(block, n_static);
  block.static_shared_bytes = (block.static_shared_bytes + alignment - 1) / alignment * alignment + size;
  if (block.static_shared_bytes > block.options.static_shared_limit)
    fault(fmt::format("{} bytes of static shared memory; a block has at most {}", block.static_shared_bytes,
                      block.options.static_shared_limit));
  const std::size_t all = block.static_shared_bytes + block.launch->dynamic_shared_bytes;
  if (all > block.options.shared_limit)
    fault(fmt::format("{} bytes of shared memory, static and dynamic; this device allows {}", all,
                      block.options.shared_limit));
  const std::size_t begin = (end + array_gap) / array_gap * array_gap;  // a gap even after a full multiple
  block.shared.push_back({key, reinterpret_cast<std::uintptr_t>(room) + begin, size});
  unpoison(room + begin, size);
  std::memset(room + begin, 0xff, size);
  return room + begin;
}

void* dynamic_shared() {
  if (running_block().launch->dynamic_shared_bytes == 0)
    fault("uses dynamic shared memory and was launched without any");
  return runner().room.begin + dynamic_begin;
}

}  // namespace melgrad::emulation
