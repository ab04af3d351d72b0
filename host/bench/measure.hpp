#pragma once
// Measuring on shared, noisy machines: CPU time, one warm-up, several repeats, the median and its spread.

#include <functional>
#include <vector>

#include "host/core/clock.hpp"

namespace melgrad {

struct MedianRange {
  double median = 0;
  double minimum = 0;
  double maximum = 0;
};
// Of at least one value.
MedianRange median_range(std::vector<double> values);

// How many times as long something takes, between one measurement and another from `minimum` to `maximum`.
struct Ratio {
  double value = 0;  // 0: nothing was compared
  double minimum = 0;
  double maximum = 0;
};

// Seconds of CPU that work takes, all threads together.
double cpu_seconds_of(const std::function<void()>& work);

struct Timing {
  MedianRange cpu_seconds;
  MedianRange wall_seconds;
};
// Calls work once to warm up, then `repeats` times.
Timing measure(const std::function<void()>& work, int repeats);

}  // namespace melgrad
