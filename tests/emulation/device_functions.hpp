#pragma once
// Device functions that need their block or warp, and atomics.

#include <cstdint>
#include <type_traits>

#include "access.hpp"
#include "block.hpp"
#include "cuda_types.hpp"
#include "warp.hpp"

namespace melgrad::emulation {
// Constant for a thread, so that the compiler may keep them; returned by value, so that no load is seen.
[[gnu::const]] uint3 thread_index();
[[gnu::const]] uint3 block_index();
[[gnu::const]] dim3 block_shape();
[[gnu::const]] dim3 grid_shape();
// Lane that a shuffle reads: of the same segment of `width` lanes, or the own one where that would leave it.
[[gnu::const]] unsigned lane_in_warp();
}  // namespace melgrad::emulation

#define threadIdx (::melgrad::emulation::thread_index())
#define blockIdx (::melgrad::emulation::block_index())
#define blockDim (::melgrad::emulation::block_shape())
#define gridDim (::melgrad::emulation::grid_shape())

namespace melgrad::emulated {

using emulation::Site;
inline constexpr int warpSize = 32;

// ---- barriers

inline void __syncthreads(Site site = Site::current()) {
  emulation::block_barrier("__syncthreads", 0, site);
}
inline int __syncthreads_count(int predicate, Site site = Site::current()) {
  return emulation::block_barrier("__syncthreads_count", predicate, site);
}
inline int __syncthreads_or(int predicate, Site site = Site::current()) {
  return emulation::block_barrier("__syncthreads_or", predicate, site) != 0;
}
inline int __syncthreads_and(int predicate, Site site = Site::current()) {
  return emulation::block_barrier("__syncthreads_and", predicate == 0, site) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, Site site = Site::current()) {
  emulation::warp_operation("__syncwarp", mask, nullptr, nullptr, true, site);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- shuffles: width is a power of two of at most 32

template <class T>
T shuffle(const char* operation, unsigned mask, T value, unsigned source_lane, Site site) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) <= 8);
  T result{};
  emulation::warp_shuffle(operation, mask, &value, &result, sizeof(T), source_lane, site);
  if constexpr (std::is_floating_point_v<T>)
    if (emulation::is_in_broken_lane()) result *= static_cast<T>(1.03125);
  return result;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, Site site = Site::current()) {
  const unsigned me = emulation::lane_in_warp(), w = static_cast<unsigned>(width);
  return shuffle("__shfl_sync", mask, value, (me & ~(w - 1)) | (static_cast<unsigned>(lane) & (w - 1)), site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, Site site = Site::current()) {
  const unsigned me = emulation::lane_in_warp(), first = me & ~(static_cast<unsigned>(width) - 1);
  return shuffle("__shfl_up_sync", mask, value, me >= first + delta ? me - delta : me, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, Site site = Site::current()) {
  const unsigned me = emulation::lane_in_warp(), w = static_cast<unsigned>(width);
  return shuffle("__shfl_down_sync", mask, value, me + delta < (me & ~(w - 1)) + w ? me + delta : me, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, Site site = Site::current()) {
  const unsigned me = emulation::lane_in_warp(), w = static_cast<unsigned>(width);
  const unsigned source = me ^ static_cast<unsigned>(lane_mask);
  return shuffle("__shfl_xor_sync", mask, value, source < (me & ~(w - 1)) + w ? source : me, site);
}

// ---- votes and reductions

inline unsigned __ballot_sync(unsigned mask, int predicate, Site site = Site::current()) {
  return static_cast<unsigned>(
      emulation::warp_reduce("__ballot_sync", mask, emulation::WarpReduction::ballot, predicate != 0, site));
}
inline int __any_sync(unsigned mask, int predicate, Site site = Site::current()) {
  return emulation::warp_reduce("__any_sync", mask, emulation::WarpReduction::bit_or, predicate != 0, site) !=
         0;
}
inline int __all_sync(unsigned mask, int predicate, Site site = Site::current()) {
  return emulation::warp_reduce("__all_sync", mask, emulation::WarpReduction::min, predicate != 0, site) != 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, Site site = Site::current()) {
  static_assert(std::is_integral_v<T>);
  return emulation::warp_match("__match_any_sync", mask, static_cast<std::uint64_t>(value), site);
}
// int and unsigned, as CUDA has them.
#define MELGRAD_REDUCE(name, how)                                                         \
  inline unsigned name(unsigned mask, unsigned value, Site site = Site::current()) {      \
    return static_cast<unsigned>(                                                         \
        emulation::warp_reduce(#name, mask, emulation::WarpReduction::how, value, site)); \
  }                                                                                       \
  inline int name(unsigned mask, int value, Site site = Site::current()) {                \
    return static_cast<int>(                                                              \
        emulation::warp_reduce(#name, mask, emulation::WarpReduction::how, value, site)); \
  }
MELGRAD_REDUCE(__reduce_add_sync, add)
MELGRAD_REDUCE(__reduce_min_sync, min)
MELGRAD_REDUCE(__reduce_max_sync, max)
MELGRAD_REDUCE(__reduce_and_sync, bit_and)
MELGRAD_REDUCE(__reduce_or_sync, bit_or)
MELGRAD_REDUCE(__reduce_xor_sync, bit_xor)
#undef MELGRAD_REDUCE

// ---- atomics: return the old value. Inlined, so that the place in the kernel is known.

template <class T, class Update>
__forceinline__ T atomic_update(T* address, Update update) {
  T old;
  emulation::atomic_read(address, &old, sizeof(T));
  const T updated = update(old);
  emulation::atomic_write(address, &updated, sizeof(T));
  return old;
}
template <class T>
__forceinline__ T atomicAdd(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
__forceinline__ T atomicSub(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return static_cast<T>(old - value); });
}
template <class T>
__forceinline__ T atomicMin(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return value < old ? value : old; });
}
template <class T>
__forceinline__ T atomicMax(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return old < value ? value : old; });
}
template <class T>
__forceinline__ T atomicAnd(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return old & value; });
}
template <class T>
__forceinline__ T atomicOr(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return old | value; });
}
template <class T>
__forceinline__ T atomicXor(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return old ^ value; });
}
template <class T>
__forceinline__ T atomicExch(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T) { return value; });
}
template <class T>
__forceinline__ T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return old == expected ? value : old; });
}

// ---- asynchronous copies from global to shared memory (cuda_pipeline.h)

__forceinline__ void __pipeline_memcpy_async(void* shared, const void* global, std::size_t size) {
  emulation::start_async_copy(shared, global, size);
}
inline void __pipeline_commit() {
  emulation::commit_async_copies();
}
inline void __pipeline_wait_prior(unsigned n_groups_left) {
  emulation::wait_async_copies(n_groups_left);
}

// ---- loads and stores with cache hints: plain ones here

template <class T>
__forceinline__ T __ldg(const T* address) {
  return *address;
}
template <class T>
__forceinline__ T __ldcg(const T* address) {
  return *address;
}
template <class T>
__forceinline__ T __ldcs(const T* address) {
  return *address;
}
template <class T>
__forceinline__ void __stcs(T* address, std::type_identity_t<T> value) {
  *address = value;
}
template <class T>
__forceinline__ void __stcg(T* address, std::type_identity_t<T> value) {
  *address = value;
}

}  // namespace melgrad::emulated
