// Elementary functions of float vectors, for any instruction set of Highway. Included once per target.
//
// Worst error over all finite float32 arguments tried by the tests, in units of the last place of the true
// value (with fused multiply-add; the tests hold these limits): exp 2, logistic 4, tanh 4, gelu 6 (above
// -13); gelu's derivative is within 3e-7. NaN gives NaN: clamps are selections, because vector minimum and
// maximum swallow NaN on x86.

#if defined(MELGRAD_HOST_CPU_VECTOR_MATH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_VECTOR_MATH_INL
#undef MELGRAD_HOST_CPU_VECTOR_MATH_INL
#else
#define MELGRAD_HOST_CPU_VECTOR_MATH_INL
#endif

#include <hwy/highway.h>

// Processors with AVX-512 have reciprocals of 14 bits, so one Newton step gives float32; their full-width
// division and square root take as long as 16 to 30 fused multiply-adds.
#undef MELGRAD_NEWTON
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
#define MELGRAD_NEWTON 1
#else
#define MELGRAD_NEWTON 0
#endif

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Max and min that keep NaN in x.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V at_least(D d, V x, float low) {
  const V limit = hn::Set(d, low);
  return hn::IfThenElse(hn::Lt(x, limit), limit, x);
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V at_most(D d, V x, float high) {
  const V limit = hn::Set(d, high);
  return hn::IfThenElse(hn::Gt(x, limit), limit, x);
}

// 1 / x for normal x whose reciprocal is normal: 1 ulp.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V reciprocal(D d, V x) {
#if MELGRAD_NEWTON
  const V y = hn::ApproximateReciprocal(x);
  return hn::MulAdd(y, hn::NegMulAdd(x, y, hn::Set(d, 1.0f)), y);
#else
  return hn::Div(hn::Set(d, 1.0f), x);
#endif
}

// sqrt(x) for x >= 0: 1 ulp; where MELGRAD_NEWTON, x below 1e-37 counts as 1e-37.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V square_root(D d, V x) {
#if MELGRAD_NEWTON
  const V z = at_least(d, x, 1e-37f);
  const V y = hn::ApproximateReciprocalSqrt(z);
  const V root = hn::Mul(z, y);
  const V half = hn::Set(d, 0.5f);
  return hn::MulAdd(root, hn::NegMulAdd(root, hn::Mul(y, half), half), root);
#else
  (void)d;
  return hn::Sqrt(x);
#endif
}

// x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite); gives e^r - 1 and n.
template <class D, class V, class VI>
HWY_INLINE V reduced_expm1(D d, V x, VI& n) {
  n = hn::NearestInt(hn::Mul(x, hn::Set(d, 1.44269504f)));
  const V nf = hn::ConvertTo(d, n);
  V r = hn::NegMulAdd(nf, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(nf, hn::Set(d, -2.12194440e-4f), r);
  // e^r = 1 + r + r^2 q(r); q is the minimax polynomial of Cephes' expf.
  V q = hn::Set(d, 1.98756915e-4f);
  q = hn::MulAdd(q, r, hn::Set(d, 1.39819995e-3f));
  q = hn::MulAdd(q, r, hn::Set(d, 8.3334519e-3f));
  q = hn::MulAdd(q, r, hn::Set(d, 4.1665795e-2f));
  q = hn::MulAdd(q, r, hn::Set(d, 1.6666665e-1f));
  q = hn::MulAdd(q, r, hn::Set(d, 5.0e-1f));
  return hn::MulAdd(hn::Mul(r, r), q, r);
}

// 2^n for n in [-126, 127].
template <class D, class VI, class V = hn::Vec<D>>
HWY_INLINE V power_of_two(D d, VI n) {
  const hn::RebindToSigned<D> ints;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(ints, 127))));
}

// e^x; x is taken into [-87.3, 88.3], where e^x is normal.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp(D d, V x) {
  x = at_most(d, at_least(d, x, -87.3f), 88.3f);
  hn::Vec<hn::RebindToSigned<D>> n;
  const V p = reduced_expm1(d, x, n);
  return hn::Mul(hn::Add(p, hn::Set(d, 1.0f)), power_of_two(d, n));
}

