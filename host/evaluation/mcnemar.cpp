#include "host/evaluation/mcnemar.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace melgrad {
namespace {

// P(X <= k) of X ~ Binomial(n, 1/2), n < 25: the sums are exact in double.
double binomial_cdf(Index k, Index n) {
  double term = 1, sum = 0;  // n choose i
  for (Index i = 0; i <= k; ++i) {
    sum += term;
    term = term * static_cast<double>(n - i) / static_cast<double>(i + 1);
  }
  return std::ldexp(sum, -static_cast<int>(n));
}

}  // namespace

McNemarTest mcnemar_test(Index only_first_right, Index only_second_right) {
  constexpr Index least_for_chi2 = 25;
  const Index n = only_first_right + only_second_right;
  if (n < least_for_chi2) {
    const Index smaller = std::min(only_first_right, only_second_right);
    return {"exact", static_cast<double>(smaller), std::min(2 * binomial_cdf(smaller, n), 1.0)};
  }
  const double difference = std::abs(static_cast<double>(only_first_right - only_second_right)) - 1;
  const double statistic = difference * difference / static_cast<double>(n);
  return {"chi2", statistic, std::erfc(std::sqrt(statistic / 2))};
}

std::vector<double> holm_adjusted(const std::vector<double>& p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, p_values[order[rank]] * static_cast<double>(order.size() - rank));
    adjusted[order[rank]] = std::min(largest, 1.0);
  }
  return adjusted;
}

}  // namespace melgrad
