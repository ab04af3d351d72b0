// Memory, copies, devices and errors of the emulated runtime.

#include <algorithm>
#include <cstring>

#include "runtime_calls.hpp"

namespace melgrad::emulation {
namespace {

std::uint64_t hash_bytes(const Range& range) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto* bytes = reinterpret_cast<const unsigned char*>(range.begin);
  for (std::size_t at = 0; at < range.size; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + at, std::min<std::size_t>(8, range.size - at));
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 29;
  }
  return hash;
}

bool is_device(Session& session, const Range& range) {
  return session.device().holds(range.begin);
}

// Of all host memory that the operation reads.
std::uint64_t hash_sources(Session& session, const Operation& operation) {
  std::uint64_t hash = 0;
  for (const Range& range : operation.ranges)
    if (!range.is_write && !is_device(session, range)) hash = hash * 31 + hash_bytes(range);
  return hash;
}

// The operation must start after the allocation was made, in the order of streams.
void check_reference(Session& session, const Operation& operation, std::uintptr_t address) {
  const Allocation* allocation = session.device().find(address);
  if (!allocation || !allocation->holds(address, 0)) return;
  if (allocation->freed_at && address < allocation->end())
    fault(fmt::format("{} uses {}", operation.name, describe(*allocation, address, 1)));
  if (allocation->freed_by_stream_at && !operation.number && address < allocation->end())
    fault(fmt::format("{} uses {}, after cudaFreeAsync in {}", operation.name,
                      describe(*allocation, address, 1), describe(*allocation->freed_by_stream_at)));
  if (allocation->made_by && operation.number &&
      !session.timeline().is_ordered(allocation->made_by, operation.clock))
    fault(fmt::format("{} uses {} and is not ordered after it", operation.name,
                      describe(*allocation, address, 1)));
}

}  // namespace

void check_references(Session& session, const Operation& operation) {
  for (const Range& range : operation.ranges) check_reference(session, operation, range.begin);
  for (const std::uintptr_t word : operation.pointers) check_reference(session, operation, word);
}

Operation& push(Session& session, StreamState& stream, Operation operation) {
  check_references(session, operation);
  operation.source_hash = hash_sources(session, operation);
  // What a copy will bring to the host is not there yet. Bytes that an earlier copy still reads are let be.
  for (const Range& range : operation.ranges) {
    if (!range.is_write || is_device(session, range)) continue;
    bool is_read = false;
    for (const std::uint32_t number : session.timeline().unsynchronized())
      for (const Range& other : session.timeline().operation(number).ranges)
        is_read |= !other.is_write && other.overlaps(range.begin, range.size);
    if (!is_read) std::memset(reinterpret_cast<void*>(range.begin), 0xff, range.size);
  }
  Operation* pushed = nullptr;
  session.run_device([&] { pushed = &session.timeline().push(stream, std::move(operation)); });
  return *pushed;
}

}  // namespace melgrad::emulation

