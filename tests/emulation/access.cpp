#include "access.hpp"

#include <fmt/format.h>

#include <cstring>
#include <unordered_map>

#include "session.hpp"
#include "warp.hpp"

extern "C" const char __executable_start, _end;  // by the linker: this program's code and data

namespace melgrad::emulation {
namespace {

bool callbacks_are_there = false;
constexpr std::uint32_t copy_block = ~0u;  // the "block" of copies and memsets
constexpr std::uint32_t max_epoch = 1u << 20;
constexpr std::uint32_t max_sites = 1u << 20;

// Code addresses as numbers of 20 bits.
class Sites {
 public:
  std::uint32_t number(const void* code) {
    auto& [known_code, known_number] = recent_[reinterpret_cast<std::uintptr_t>(code) / 4 % recent_.size()];
    if (known_code == code) return known_number;
    const auto [found, is_new] = numbers_.try_emplace(code, static_cast<std::uint32_t>(codes_.size()));
    if (is_new) codes_.push_back(code);
    if (codes_.size() > max_sites) fault("more than 2^20 places that access memory");
    known_code = code;
    known_number = found->second;
    return known_number;
  }
  const void* code(std::uint32_t number) const { return codes_[number]; }

 private:
  std::unordered_map<const void*, std::uint32_t> numbers_;
  std::vector<const void*> codes_;
  std::array<std::pair<const void*, std::uint32_t>, 4096> recent_{};
};
Sites& sites() {
  static thread_local Sites sites;
  return sites;
}

Shadow& shared_shadow() {
  return Session::current().shared_shadow();
}

const char* verb(AccessKind kind) {
  return kind == AccessKind::read ? "reads" : kind == AccessKind::write ? "writes" : "updates atomically";
}

// ---- races

bool is_kernel(const Access& access) {
  return access.block != copy_block;
}

bool happens_before(const Access& earlier, const Access& now, const Thread* me) {
  if (earlier.operation != now.operation)
    return Session::current().timeline().happens_before(earlier.operation, now.operation);
  if (earlier.block != now.block) return false;
  if (earlier.thread() == now.thread() || earlier.epoch() < now.epoch()) return true;
  const bool same_warp = earlier.thread() / warp_size == now.thread() / warp_size;
  return same_warp && me && me->known[earlier.thread() % warp_size] >= earlier.time();
}

std::string describe_thread(const Access& access, bool is_this_launch) {
  if (!is_kernel(access)) return Session::current().timeline().operation(access.operation).name;
  if (!is_this_launch)
    return fmt::format("{} (at {})", Session::current().timeline().operation(access.operation).name,
                       code_line(sites().code(access.site())));
  const dim3 grid = running_block().launch->grid, block = running_block().launch->block;
  const std::uint32_t b = access.block, t = access.thread();
  return fmt::format("thread ({},{},{}) of block ({},{},{}) at {}", t % block.x, t / block.x % block.y,
                     t / block.x / block.y, b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y,
                     code_line(sites().code(access.site())));
}

// Where an access goes, for messages.
struct Place {
  std::uintptr_t address;
  std::size_t size;
  const Allocation* allocation;  // null: shared memory
};

std::string describe(const Place& place) {
  if (place.allocation) return describe(*place.allocation, place.address, place.size);
  const SharedArray* array = find_shared(place.address, 1);
  return fmt::format("byte {} of the {}-byte {} shared array", place.address - array->begin, array->size,
                     array->key ? "static" : "dynamic");
}

[[noreturn]] void report_race(const Access& earlier, const Access& now, AccessKind kind,
                              const char* earlier_verb, const Place& place) {
  const bool same_launch = earlier.operation == now.operation;
  const char* what = !same_launch       ? "race between streams"
                     : place.allocation ? "race in global memory"
                                        : "race in shared memory";
  const std::string who = is_kernel(now) && running_thread()
                              ? fmt::format("at {}", code_line(sites().code(now.site())))
                              : Session::current().timeline().operation(now.operation).name;
  fault(fmt::format("{}: {} {} {} bytes, {}, which {} {} and nothing orders the two", what, who, verb(kind),
                    place.size, describe(place), describe_thread(earlier, same_launch), earlier_verb));
}

void remember_read(Cell& cell, const Access& now, const Thread* me) {
  for (Access& read : cell.reads) {
    if (read.operation == 0 || read.same_thread(now) || happens_before(read, now, me)) {
      read = now;
      return;
    }
  }
  cell.reads[1] = now;
}

void check_cell(Cell& cell, const Access& now, AccessKind kind, const Place& place, const Thread* me) {
  const bool is_shared = !place.allocation;
  // Shared memory of another block is no memory of this one.
  const auto is_stale = [&](const Access& a) {
    return a.operation == 0 || (is_shared && (a.operation != now.operation || a.block != now.block));
  };
  if (is_stale(cell.write)) {
    cell.write = {};
    if (kind != AccessKind::write && is_kernel(now) &&
        (is_shared || place.allocation->space == Space::device))
      fault(fmt::format("{} memory read before written: {}, at {}", is_shared ? "shared" : "global",
                        describe(place), code_line(sites().code(now.site()))));
  } else {
    if (cell.write.is_pending() && cell.write.operation == now.operation)
      fault(fmt::format("{} {} at {}, where an asynchronous copy from {} has not been waited for", verb(kind),
                        describe(place), code_line(sites().code(now.site())),
                        code_line(sites().code(cell.write.site()))));
    if (!(cell.write.is_atomic() && now.is_atomic()) && !happens_before(cell.write, now, me))
      report_race(cell.write, now, kind, cell.write.is_atomic() ? "updated atomically" : "wrote", place);
  }
  for (Access& read : cell.reads)
    if (is_stale(read)) read = {};
  if (kind == AccessKind::read) return remember_read(cell, now, me);
  for (Access& read : cell.reads) {
    if (read.operation != 0 && !happens_before(read, now, me)) report_race(read, now, kind, "read", place);
    read = {};
  }
  cell.write = now;
}

Access access_of(const Thread& me, AccessKind kind, const void* code, bool is_pending = false) {
  const Block& block = running_block();
  if (block.epoch >= max_epoch) fault("more than 2^20 __syncthreads: the race detector cannot count further");
  return {block.launch->operation, block.linear,
          me.linear << 22 | std::uint32_t{kind == AccessKind::atomic} << 21 |
              std::uint32_t{is_pending} << 20 | sites().number(code),
          block.epoch << 12 | me.known[me.lane()]};
}

// ---- where kernels may go

void check_global(Thread& me, Allocation& allocation, std::uintptr_t address, std::size_t size,
                  AccessKind kind, const void* code) {
  if (allocation.freed_at || !allocation.holds(address, size))
    fault(fmt::format("{} {} bytes at {}: {}", verb(kind), size, code_line(code),
                      describe(allocation, address, size)));
  const Access now = access_of(me, kind, code);
  const Place place{address, size, &allocation};
  Session::current().shadow(allocation.space).visit(address, size, [&](Cell& cell) {
    check_cell(cell, now, kind, place, &me);
    return true;
  });
}

void check_shared(Thread& me, std::uintptr_t address, std::size_t size, AccessKind kind, const void* code) {
  if (!find_shared(address, size)) {
    const SharedArray* nearest = nullptr;
    for (const SharedArray& array : running_block().shared)
      if (!nearest || (array.begin <= address && array.begin > nearest->begin)) nearest = &array;
    const std::string where = nearest ? fmt::format("byte {} of the {}-byte {} shared array",
                                                    static_cast<std::intptr_t>(address - nearest->begin),
                                                    nearest->size, nearest->key ? "static" : "dynamic")
                                      : "no shared array at all";
    fault(fmt::format("{} {} bytes at {}: {}, out of bounds", verb(kind), size, code_line(code), where));
  }
  const Access now = access_of(me, kind, code);
  shared_shadow().visit(address, size, [&](Cell& cell) {
    check_cell(cell, now, kind, Place{address, size, nullptr}, &me);
    return true;
  });
}

// Neither the device's nor shared memory: a thread's own stack, the arguments and constant tables are
// allowed.
void check_elsewhere(const Thread& me, std::uintptr_t address, std::size_t size, AccessKind kind,
                     const void* code) {
  const Launch& launch = *running_block().launch;
  const auto is_within = [&](const void* begin, std::size_t bytes) {
    return address - reinterpret_cast<std::uintptr_t>(begin) < bytes;
  };
  if (kind == AccessKind::read && is_within(launch.arguments, launch.arguments_size)) return;
  const auto program = static_cast<std::size_t>(&_end - &__executable_start);
  const bool is_of_program = is_within(&__executable_start, program);
  if (kind == AccessKind::read && is_of_program) return;
  const int holder = fiber_stacks().holder(address);
  const std::string whose = holder >= 0     ? fmt::format("the stack of thread {} of its block", holder)
                            : is_of_program ? "a variable of the program; device memory is passed by pointer"
                                            : "host memory";
  if (holder == static_cast<int>(me.linear)) return;
  fault(fmt::format("{} {} bytes at {}: this is {}", verb(kind), size, code_line(code), whose));
}

void on_host_access(std::uintptr_t address, std::size_t size, AccessKind kind, const void* code) {
  Session* session = Session::active();
  if (!session || !session->pinned().holds(address)) return;
  const std::lock_guard lock(session->mutex());
  const Allocation* allocation = session->pinned().find(address);
  if (!allocation || session->is_dead()) return;
  for (const std::uint32_t number : session->timeline().unsynchronized())
    for (const Range& range : session->timeline().operation(number).ranges)
      if (range.overlaps(address, size) && (range.is_write || kind == AccessKind::write))
        return session->keep_fault(
            fmt::format("race with the host: host code at {} {} {} bytes, {}, which {} {} and nothing has "
                        "synchronised with it",
                        code_line(code), verb(kind), size, describe(*allocation, address, size),
                        session->timeline().operation(number).name, range.is_write ? "writes" : "reads"));
}

void trace(const Thread& me, std::uintptr_t address, std::size_t size, AccessKind kind, const void* code) {
  const bool is_shared = is_shared_memory(address);
  Tracer& tracer = Session::current().tracer();
  for (std::size_t done = 0; done < size; done += 16) {  // a GPU moves at most 16 bytes a lane
    const auto part = static_cast<std::uint32_t>(std::min<std::size_t>(16, size - done));
    tracer.add({code, is_shared, kind, part}, me.linear, address + done);
  }
}

}  // namespace

bool accesses_are_seen() {
  return callbacks_are_there;
}

void see_accesses() {
  callbacks_are_there = true;
}

void on_access(const void* pointer, std::size_t size, AccessKind kind, const void* code) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Thread* me = running_thread();
  if (!me) return on_host_access(address, size, kind, code);
  if (fiber_stacks().holder(address) == static_cast<int>(me->linear)) return;
  Session& session = Session::current();
  if (is_shared_memory(address)) {
    check_shared(*me, address, size, kind, code);
  } else if (Allocation* allocation = session.find_allocation(address)) {
    check_global(*me, *allocation, address, size, kind, code);
  } else {
    return check_elsewhere(*me, address, size, kind, code);
  }
  if (session.options().trace) trace(*me, address, size, kind, code);
}

