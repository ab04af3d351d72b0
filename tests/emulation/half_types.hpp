#pragma once
// 16-bit floats (cuda_fp16.h) as storage: conversions only, rounded to nearest even.

#include <bit>
#include <cstdint>

#include "cuda_types.hpp"

namespace melgrad::emulated {

struct __half {
  std::uint16_t bits = 0;
};
struct alignas(4) __half2 {
  __half x, y;
};
using half = __half;
using half2 = __half2;

inline float __half2float(__half h) {
  const std::uint32_t sign = std::uint32_t{h.bits} >> 15 << 31;
  const std::uint32_t exponent = h.bits >> 10 & 31, mantissa = h.bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent > 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal
  return sign ? -magnitude : magnitude;
}

inline __half __float2half_rn(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  const auto with_sign = [&](std::uint32_t value) {
    return __half{static_cast<std::uint16_t>(sign | value)};
  };
  if (magnitude > 0x7f800000) return {0x7fff};            // NaN, as the GPU writes it
  if (magnitude >= 0x477ff000) return with_sign(0x7c00);  // 65520 and more: infinity
  if (magnitude >= 0x38800000) {                          // 2^-14 and more: normal
    const std::uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return with_sign((rounded - 0x38000000) >> 13);
  }
  // Subnormal: adding 0.5 leaves multiples of 2^-24 in the mantissa, rounded by the hardware.
  return with_sign(std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000);
}
inline __half __float2half(float x) {
  return __float2half_rn(x);
}
inline __half2 __floats2half2_rn(float x, float y) {
  return {__float2half_rn(x), __float2half_rn(y)};
}
inline float2 __half22float2(__half2 h) {
  return {__half2float(h.x), __half2float(h.y)};
}
inline unsigned short __half_as_ushort(__half h) {
  return h.bits;
}
inline __half __ushort_as_half(unsigned short bits) {
  return {bits};
}

}  // namespace melgrad::emulated
