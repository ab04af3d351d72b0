#pragma once
// Which instruction set the CPU engine uses. One binary holds AVX-512 ("avx3" in Highway's words), AVX2 and a
// baseline (SSE2 on x86, NEON on Arm).

#include <string>

namespace melgrad {

// Obeys MELGRAD_SIMD (avx3, avx2, baseline); throws UsageError if it is unknown or the processor lacks it.
// Called before the first kernel; once per process is enough.
void choose_simd();

// "AVX-512", "AVX2", "SSE2", "NEON": what kernels run with now.
std::string simd_name();

}  // namespace melgrad
