#pragma once
// Every access of a kernel to memory, where its source is compiled with -fsanitize=thread: the compiler then
// calls
// __tsan_read4() and the like before each load and store. libtsan is not linked; access.cpp defines these
// functions. They check bounds, races (shadow.hpp), reads before writes, and count for the audit (trace.hpp).

#include <cstddef>
#include <cstdint>

namespace melgrad::emulation {

enum class AccessKind : std::uint8_t { read, write, atomic };

// Whether any kernel source in this program was compiled so.
bool accesses_are_seen();

// Called for every access; `code` is the return address in the kernel. Outside of kernels it watches what
// host code does with pinned memory.
void on_access(const void* address, std::size_t size, AccessKind kind, const void* code);

// The halves of an atomic operation on memory of the device, for device_functions.hpp.
void atomic_read(const void* address, void* old_value, std::size_t size);
void atomic_write(void* address, const void* new_value, std::size_t size);

// cp.async: the bytes land only when waited for, and until then nobody may touch them.
void start_async_copy(void* destination, const void* source, std::size_t size);
void commit_async_copies();
void wait_async_copies(unsigned n_groups_left);

// A block has run to its end.
void end_of_block();

}  // namespace melgrad::emulation
