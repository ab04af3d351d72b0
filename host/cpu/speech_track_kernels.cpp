#include "host/cpu/speech_track_kernels.hpp"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/speech_track_kernels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include "host/cpu/speech_tracks-inl.hpp"
#include "host/features/speech_trim.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {
namespace {

// x[t] for t in [4, n - 4), n > 9.
HWY_INLINE void put_slope(const float* HWY_RESTRICT x, Index t, float* HWY_RESTRICT out) {
  V sum = hn::Sub(hn::LoadU(df, x + t + 1), hn::LoadU(df, x + t - 1));
  for (Index k = 2; k <= 4; ++k)
    sum = hn::MulAdd(hn::Sub(hn::LoadU(df, x + t + k), hn::LoadU(df, x + t - k)),
                     broadcast(static_cast<float>(k)), sum);
  hn::StoreU(hn::Mul(sum, broadcast(1.0f / 60)), df, out + t);  // 2 (1 + 4 + 9 + 16)
}

void slopes(const float* HWY_RESTRICT x, Index n, float* HWY_RESTRICT out) {
  const Index end = n - 4;
  Index t = 4;
  for (; t + lanes <= end; t += lanes) put_slope(x, t, out);
  for (; t < end; ++t) {
    float sum = x[t + 1] - x[t - 1];
    for (Index k = 2; k <= 4; ++k) sum += static_cast<float>(k) * (x[t + k] - x[t - k]);
    out[t] = sum * (1.0f / 60);
  }
  std::fill_n(out, 4, out[4]);
  std::fill_n(out + end, 4, out[end - 1]);
}

// The sum of of(x[i]) over i < n, in float over some thousand values at a time.
template <class Of>
HWY_INLINE double sum_over(const float* HWY_RESTRICT x, Index n, const Of& of) {
  constexpr Index most_at_once = 64 * lanes;
  double total = 0;
  for (Index begin = 0; begin < n; begin += most_at_once) {
    const Index end = std::min(begin + most_at_once, n);
    V sum = hn::Zero(df);
    Index i = begin;
    for (; i + lanes <= end; i += lanes) sum = hn::Add(sum, of(hn::LoadU(df, x + i)));
    if (i < end) {
      const auto is_valid = hn::FirstN(df, static_cast<std::size_t>(end - i));
      sum = hn::Add(sum, hn::IfThenElseZero(is_valid, of(hn::LoadU(df, x + i))));
    }
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(df, sum)));
  }
  return total;
}

void mean_and_std(const float* HWY_RESTRICT x, Index n, float& mean, float& std) {
  const V origin = broadcast(x[0]);
  const double shift =
      sum_over(x, n, [&](V v) HWY_ATTR { return hn::Sub(v, origin); }) / static_cast<double>(n);
  mean = static_cast<float>(static_cast<double>(x[0]) + shift);
  const V centre = broadcast(mean);
  const double squares = sum_over(x, n, [&](V v) HWY_ATTR {
    const V d = hn::Sub(v, centre);
    return hn::Mul(d, d);
  });
  std = static_cast<float>(std::sqrt(squares / static_cast<double>(n)));
}

void sum_blocks(const float* HWY_RESTRICT samples, Index n_blocks, float* HWY_RESTRICT squares,
                int* HWY_RESTRICT sign_changes) {
  static_assert(SampleBlocks::size % lanes == 0);
  for (Index block = 0; block < n_blocks; ++block, samples += SampleBlocks::size) {
    V sum = hn::Zero(df);
    std::size_t changes = 0;
    for (Index i = 0; i < SampleBlocks::size; i += lanes) {
      const V x = hn::LoadU(df, samples + i), before = hn::LoadU(df, samples + i - 1);
      sum = hn::MulAdd(x, x, sum);
      changes += hn::CountTrue(di, hn::Lt(hn::BitCast(di, hn::Xor(x, before)), hn::Zero(di)));
    }
    squares[block] = hn::GetLane(hn::SumOfLanes(df, sum));
    sign_changes[block] = static_cast<int>(changes);
  }
}

void to_float(const std::int16_t* HWY_RESTRICT from, Index n, float* HWY_RESTRICT to) {
  const hn::Rebind<std::int16_t, FloatTag> d16;
  const V scale = broadcast(1.0f / 32768);
  Index i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::Mul(hn::ConvertTo(df, hn::PromoteTo(di, hn::LoadU(d16, from + i))), scale), df, to + i);
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]) / 32768;
}

SpeechTrackKernels kernels_of_target() {
  return {lanes, fft_columns, &analyse, &slopes, &mean_and_std, &sum_blocks, &to_float};
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace melgrad {

HWY_EXPORT(kernels_of_target);

SpeechTrackKernels speech_track_kernels() {
  return HWY_DYNAMIC_DISPATCH(kernels_of_target)();
}

}  // namespace melgrad
#endif
