#pragma once
// What the race detector remembers of every granule of memory: its last write and two reads of different
// threads.
//
// Two accesses to a byte, one of them a write, not both atomic, race unless one happens before the other:
//   same launch and block: there is a __syncthreads between, or they are of one warp and a __syncwarp (or a
//   chain of
//     them) leads from the one thread to the other, or they are of one thread;
//   same launch, other block: never (in shared memory: they do not meet);
//   other launch or copy: if the order of streams, events and host synchronisation says so.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace melgrad::emulation {

struct Access {
  std::uint32_t operation = 0;  // of the Session; 0: there was no access
  std::uint32_t block = 0;
  std::uint32_t who = 0;   // thread 10 bits | is_atomic 1 | is_pending 1 | code site 20
  std::uint32_t when = 0;  // block barriers passed 20 bits | time of the warp 12

  std::uint32_t thread() const { return who >> 22; }
  bool is_atomic() const { return who >> 21 & 1; }
  bool is_pending() const { return who >> 20 & 1; }  // an asynchronous copy that has not been waited for
  std::uint32_t site() const { return who & 0xfffff; }
  std::uint32_t epoch() const { return when >> 12; }
  std::uint32_t time() const { return when & 0xfff; }
  bool same_thread(const Access& o) const {
    return operation == o.operation && block == o.block && thread() == o.thread();
  }
};

struct Cell {
  Access write;
  Access reads[2];
};

// Cells for a range of addresses, made when first touched. A page of 4096 bytes keeps cells for words of 4
// bytes until someone touches less than a word of it.
class Shadow {
 public:
  void set_base(std::uintptr_t base) { base_ = base; }
  // Calls visit(Cell&) for each cell of [address, address + size); stops where it returns false.
  template <class Visit>
  void visit(std::uintptr_t address, std::size_t size, Visit&& visit) {
    std::uintptr_t at = address - base_;
    const std::uintptr_t end = at + size;
    while (at < end) {
      Page& page = page_for(at, (at | end) % 4 == 0 ? 4 : (at | end) % 2 == 0 ? 2 : 1);
      const std::uintptr_t page_end = (at / page_size + 1) * page_size;
      for (; at < end && at < page_end; at += page.granule)
        if (!visit(page.cells[at % page_size / page.granule])) return;
    }
  }

 private:
  static constexpr std::size_t page_size = 4096;
  struct Page {
    std::size_t granule = 0;  // bytes per cell
    std::unique_ptr<Cell[]> cells;
  };
  Page& page_for(std::uintptr_t offset, std::size_t granule) {
    const std::size_t index = offset / page_size;
    if (index >= pages_.size()) pages_.resize(index + 1);
    Page& page = pages_[index];
    if (page.granule == 0 || page.granule > granule) refine(page, granule);
    return page;
  }
  static void refine(Page& page, std::size_t granule);

  std::uintptr_t base_ = 0;
  std::vector<Page> pages_;
};

}  // namespace melgrad::emulation
