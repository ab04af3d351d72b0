#pragma once
// CUDA for a plain C++ compiler: what kernels/launch.cuh includes where nvcc is not the compiler. Kernel
// sources and the host code around them then run on any CPU, with a device and a driver that forgive nothing:
// make a Session (session.hpp), run them, finish() it.

#include <type_traits>

#include "cuda_types.hpp"
#include "device_functions.hpp"
#include "half_types.hpp"
#include "math_functions.hpp"
#include "runtime_api.hpp"

namespace melgrad::emulation {

// SHARED_ARRAY. Key is a type of its own at each place in the source: a lambda's.
template <class T, class Key>
T* shared_array_at(std::size_t n, Key) {
  static_assert(std::is_trivially_destructible_v<T>);
  static const char key = 0;
  return static_cast<T*>(shared_array(&key, n * sizeof(T), alignof(T)));
}

}  // namespace melgrad::emulation
