#pragma once
// AddressSanitizer's interface, or nothing where it is not compiled in.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
namespace melgrad::emulation {
inline constexpr bool has_asan = true;
inline void poison(const void* begin, std::size_t size) {
  __asan_poison_memory_region(begin, size);
}
inline void unpoison(const void* begin, std::size_t size) {
  __asan_unpoison_memory_region(begin, size);
}
inline void start_switch(void** fake_stack, const void* stack, std::size_t size) {
  __sanitizer_start_switch_fiber(fake_stack, stack, size);
}
inline void finish_switch(void* fake_stack, const void** old_stack, std::size_t* old_size) {
  __sanitizer_finish_switch_fiber(fake_stack, old_stack, old_size);
}
}  // namespace melgrad::emulation
#else
namespace melgrad::emulation {
inline constexpr bool has_asan = false;
inline void poison(const void*, std::size_t) {}
inline void unpoison(const void*, std::size_t) {}
inline void start_switch(void**, const void*, std::size_t) {}
inline void finish_switch(void*, const void**, std::size_t*) {}
}  // namespace melgrad::emulation
#endif