namespace melgrad::emulated {

using namespace emulation;

namespace {

std::uintptr_t address_of(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

// Whether [pointer, pointer + size) is device memory; faults if it is neither that nor host memory as a
// whole.
bool check_bytes(Session& session, const void* pointer, std::size_t size, const char* role) {
  Allocation* allocation = session.find_allocation(address_of(pointer));
  if (!allocation) {
    if (session.device().holds(address_of(pointer))) fault(fmt::format("the {} was never allocated", role));
    return false;
  }
  if (allocation->freed_at || !allocation->holds(address_of(pointer), size))
    fault(fmt::format("the {} of {} bytes is {}", role, size,
                      describe(*allocation, address_of(pointer), size)));
  return allocation->space == Space::device;
}

void check_kind(bool to_device, bool from_device, cudaMemcpyKind kind) {
  if (kind == cudaMemcpyDefault) return;
  const int is = 2 * from_device + to_device;
  constexpr int kinds[] = {cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost,
                           cudaMemcpyDeviceToDevice};
  constexpr const char* names[] = {"cudaMemcpyHostToHost", "cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost",
                                   "cudaMemcpyDeviceToDevice"};
  if (kinds[is] != kind) fault(fmt::format("the kind says {}, the pointers say {}", names[kind], names[is]));
}

struct Copy {
  void* to;
  std::size_t to_pitch;
  const void* from;
  std::size_t from_pitch;
  std::size_t width, height;
};

// The operation of a copy of `height` rows of `width` bytes.
Operation make_copy(Session& session, const Copy& copy, cudaMemcpyKind kind, bool is_async,
                    const std::string& name) {
  const auto row = [](auto* pointer, std::size_t pitch, std::size_t i) {
    using Byte =
        std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(pointer)>>, const char, char>;
    return static_cast<Byte*>(pointer) + pitch * i;
  };
  Operation operation;
  operation.name = name;
  operation.needs_synchronization = true;
  for (std::size_t i = 0; i < copy.height; ++i) {
    const void *to = row(copy.to, copy.to_pitch, i), *from = row(copy.from, copy.from_pitch, i);
    const bool to_device = check_bytes(session, to, copy.width, "destination");
    const bool from_device = check_bytes(session, from, copy.width, "source");
    check_kind(to_device, from_device, kind);
    for (const auto& [pointer, on_device] : {std::pair(to, to_device), std::pair(from, from_device)})
      if (is_async && !on_device && !session.pinned().find(address_of(pointer)) &&
          !session.options().allow_pageable)
        fault("the host memory is pageable: CUDA does not copy it asynchronously; take cudaMallocHost");
    operation.ranges.push_back({address_of(to), copy.width, true});
    operation.ranges.push_back({address_of(from), copy.width, false});
  }
  operation.run = [&session, copy, row](std::uint32_t number) {
    const Operation& self = session.timeline().operation(number);
    check_references(session, self);
    if (hash_sources(session, self) != self.source_hash)
      fault(fmt::format("the host memory that {} reads was changed before the copy was over", self.name));
    session.run_device([&] {
      for (const Range& range : self.ranges)
        session.note_range(number, range.begin, range.size, range.is_write);
      for (std::size_t i = 0; i < copy.height; ++i)
        std::memmove(row(copy.to, copy.to_pitch, i), row(copy.from, copy.from_pitch, i), copy.width);
    });
  };
  return operation;
}

Operation make_memset(Session& session, void* pointer, int value, std::size_t size, const std::string& name) {
  if (!check_bytes(session, pointer, size, "memory")) fault("the memory is not the device's");
  Operation operation;
  operation.name = name;
  operation.needs_synchronization = true;
  operation.ranges.push_back({address_of(pointer), size, true});
  operation.run = [&session, pointer, value, size](std::uint32_t number) {
    check_references(session, session.timeline().operation(number));
    session.run_device([&] {
      session.note_range(number, address_of(pointer), size, true);
      std::memset(pointer, value, size);
    });
  };
  return operation;
}

// Does the operation use the allocation, as far as can be seen?
bool uses(const Operation& operation, const Allocation& allocation) {
  for (const Range& range : operation.ranges)
    if (range.overlaps(allocation.begin, allocation.size)) return true;
  for (const std::uintptr_t word : operation.pointers)
    if (word - allocation.begin < allocation.size) return true;
  return false;
}

Allocation& allocation_to_free(Arena& arena, void* pointer) {
  Allocation* allocation = arena.find(address_of(pointer));
  if (!allocation || allocation->begin != address_of(pointer))
    fault(fmt::format("{} is not where an allocation of this kind begins", pointer));
  if (allocation->freed_at || allocation->freed_by_stream_at)
    fault(fmt::format("freed twice: {}", describe(*allocation, allocation->begin, 1)));
  return *allocation;
}

cudaError free_now(Session& session, Arena& arena, void* pointer, const Site& site) {
  if (!pointer) return cudaSuccess;
  refuse_during_capture(session);
  Allocation& allocation = allocation_to_free(arena, pointer);
  for (const std::uint32_t number : session.timeline().unsynchronized()) {
    const Operation& operation = session.timeline().operation(number);
    if (uses(operation, allocation))
      fault(fmt::format("freed too early: nothing has waited for {}, which uses {}", operation.name,
                        describe(allocation, allocation.begin, 1)));
  }
  allocation.freed_at = site;
  arena.unmap(allocation);
  return cudaSuccess;
}

// Null: no memory left.
Allocation* allocate(Session& session, Arena& arena, std::size_t size, const Site& site) {
  const std::size_t limit = session.device_model().memory;
  if (arena.bytes_in_use() + size > limit) return nullptr;
  return &arena.allocate(size, site);
}

cudaError allocate_now(Session& session, Arena& arena, void** pointer, std::size_t size, const Site& site) {
  refuse_during_capture(session);
  *pointer = nullptr;
  if (size == 0) return cudaSuccess;
  Saboteur* const saboteur = session.options().saboteur;
  if (saboteur != nullptr && saboteur->strikes(Sabotage::short_allocation, "memory", site)) --size;
  const Allocation* allocation = allocate(session, arena, size, site);
  if (!allocation) return cudaErrorMemoryAllocation;
  *pointer = reinterpret_cast<void*>(allocation->begin);
  return cudaSuccess;
}

}  // namespace

// ---- memory

cudaError_t cudaMalloc(void** pointer, std::size_t size, Site site) {
  return runtime_call("cudaMalloc", site, [&](Session& session) {
    return allocate_now(session, session.device(), pointer, size, site);
  });
}
cudaError_t cudaFree(void* pointer, Site site) {
  return release_call("cudaFree", site,
                      [&](Session& session) { return free_now(session, session.device(), pointer, site); });
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t size, unsigned, Site site) {
  return runtime_call("cudaHostAlloc", site, [&](Session& session) {
    return allocate_now(session, session.pinned(), pointer, size, site);
  });
}
cudaError_t cudaMallocHost(void** pointer, std::size_t size, Site site) {
  return cudaHostAlloc(pointer, size, cudaHostAllocDefault, site);
}
cudaError_t cudaFreeHost(void* pointer, Site site) {
  return release_call("cudaFreeHost", site,
                      [&](Session& session) { return free_now(session, session.pinned(), pointer, site); });
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t size, cudaStream_t stream, Site site) {
  return runtime_call("cudaMallocAsync", site, [&](Session& session) {
    StreamState& on = stream_of(session, stream);
    refuse_during_capture(session);
    *pointer = nullptr;
    if (size == 0) return cudaSuccess;
    Allocation* allocation = allocate(session, session.device(), size, site);
    if (!allocation) return cudaErrorMemoryAllocation;
    *pointer = reinterpret_cast<void*>(allocation->begin);
    Operation made;
    made.name = name_of("cudaMallocAsync", site);
    allocation->made_by = push(session, on, std::move(made)).number;
    return cudaSuccess;
  });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream, Site site) {
  return release_call("cudaFreeAsync", site, [&](Session& session) {
    if (!pointer) return cudaSuccess;
    StreamState& on = stream_of(session, stream);
    refuse_during_capture(session);
    Allocation& allocation = allocation_to_free(session.device(), pointer);
    Operation free;
    free.name = name_of("cudaFreeAsync", site);
    free.run = [&session, &allocation](std::uint32_t) { session.device().unmap(allocation); };
    // Users are looked at before the memory may go.
    Operation point;
    point.name = free.name;
    const Clock clock = push(session, on, std::move(point)).clock;
    for (const std::uint32_t number : session.timeline().unsynchronized()) {
      const Operation& user = session.timeline().operation(number);
      if (uses(user, allocation) && user.stream != on.index && !session.timeline().is_ordered(number, clock))
        fault(fmt::format("freed too early: {} uses {} and is not ordered before", user.name,
                          describe(allocation, allocation.begin, 1)));
    }
    push(session, on, std::move(free));
    allocation.freed_by_stream_at = site;
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream, Site site) {
  return runtime_call("cudaMemcpyAsync", site, [&](Session& session) {
    StreamState& on = stream_of(session, stream);
    if (size == 0) return cudaSuccess;
    enqueue(
        session, on,
        make_copy(session, {to, size, from, size, size, 1}, kind, true, name_of("cudaMemcpyAsync", site)));
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream,
                              Site site) {
  return runtime_call("cudaMemcpy2DAsync", site, [&](Session& session) {
    StreamState& on = stream_of(session, stream);
    if (width > to_pitch || width > from_pitch) return cudaErrorInvalidValue;
    if (width == 0 || height == 0) return cudaSuccess;
    enqueue(session, on,
            make_copy(session, {to, to_pitch, from, from_pitch, width, height}, kind, true,
                      name_of("cudaMemcpy2DAsync", site)));
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind, Site site) {
  return runtime_call("cudaMemcpy", site, [&](Session& session) {
    refuse_during_capture(session);
    if (size == 0) return cudaSuccess;
    StreamState& on = session.timeline().stream(0);
    Operation copy =
        make_copy(session, {to, size, from, size, size, 1}, kind, false, name_of("cudaMemcpy", site));
    const std::uint32_t number = push(session, on, std::move(copy)).number;
    session.run_device([&] { session.timeline().synchronize(number); });
    return cudaSuccess;
  });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t size, cudaStream_t stream, Site site) {
  return runtime_call("cudaMemsetAsync", site, [&](Session& session) {
    StreamState& on = stream_of(session, stream);
    if (size == 0) return cudaSuccess;
    enqueue(session, on, make_memset(session, pointer, value, size, name_of("cudaMemsetAsync", site)));
    return cudaSuccess;
  });
}
// CUDA: asynchronous to the host, on the default stream.
cudaError_t cudaMemset(void* pointer, int value, std::size_t size, Site site) {
  return cudaMemsetAsync(pointer, value, size, nullptr, site);
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total, Site site) {
  return runtime_call("cudaMemGetInfo", site, [&](Session& session) {
    *total = session.device_model().memory;
    *free = *total - session.device().bytes_in_use();
    return cudaSuccess;
  });
}

}  // namespace melgrad::emulated