void Session::note_range(std::uint32_t operation, std::uintptr_t address, std::size_t size, bool is_write) {
  Allocation* allocation = find_allocation(address);
  if (!callbacks_are_there || !allocation) return;
  const AccessKind kind = is_write ? AccessKind::write : AccessKind::read;
  const Access now{operation, copy_block, 0, 0};
  shadow(allocation->space).visit(address, size, [&](Cell& cell) {
    check_cell(cell, now, kind, Place{address, size, allocation}, nullptr);
    return true;
  });
}

// noinline: the return address is in the kernel.
__attribute__((noinline)) void atomic_read(const void* address, void* old_value, std::size_t size) {
  if (callbacks_are_there) on_access(address, size, AccessKind::atomic, __builtin_return_address(0));
  std::memcpy(old_value, address, size);
}

void atomic_write(void* address, const void* new_value, std::size_t size) {
  std::memcpy(address, new_value, size);
}

__attribute__((noinline)) void start_async_copy(void* destination, const void* source, std::size_t size) {
  const void* code = __builtin_return_address(0);
  Thread& me = *running_thread();
  if (size != 4 && size != 8 && size != 16)
    fault(fmt::format("__pipeline_memcpy_async of {} bytes: only 4, 8 and 16 are possible", size));
  const auto to = reinterpret_cast<std::uintptr_t>(destination),
             from = reinterpret_cast<std::uintptr_t>(source);
  if (to % size != 0 || from % size != 0)
    fault(fmt::format("__pipeline_memcpy_async of {} bytes: not aligned to as many", size));
  if (!is_shared_memory(to) || is_shared_memory(from))
    fault("__pipeline_memcpy_async copies from global to shared memory only");
  if (callbacks_are_there) {
    on_access(source, size, AccessKind::read, code);
    check_shared(me, to, size, AccessKind::write, code);
    const Access pending = access_of(me, AccessKind::write, code, true);
    shared_shadow().visit(to, size, [&](Cell& cell) {
      cell.write = pending;
      return true;
    });
  }
  std::memset(destination, 0xff, size);
  me.copies.push_back({destination, source, size, me.open_group, code});
}

void commit_async_copies() {
  ++running_thread()->open_group;
}

void wait_async_copies(unsigned n_groups_left) {
  Thread& me = *running_thread();
  std::size_t n_landed = 0;
  for (const AsyncCopy& copy : me.copies) {
    if (copy.group + n_groups_left >= me.open_group) break;
    ++n_landed;
    std::memcpy(copy.destination, copy.source, copy.size);
    if (!callbacks_are_there) continue;
    const Access landed = access_of(me, AccessKind::write, copy.code);
    shared_shadow().visit(reinterpret_cast<std::uintptr_t>(copy.destination), copy.size, [&](Cell& cell) {
      cell.write = landed;
      return true;
    });
  }
  me.copies.erase(me.copies.begin(), me.copies.begin() + static_cast<std::ptrdiff_t>(n_landed));
}

void end_of_block() {
  Session& session = Session::current();
  if (!session.options().trace || !callbacks_are_there) return;
  const Block& block = running_block();
  session.tracer().end_block(block.static_shared_bytes + block.launch->dynamic_shared_bytes);
}

}  // namespace melgrad::emulation
