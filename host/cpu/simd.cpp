#include "host/cpu/simd.hpp"

#include <hwy/highway.h>
#include <hwy/targets.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "host/core/error.hpp"

namespace melgrad {

void choose_simd() {
  const char* wanted = std::getenv("MELGRAD_SIMD");
  if (wanted == nullptr || *wanted == '\0') return;
  const std::string_view name = wanted;
  // Highway takes the best target that is left: a better one has the lower bit.
  std::int64_t best = 0;
  if (name == "avx3")
    best = HWY_AVX3;
  else if (name == "avx2")
    best = HWY_AVX2;
  else if (name == "baseline")
    best = HWY_STATIC_TARGET;
  else
    fail_usage("MELGRAD_SIMD={}: not one of avx3, avx2, baseline", name);
  if ((hwy::SupportedTargets() & best) == 0) fail_usage("MELGRAD_SIMD={}: this processor lacks it", name);
  hwy::DisableTargets(best - 1);
}

std::string simd_name() {
  const std::int64_t supported = hwy::SupportedTargets();
  const std::int64_t best = supported & -supported;
  if (best <= HWY_AVX3) return "AVX-512";
  if (best == HWY_AVX2) return "AVX2";
  return hwy::TargetName(best);
}

}  // namespace melgrad
