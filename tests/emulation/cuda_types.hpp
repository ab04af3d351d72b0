#pragma once
// CUDA's qualifiers and vector types, for a plain C++ compiler.

#include <memory>  // before __noinline__ becomes a macro: libstdc++ writes __attribute__((__noinline__)) in it

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) alignas(n)

namespace melgrad::emulated {

// Alignment as in CUDA's vector_types.h: an access of 8 or 16 bytes is one request on the GPU and here.
#define MELGRAD_VECTOR2(name, T)         \
  struct alignas(2 * sizeof(T)) name {   \
    T x, y;                              \
  };                                     \
  constexpr name make_##name(T x, T y) { \
    return {x, y};                       \
  }
#define MELGRAD_VECTOR3(name, T)              \
  struct name {                               \
    T x, y, z;                                \
  };                                          \
  constexpr name make_##name(T x, T y, T z) { \
    return {x, y, z};                         \
  }
#define MELGRAD_VECTOR4(name, T)                            \
  struct alignas(sizeof(T) < 8 ? 4 * sizeof(T) : 16) name { \
    T x, y, z, w;                                           \
  };                                                        \
  constexpr name make_##name(T x, T y, T z, T w) {          \
    return {x, y, z, w};                                    \
  }

MELGRAD_VECTOR2(char2, signed char)
MELGRAD_VECTOR4(char4, signed char)
MELGRAD_VECTOR2(uchar2, unsigned char)
MELGRAD_VECTOR4(uchar4, unsigned char)
MELGRAD_VECTOR2(short2, short)
MELGRAD_VECTOR4(short4, short)
MELGRAD_VECTOR2(ushort2, unsigned short)
MELGRAD_VECTOR4(ushort4, unsigned short)
MELGRAD_VECTOR2(int2, int)
MELGRAD_VECTOR3(int3, int)
MELGRAD_VECTOR4(int4, int)
MELGRAD_VECTOR2(uint2, unsigned)
MELGRAD_VECTOR3(uint3, unsigned)
MELGRAD_VECTOR4(uint4, unsigned)
MELGRAD_VECTOR2(longlong2, long long)
MELGRAD_VECTOR2(float2, float)
MELGRAD_VECTOR3(float3, float)
MELGRAD_VECTOR4(float4, float)
MELGRAD_VECTOR2(double2, double)
#undef MELGRAD_VECTOR2
#undef MELGRAD_VECTOR3
#undef MELGRAD_VECTOR4

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

}  // namespace melgrad::emulated
