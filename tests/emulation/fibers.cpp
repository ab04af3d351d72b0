#include "fibers.hpp"

#include <sys/mman.h>

#include <new>

#include "sanitizer.hpp"

#ifndef MELGRAD_FIBERS_BY_UCONTEXT
// Saves the registers that a callee must keep (System V ABI) on this stack, then takes up another stack.
extern "C" void melgrad_switch_stack(void** save_stack_pointer, void* load_stack_pointer);
asm(R"(
.text
.globl melgrad_switch_stack
.type melgrad_switch_stack, @function
melgrad_switch_stack:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size melgrad_switch_stack, .-melgrad_switch_stack
)");
#endif

#if defined(__SANITIZE_ADDRESS__)
// What an AddressSanitizer of this program is to begin with; ASAN_OPTIONS go before it.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  // From GCC 13 on every stack would have another one of 3 MB beside it, mapped and unmapped for each thread
  // of each block. And host/ may not be compiled with AddressSanitizer, and then does not tell it how full a
  // vector is.
  return "detect_stack_use_after_return=0:detect_container_overflow=0";
}
#endif

namespace melgrad::emulation {
namespace {

// Where resume() was called.
struct Scheduler {
#ifdef MELGRAD_FIBERS_BY_UCONTEXT
  ucontext_t context{};
#else
  void* stack_pointer = nullptr;
#endif
  void* fake_stack = nullptr;
  const void* stack = nullptr;
  std::size_t stack_size = 0;
  Fiber::Entry entry = nullptr;
};
thread_local Scheduler scheduler;

void first_frame() {
  finish_switch(nullptr, &scheduler.stack, &scheduler.stack_size);
  scheduler.entry();
  __builtin_unreachable();  // entry() ends with Fiber::end()
}

}  // namespace

void Fiber::prepare(void* stack, std::size_t size, Entry entry) {
  stack_ = stack;
  stack_size_ = size;
  scheduler.entry = entry;
#ifdef MELGRAD_FIBERS_BY_UCONTEXT
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = size;
  context_.uc_link = nullptr;
  makecontext(&context_, first_frame, 0);
#else
  // What melgrad_switch_stack pops: six registers and the address to return to. The stack pointer is then 8
  // off a multiple of 16, as after a call.
  void** top = reinterpret_cast<void**>(static_cast<char*>(stack) + size);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&first_frame);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  stack_pointer_ = top;
#endif
}

void Fiber::resume() {
  start_switch(&scheduler.fake_stack, stack_, stack_size_);
#ifdef MELGRAD_FIBERS_BY_UCONTEXT
  swapcontext(&scheduler.context, &context_);
#else
  melgrad_switch_stack(&scheduler.stack_pointer, stack_pointer_);
#endif
  finish_switch(scheduler.fake_stack, nullptr, nullptr);
}

void Fiber::leave(bool for_good) {
  start_switch(for_good ? nullptr : &fake_stack_, scheduler.stack, scheduler.stack_size);
#ifdef MELGRAD_FIBERS_BY_UCONTEXT
  swapcontext(&context_, &scheduler.context);
#else
  melgrad_switch_stack(&stack_pointer_, scheduler.stack_pointer);
#endif
  finish_switch(fake_stack_, &scheduler.stack, &scheduler.stack_size);
}

FiberStacks::FiberStacks(int n_stacks, std::size_t stack_size)
    : stack_size_(stack_size), size_(stack_size * static_cast<std::size_t>(n_stacks)) {
  void* base =
      mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) throw std::bad_alloc();
  base_ = reinterpret_cast<std::uintptr_t>(base);
  for (int i = 0; i < n_stacks; ++i)
    mprotect(static_cast<char*>(base) + static_cast<std::size_t>(i) * stack_size_, guard_size, PROT_NONE);
}

FiberStacks::~FiberStacks() {
  munmap(reinterpret_cast<void*>(base_), size_);
}

void* FiberStacks::stack(int i) const {
  return reinterpret_cast<void*>(base_ + static_cast<std::size_t>(i) * stack_size_ + guard_size);
}

void FiberStacks::forget_frames() {
  unpoison(reinterpret_cast<void*>(base_), size_);
}

}  // namespace melgrad::emulation
