#include "host/bench/measure.hpp"

#include <algorithm>
#include <cassert>

namespace melgrad {

MedianRange median_range(std::vector<double> values) {
  assert(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
  return {median, values.front(), values.back()};
}

void Ratios::add(double theirs, double ours) {
  theirs_ += theirs;
  ours_ += ours;
  minimum_ = std::min(minimum_, theirs / ours);
  maximum_ = std::max(maximum_, theirs / ours);
}

double cpu_seconds_of(const std::function<void()>& work) {
  const double begin = process_cpu_seconds();
  work();
  return process_cpu_seconds() - begin;
}

void Turns::add(double their_seconds) {
  const double after = ours_();
  theirs_ += their_seconds;
  beside_ += 0.5 * (before_ + after);
  before_ = after;
}

Timing measure(const std::function<void()>& work, int repeats) {
  work();
  std::vector<double> cpu, wall;
  for (int repeat = 0; repeat < std::max(1, repeats); ++repeat) {
    const double cpu_begin = process_cpu_seconds();
    const double wall_begin = wall_seconds();
    work();
    cpu.push_back(process_cpu_seconds() - cpu_begin);
    wall.push_back(wall_seconds() - wall_begin);
  }
  return {median_range(cpu), median_range(wall)};
}

}  // namespace melgrad
