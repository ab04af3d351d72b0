// Linear prediction of several frames at once, one in each lane of doubles, compiled once per Highway target:
// see SpeechKernels::autocorrelate and roots.
//
// Roots are found by Aberth's iteration (Math. Comp. 27, 1973): each root z moves by N / (1 - N sum over the
// others of 1 / (z - z')), N = p(z) / p'(z), which converges cubically to simple roots and linearly to
// multiple ones.

#if defined(MELGRAD_HOST_CPU_SPEECH_PREDICTION_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_SPEECH_PREDICTION_INL_HPP_
#undef MELGRAD_HOST_CPU_SPEECH_PREDICTION_INL_HPP_
#else
#define MELGRAD_HOST_CPU_SPEECH_PREDICTION_INL_HPP_
#endif

#include <hwy/highway.h>

#include <cmath>
#include <numbers>

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_HAVE_FLOAT64
using RootTag = hn::ScalableTag<double>;
#else
using RootTag = hn::CappedTag<double, 1>;
#endif
using RootV = hn::Vec<RootTag>;
constexpr RootTag root_tag;
constexpr int root_lanes = static_cast<int>(hn::MaxLanes(RootTag()));

struct ComplexRoot {
  RootV re, im;
};
HWY_INLINE RootV root_constant(double value) {
  return hn::Set(root_tag, value);
}
HWY_INLINE ComplexRoot multiply(const ComplexRoot& a, const ComplexRoot& b) {
  return {hn::MulSub(a.re, b.re, hn::Mul(a.im, b.im)), hn::MulAdd(a.re, b.im, hn::Mul(a.im, b.re))};
}
// 1 / a; 0 where a = 0: roots that coincide do not repel each other, and a step from a critical point is
// none.
HWY_INLINE ComplexRoot invert(const ComplexRoot& a) {
  const RootV least = root_constant(1e-290);
  const RootV square = hn::MulAdd(a.re, a.re, hn::Mul(a.im, a.im));
  const RootV scale =
      hn::IfThenElseZero(hn::Gt(square, least), hn::Div(root_constant(1), hn::Max(square, least)));
  return {hn::Mul(a.re, scale), hn::Neg(hn::Mul(a.im, scale))};
}

inline void autocorrelate(const double* HWY_RESTRICT x, int n, double* HWY_RESTRICT r) {
  constexpr int n_sums = 11;
  RootV sums[n_sums];
  for (int lag = 0; lag < n_sums; ++lag) sums[lag] = hn::Zero(root_tag);
  for (int j = 0; j < n; ++j) {
    const RootV here = hn::Load(root_tag, x + j * root_lanes);
    HWY_UNROLL(11)
    for (int lag = 0; lag < n_sums; ++lag)
      sums[lag] = hn::MulAdd(here, hn::Load(root_tag, x + (j + lag) * root_lanes), sums[lag]);
  }
  for (int lag = 0; lag < n_sums; ++lag) hn::Store(sums[lag], root_tag, r + lag * root_lanes);
}

inline void roots(int degree, const double* HWY_RESTRICT c, double* re, double* im) {
  const auto z = [&](int i) HWY_ATTR {
    return ComplexRoot{hn::LoadU(root_tag, re + i * root_lanes), hn::LoadU(root_tag, im + i * root_lanes)};
  };
  const auto put = [&](const ComplexRoot& value, int i) HWY_ATTR {
    hn::StoreU(value.re, root_tag, re + i * root_lanes);
    hn::StoreU(value.im, root_tag, im + i * root_lanes);
  };
  // On a circle where a vocal tract's poles lie, off the real axis that the roots are symmetric about.
  for (int i = 0; i < degree; ++i) {
    const double angle = 2 * std::numbers::pi * (i + 0.3) / degree;
    put({root_constant(0.9 * std::cos(angle)), root_constant(0.9 * std::sin(angle))}, i);
  }
  constexpr int most_rounds = 60;
  for (int round = 0; round < most_rounds; ++round) {
    RootV longest = hn::Zero(root_tag);
    for (int i = 0; i < degree; ++i) {
      const ComplexRoot here = z(i);
      ComplexRoot p{root_constant(1), hn::Zero(root_tag)}, slope{hn::Zero(root_tag), hn::Zero(root_tag)};
      for (int k = 1; k <= degree; ++k) {
        slope = multiply(slope, here);
        slope = {hn::Add(slope.re, p.re), hn::Add(slope.im, p.im)};
        p = multiply(p, here);
        p.re = hn::Add(p.re, hn::LoadU(root_tag, c + k * root_lanes));
      }
      const ComplexRoot newton = multiply(p, invert(slope));
      ComplexRoot repulsion{hn::Zero(root_tag), hn::Zero(root_tag)};
      for (int k = 0; k < degree; ++k) {
        if (k == i) continue;
        const ComplexRoot other = z(k);
        const ComplexRoot push = invert({hn::Sub(here.re, other.re), hn::Sub(here.im, other.im)});
        repulsion = {hn::Add(repulsion.re, push.re), hn::Add(repulsion.im, push.im)};
      }
      const ComplexRoot damping = multiply(newton, repulsion);
      const ComplexRoot step =
          multiply(newton, invert({hn::Sub(root_constant(1), damping.re), hn::Neg(damping.im)}));
      put({hn::Sub(here.re, step.re), hn::Sub(here.im, step.im)}, i);
      longest = hn::Max(longest, hn::MulAdd(step.re, step.re, hn::Mul(step.im, step.im)));
    }
    if (hn::AllTrue(root_tag, hn::Lt(longest, root_constant(1e-18)))) break;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
