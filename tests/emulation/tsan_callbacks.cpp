// The functions that gcc calls in code compiled with -fsanitize=thread. libtsan would define them; it is not
// linked, for it knows nothing of fibers and warps. This file itself is compiled without that option.

#include <cstddef>
#include <cstdint>

#include "access.hpp"

namespace melgrad::emulation {
void see_accesses();
}

using melgrad::emulation::AccessKind;
using melgrad::emulation::on_access;

#define MELGRAD_CALLBACK(name, size, kind)                                   \
  extern "C" void name(void* address) {                                      \
    on_access(address, size, AccessKind::kind, __builtin_return_address(0)); \
  }
#define MELGRAD_CALLBACKS(size)                               \
  MELGRAD_CALLBACK(__tsan_read##size, size, read)             \
  MELGRAD_CALLBACK(__tsan_write##size, size, write)           \
  MELGRAD_CALLBACK(__tsan_unaligned_read##size, size, read)   \
  MELGRAD_CALLBACK(__tsan_unaligned_write##size, size, write) \
  MELGRAD_CALLBACK(__tsan_volatile_read##size, size, read)    \
  MELGRAD_CALLBACK(__tsan_volatile_write##size, size, write)
MELGRAD_CALLBACKS(1)
MELGRAD_CALLBACKS(2)
MELGRAD_CALLBACKS(4)
MELGRAD_CALLBACKS(8)
MELGRAD_CALLBACKS(16)

extern "C" {
void __tsan_read_range(void* address, std::size_t size) {
  on_access(address, size, AccessKind::read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, std::size_t size) {
  on_access(address, size, AccessKind::write, __builtin_return_address(0));
}
void __tsan_init() {
  melgrad::emulation::see_accesses();
}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {}
}

// Atomics of host code in the same source (std::shared_ptr, std::atomic): as they are.
#define MELGRAD_ATOMICS(bits)                                                                               \
  extern "C" {                                                                                              \
  std::uint##bits##_t __tsan_atomic##bits##_load(const std::uint##bits##_t* p, int) {                       \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                            \
  }                                                                                                         \
  void __tsan_atomic##bits##_store(std::uint##bits##_t* p, std::uint##bits##_t v, int) {                    \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                               \
  }                                                                                                         \
  std::uint##bits##_t __tsan_atomic##bits##_exchange(std::uint##bits##_t* p, std::uint##bits##_t v, int) {  \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                     \
  }                                                                                                         \
  std::uint##bits##_t __tsan_atomic##bits##_fetch_add(std::uint##bits##_t* p, std::uint##bits##_t v, int) { \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                         \
  std::uint##bits##_t __tsan_atomic##bits##_fetch_sub(std::uint##bits##_t* p, std::uint##bits##_t v, int) { \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                         \
  std::uint##bits##_t __tsan_atomic##bits##_fetch_and(std::uint##bits##_t* p, std::uint##bits##_t v, int) { \
    return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                         \
  std::uint##bits##_t __tsan_atomic##bits##_fetch_or(std::uint##bits##_t* p, std::uint##bits##_t v, int) {  \
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);                                                       \
  }                                                                                                         \
  std::uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(std::uint##bits##_t* p,                    \
                                                                 std::uint##bits##_t expected,              \
                                                                 std::uint##bits##_t v, int, int) {         \
    __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                \
    return expected;                                                                                        \
  }                                                                                                         \
  int __tsan_atomic##bits##_compare_exchange_strong(std::uint##bits##_t* p, std::uint##bits##_t* expected,  \
                                                    std::uint##bits##_t v, int, int) {                      \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);          \
  }                                                                                                         \
  int __tsan_atomic##bits##_compare_exchange_weak(std::uint##bits##_t* p, std::uint##bits##_t* expected,    \
                                                  std::uint##bits##_t v, int, int) {                        \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);          \
  }                                                                                                         \
  }
MELGRAD_ATOMICS(8)
MELGRAD_ATOMICS(16)
MELGRAD_ATOMICS(32)
MELGRAD_ATOMICS(64)
