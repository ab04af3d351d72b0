#include "host/cpu/simd.hpp"

#include <hwy/highway.h>
#include <hwy/targets.h>

#include <array>
#include <cstdint>
#include <cstdlib>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

// Highway takes the best target that is left, and a better one has the lower bit: a choice disables every
// target better than it. The baseline is whatever is worse than AVX2; on Arm, the best there is. "scalar" is
// Highway's fallback of one lane, which is there only where Highway is older than its SSE2.
struct Choice {
  std::string_view name;
  std::int64_t target;  // that the processor must have; 0: none in particular
  std::int64_t better;
};
constexpr std::array choices = {
    Choice{"avx3", HWY_AVX3, HWY_AVX3 - 1}, Choice{"avx2", HWY_AVX2, HWY_AVX2 - 1},
    Choice{"baseline", 0, 2 * HWY_AVX2 - 1}, Choice{"scalar", HWY_SCALAR, HWY_SCALAR - 1}};

// hwy::SupportedTargets() leaves every target of the processor chosen, disabled ones too, until the next
// kernel chooses anew.
std::int64_t supported_targets() {
  const std::int64_t targets = hwy::SupportedTargets();
  hwy::GetChosenTarget().DeInit();
  return targets;
}

bool is_available(const Choice& choice) {
  return choice.target == 0 || (supported_targets() & choice.target) != 0;
}

}  // namespace

void use_simd(std::string_view name) {
  hwy::DisableTargets(0);  // also makes the next kernel choose anew
  if (name.empty()) return;
  for (const Choice& choice : choices) {
    if (choice.name != name) continue;
    if (!is_available(choice)) fail_usage("SIMD instruction set {}: this processor lacks it", name);
    hwy::DisableTargets(choice.better);
    return;
  }
  fail_usage("SIMD instruction set '{}': not one of avx3, avx2, baseline, scalar", name);
}

void choose_simd() {
  const char* wanted = std::getenv("MELGRAD_SIMD");
  with_context("MELGRAD_SIMD", [&] { use_simd(wanted != nullptr ? wanted : ""); });
}

std::vector<std::string> available_simd() {
  std::vector<std::string> names;
  for (const Choice& choice : choices)
    if (is_available(choice)) names.emplace_back(choice.name);
  return names;
}

std::string simd_name() {
  const std::int64_t supported = supported_targets();
  const std::int64_t best = supported & -supported;
  if (best <= HWY_AVX3) return "AVX-512";
  if (best == HWY_AVX2) return "AVX2";
  return hwy::TargetName(best);
}

}  // namespace melgrad
