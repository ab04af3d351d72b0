#pragma once
// Fibers: stacks that are switched by hand. The threads of a block are fibers on one thread of the host.

#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__) || defined(MELGRAD_EMULATION_UCONTEXT)
#include <ucontext.h>
#define MELGRAD_FIBERS_BY_UCONTEXT 1  // any POSIX machine; a switch costs two system calls
#endif

namespace melgrad::emulation {

class Fiber {
 public:
  using Entry = void (*)();

  // The next resume() begins `entry` on this stack; entry() ends with end().
  void prepare(void* stack, std::size_t size, Entry entry);
  // Called by the scheduler: runs the fiber until it suspends or ends.
  void resume();
  // Called on the fiber: back to the scheduler.
  void suspend() { leave(false); }
  void end() { leave(true); }

 private:
  void leave(bool for_good);

  void* stack_ = nullptr;
  std::size_t stack_size_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
#ifdef MELGRAD_FIBERS_BY_UCONTEXT
  ucontext_t context_{};
#else
  void* stack_pointer_ = nullptr;
#endif
};

// As many stacks as a block has threads, each with forbidden pages below. One per thread of the host.
class FiberStacks {
 public:
  FiberStacks(int n_stacks, std::size_t stack_size);
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;

  // Usable part of stack `i`.
  void* stack(int i) const;
  // Forgets what AddressSanitizer knows of the frames of fibers that did not end. Of those that did, only the
  // first are left, and the next fiber's lie in their places.
  void forget_frames();
  std::size_t usable_size() const { return stack_size_ - guard_size; }
  // Which stack holds `address`; -1 if none.
  int holder(std::uintptr_t address) const {
    return address - base_ < size_ ? static_cast<int>((address - base_) / stack_size_) : -1;
  }
  // Is it below the usable part of its stack, as after too deep a recursion?
  bool is_guard(std::uintptr_t address) const {
    return address - base_ < size_ && (address - base_) % stack_size_ < guard_size;
  }

 private:
  static constexpr std::size_t guard_size = 64 << 10;  // more than any one frame
  std::size_t stack_size_;
  std::size_t size_;
  std::uintptr_t base_;
};

}  // namespace melgrad::emulation
