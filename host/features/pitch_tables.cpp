#include "host/features/pitch_tables.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace melgrad {

PitchTables make_pitch_tables() {
  PitchTables tables;
  for (int j = 0; j < long_win_length; ++j)
    tables.window.push_back(
        static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * j / (long_win_length - 1))));
  const auto window = [&](int j) { return static_cast<double>(tables.window[static_cast<std::size_t>(j)]); };
  double at_0 = 0;
  for (int lag = 0; lag < n_lags; ++lag) {
    double sum = 0;
    for (int j = 0; j + lag < long_win_length; ++j) sum += window(j) * window(j + lag);
    if (lag == 0) at_0 = sum;
    tables.lag_weights.push_back(static_cast<float>(at_0 / sum));
    tables.lag_costs.push_back(
        static_cast<float>(0.02 * std::log2(static_cast<double>(std::max(lag, 1)) / first_lag)));
  }
  return tables;
}

}  // namespace melgrad