// 1 / (1 + e^-x); below -87 as at -87.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V logistic(D d, V x) {
  return reciprocal(d, hn::Add(exp(d, hn::Neg(at_least(d, x, -87.0f))), hn::Set(d, 1.0f)));
}

// tanh(x) = m / (m + 2) with m = e^2x - 1, which keeps small x exact; 1 beyond 10.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V tanh(D d, V x) {
  const V y = at_most(d, at_least(d, hn::Add(x, x), -20.0f), 20.0f);
  hn::Vec<hn::RebindToSigned<D>> n;
  const V p = reduced_expm1(d, y, n);
  const V scale = power_of_two(d, n);
  const V m = hn::MulAdd(scale, p, hn::Sub(scale, hn::Set(d, 1.0f)));
  return hn::Mul(m, reciprocal(d, hn::Add(m, hn::Set(d, 2.0f))));
}

// x Phi(x) with the normal distribution's Phi, and its derivative Phi(x) + x phi(x). For a = |x|, Phi(-a) is
// e^(-a^2 / 2) erfcx(a / sqrt 2) / 2; (1 + 0.8 a) erfcx(a / sqrt 2) / 2 is smooth, and a polynomial of
// q = (a - 4) / (a + 4) gives it to 2.2e-8 for a <= 14 (least squares, reweighted until the errors were
// even).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V gelu(D d, V x, V& slope) {
  const V one = hn::Set(d, 1.0f);
  const V a = at_most(d, hn::Abs(x), 14.0f);
  const V a_4 = hn::Add(a, hn::Set(d, 4.0f));
  const V a_1 = hn::MulAdd(a, hn::Set(d, 0.8f), one);
  const V both = reciprocal(d, hn::Mul(a_4, a_1));
  const V q = hn::Mul(hn::Sub(a, hn::Set(d, 4.0f)), hn::Mul(both, a_1));
  V p = hn::Set(d, 5.9120954e-05f);
  p = hn::MulAdd(p, q, hn::Set(d, 0.000548904675f));
  p = hn::MulAdd(p, q, hn::Set(d, -0.00019131671f));
  p = hn::MulAdd(p, q, hn::Set(d, -0.00393953104f));
  p = hn::MulAdd(p, q, hn::Set(d, 0.0126707034f));
  p = hn::MulAdd(p, q, hn::Set(d, -0.01957573f));
  p = hn::MulAdd(p, q, hn::Set(d, 0.00853696233f));
  p = hn::MulAdd(p, q, hn::Set(d, 0.0360748649f));
  p = hn::MulAdd(p, q, hn::Set(d, -0.111442271f));
  p = hn::MulAdd(p, q, hn::Set(d, 0.396524701f));
  // a^2 has more digits than a float: e^-(high + low) = e^-high (1 - low). The low part is Dekker's, from
  // halves of a whose products are exact, because not every target has a fused multiply-add.
  const hn::RebindToUnsigned<D> du;
  const V half = hn::Set(d, 0.5f);
  const V square = hn::Mul(a, a);
  const V upper = hn::BitCast(d, hn::And(hn::BitCast(du, a), hn::Set(du, 0xfffff000u)));
  const V lower = hn::Sub(a, upper);
  const V cross = hn::Mul(hn::Add(upper, upper), lower);
  const V rest = hn::Add(hn::Add(hn::Sub(hn::Mul(upper, upper), square), cross), hn::Mul(lower, lower));
  const V low = hn::Mul(rest, half);
  const V e = exp(d, hn::Neg(hn::Mul(square, half)));
  const V gauss = hn::NegMulAdd(low, e, e);
  const V tail = hn::Mul(hn::Mul(p, hn::Mul(both, a_4)), gauss);
  const V phi = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
  slope = hn::MulAdd(x, hn::Mul(gauss, hn::Set(d, 0.398942280f)), phi);
  return hn::Mul(x, phi);
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
