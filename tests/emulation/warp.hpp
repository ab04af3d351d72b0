#pragma once
// Shuffles, votes and reductions of a warp.

#include <cstddef>
#include <cstdint>

#include "block.hpp"

namespace melgrad::emulation {

// A thread counts its __syncwarp since the last __syncthreads in 12 bits (access.hpp).
inline constexpr unsigned max_warp_time = 1u << 12;

// Copies `size` bytes of source_lane's value into result. A source outside the mask is a fault.
void warp_shuffle(const char* operation, unsigned mask, const void* value, void* result, std::size_t size,
                  unsigned source_lane, const Site& site);

// Whether the running thread is in BlockOptions::broken_lane.
bool is_in_broken_lane();

enum class WarpReduction { ballot, add, min, max, bit_and, bit_or, bit_xor };
std::int64_t warp_reduce(const char* operation, unsigned mask, WarpReduction how, std::int64_t value,
                         const Site& site);

// Lanes of the mask with the same value.
unsigned warp_match(const char* operation, unsigned mask, std::uint64_t value, const Site& site);

}  // namespace melgrad::emulation
