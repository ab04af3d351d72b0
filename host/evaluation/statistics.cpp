#include "host/evaluation/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace melgrad {

Interval wilson_interval(Index n_right, Index n) {
  if (n == 0) return {};
  constexpr double z = 1.959963984540054;  // 97.5 % of a normal distribution lie below
  const auto count = static_cast<double>(n);
  const double share = static_cast<double>(n_right) / count;
  const double centre = (share + z * z / (2 * count)) / (1 + z * z / count);
  const double half =
      z / (1 + z * z / count) * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return {std::max(centre - half, 0.0), std::min(centre + half, 1.0)};
}

}  // namespace melgrad
