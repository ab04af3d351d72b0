#include "host/bench/fma_loop.hpp"

#include "host/cpu/simd.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/bench/fma_loop.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int n_sums = 12;  // independent: more than a multiply-add's latency times the pipes

float fma_rounds(std::int64_t rounds) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 0.999999f), addend = hn::Set(d, 1e-6f);
  auto s0 = hn::Set(d, 1.0f), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0, s8 = s0, s9 = s0,
       s10 = s0, s11 = s0;
  for (std::int64_t round = 0; round < rounds; ++round) {
    s0 = hn::MulAdd(s0, factor, addend);
    s1 = hn::MulAdd(s1, factor, addend);
    s2 = hn::MulAdd(s2, factor, addend);
    s3 = hn::MulAdd(s3, factor, addend);
    s4 = hn::MulAdd(s4, factor, addend);
    s5 = hn::MulAdd(s5, factor, addend);
    s6 = hn::MulAdd(s6, factor, addend);
    s7 = hn::MulAdd(s7, factor, addend);
    s8 = hn::MulAdd(s8, factor, addend);
    s9 = hn::MulAdd(s9, factor, addend);
    s10 = hn::MulAdd(s10, factor, addend);
    s11 = hn::MulAdd(s11, factor, addend);
  }
  const auto low = hn::Add(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), hn::Add(s4, s5));
  const auto high = hn::Add(hn::Add(hn::Add(s6, s7), hn::Add(s8, s9)), hn::Add(s10, s11));
  return hn::GetLane(hn::Add(low, high));
}

double flops_a_round() {
  const hn::ScalableTag<float> d;
  return 2.0 * n_sums * static_cast<double>(hn::Lanes(d));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace melgrad {

HWY_EXPORT(fma_rounds);
HWY_EXPORT(flops_a_round);

float run_fma_loop(std::int64_t rounds) {
  choose_simd();
  return HWY_DYNAMIC_DISPATCH(fma_rounds)(rounds);
}

double fma_loop_flops(std::int64_t rounds) {
  choose_simd();
  return HWY_DYNAMIC_DISPATCH(flops_a_round)() * static_cast<double>(rounds);
}

}  // namespace melgrad
#endif
