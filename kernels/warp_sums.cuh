#pragma once
// Sums and maxima over the lanes of a warp, in every lane, in a fixed order.

#include "kernels/fft.cuh"

namespace melgrad::MELGRAD_KERNELS {

template <class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(whole_warp, x, step);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(whole_warp, x, step));
  return x;
}

}  // namespace melgrad::MELGRAD_KERNELS
