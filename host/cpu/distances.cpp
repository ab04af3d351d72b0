#include "host/cpu/distances.hpp"

#include <cassert>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "host/cpu/distances.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, which includes this file once per target.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Doubles = hn::ScalableTag<double>;
using Floats = hn::Rebind<float, Doubles>;  // as many floats as fit a vector of doubles

constexpr Index tile = 4;  // rows of b that one row of a is held against at once

// Of one row of a and `tile` rows of b.
void distances_of_tile(const float* a, const float* const* b, std::size_t n_features, double* squared) {
  const Doubles d;
  const Floats f;
  const std::size_t lanes = hn::Lanes(d);
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  std::size_t i = 0;
  for (; i + lanes <= n_features; i += lanes) {
    const auto x = hn::PromoteTo(d, hn::LoadU(f, a + i));
    const auto y0 = hn::Sub(x, hn::PromoteTo(d, hn::LoadU(f, b[0] + i)));
    const auto y1 = hn::Sub(x, hn::PromoteTo(d, hn::LoadU(f, b[1] + i)));
    const auto y2 = hn::Sub(x, hn::PromoteTo(d, hn::LoadU(f, b[2] + i)));
    const auto y3 = hn::Sub(x, hn::PromoteTo(d, hn::LoadU(f, b[3] + i)));
    sum0 = hn::MulAdd(y0, y0, sum0);
    sum1 = hn::MulAdd(y1, y1, sum1);
    sum2 = hn::MulAdd(y2, y2, sum2);
    sum3 = hn::MulAdd(y3, y3, sum3);
  }
  squared[0] = hn::GetLane(hn::SumOfLanes(d, sum0));
  squared[1] = hn::GetLane(hn::SumOfLanes(d, sum1));
  squared[2] = hn::GetLane(hn::SumOfLanes(d, sum2));
  squared[3] = hn::GetLane(hn::SumOfLanes(d, sum3));
  for (; i < n_features; ++i) {
    for (Index row = 0; row < tile; ++row) {
      const double difference = static_cast<double>(a[i]) - static_cast<double>(b[row][i]);
      squared[row] += difference * difference;
    }
  }
}

void distances_of_target(MatrixView<const float> a, MatrixView<const float> b, MatrixView<double> squared) {
  for (Index first = 0; first < b.rows; first += tile) {
    // The last tile takes the last row again where there are fewer.
    const float* rows[tile];
    for (Index i = 0; i < tile; ++i) rows[i] = b.row(first + i < b.rows ? first + i : b.rows - 1).data();
    for (Index row = 0; row < a.rows; ++row) {
      double sums[tile];
      distances_of_tile(a.row(row).data(), rows, static_cast<std::size_t>(a.cols), sums);
      for (Index i = 0; i < tile && first + i < b.rows; ++i) squared(row, first + i) = sums[i];
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace melgrad {

HWY_EXPORT(distances_of_target);

void squared_distances(MatrixView<const float> a, MatrixView<const float> b, MatrixView<double> squared) {
  assert(a.cols == b.cols && squared.rows == a.rows && squared.cols == b.rows);
  HWY_DYNAMIC_DISPATCH(distances_of_target)(a, b, squared);
}

}  // namespace melgrad
#endif
