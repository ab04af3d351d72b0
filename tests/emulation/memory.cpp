#include "memory.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstring>
#include <new>

#include "sanitizer.hpp"

namespace melgrad::emulation {

// Layout of an allocation: a forbidden page, whole pages with the memory at their end, a forbidden page.
// Forbidden is PROT_NONE, or poisoned where AddressSanitizer is there to tell the exact place.
Arena::Arena(Space space) : space_(space), accessible_(space == Space::pinned) {
  void* base = mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) throw std::bad_alloc();
  base_ = next_ = reinterpret_cast<std::uintptr_t>(base);
}

Arena::~Arena() {
  if (has_asan) unpoison(reinterpret_cast<void*>(base_), next_ - base_);
  munmap(reinterpret_cast<void*>(base_), reserved);
}

Allocation& Arena::allocate(std::size_t size, const Site& site) {
  const std::size_t body = (size + page - 1) / page * page;
  const std::size_t whole = body + 2 * page;
  if (whole > base_ + reserved - next_) throw std::bad_alloc();
  const std::uintptr_t begin = next_ + page + (body - (size + 255) / 256 * 256);
  allocations_.push_back(std::make_unique<Allocation>(
      Allocation{.space = space_, .begin = begin, .size = size, .allocated_at = site}));
  Allocation& allocation = *allocations_.back();
  next_ += whole;
  owner_.resize((next_ - base_) / page, static_cast<std::uint32_t>(allocations_.size()));
  bytes_in_use_ += size;

  map(allocation, true);
  std::memset(reinterpret_cast<void*>(begin), 0xff, size);
  if (!accessible_) map(allocation, false);
  if (has_asan) {
    const std::uintptr_t first = begin / page * page - page, last = allocation.end();
    poison(reinterpret_cast<void*>(first), begin - first);
    poison(reinterpret_cast<void*>(last), next_ - last);
  }
  return allocation;
}

void Arena::map(Allocation& allocation, bool accessible) {
  const std::size_t margin = has_asan ? page : 0;  // AddressSanitizer wants to see the wild access itself
  const std::uintptr_t first = allocation.begin / page * page - margin;
  const std::uintptr_t last = (allocation.end() + page - 1) / page * page + margin;
  const int protection = accessible ? PROT_READ | PROT_WRITE : PROT_NONE;
  if (mprotect(reinterpret_cast<void*>(first), last - first, protection) != 0) throw std::bad_alloc();
}

void Arena::unmap(Allocation& allocation) {
  map(allocation, false);
  const std::uintptr_t first = allocation.begin / page * page;
  madvise(reinterpret_cast<void*>(first), allocation.end() - first, MADV_DONTNEED);
  allocation.is_mapped = false;
  bytes_in_use_ -= allocation.size;
}

void Arena::set_accessible(bool accessible) {
  if (accessible == accessible_) return;
  accessible_ = accessible;
  for (const auto& allocation : allocations_)
    if (allocation->is_mapped) map(*allocation, accessible);
}

Allocation* Arena::find(std::uintptr_t address) {
  if (!holds(address) || address >= next_) return nullptr;
  return allocations_[owner_[(address - base_) / page] - 1].get();
}

std::string describe(const Allocation& allocation, std::uintptr_t address, std::size_t bytes) {
  const char* space = allocation.space == Space::device ? "device" : "pinned host";
  std::string text = fmt::format("byte {} of the {}-byte {} allocation made in {}",
                                 static_cast<std::intptr_t>(address - allocation.begin), allocation.size,
                                 space, describe(allocation.allocated_at));
  if (allocation.freed_at) return text + fmt::format(", freed in {}", describe(*allocation.freed_at));
  if (!allocation.holds(address, bytes)) return text + ", out of bounds";
  return text;
}

}  // namespace melgrad::emulation
