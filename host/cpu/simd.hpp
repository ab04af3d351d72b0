#pragma once
// Which instruction set the CPU engine uses. One binary holds AVX-512 ("avx3" in Highway's words), AVX2 and a
// baseline (on x86 SSE2, or SSE4 and plain C++ where Highway is older than its SSE2; on Arm NEON).

#include <string>
#include <string_view>
#include <vector>

namespace melgrad {

// Obeys MELGRAD_SIMD (avx3, avx2, baseline, or for tests scalar, if the baseline has that below it), or takes
// the best where that is not set; throws UsageError if it is unknown or the processor lacks it. Called before
// the first kernel; once per process is enough.
void choose_simd();

// Kernels made from now on run with the named instruction set, "" being the best there is; throws UsageError
// as above. What was made before (an extractor, a stack) keeps the one it was made with.
void use_simd(std::string_view name);

// Those of avx3, avx2, baseline and scalar that can be had here, best first.
std::vector<std::string> available_simd();

// "AVX-512", "AVX2", "SSE2", "NEON": what kernels run with now.
std::string simd_name();

}  // namespace melgrad
