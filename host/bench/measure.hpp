#pragma once
// Measuring on shared, noisy machines: CPU time, one warm-up, several repeats, the median and its spread.

#include <functional>
#include <limits>
#include <utility>
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

// What several measurements of the same ratio say together.
class Ratios {
 public:
  void add(double theirs, double ours);  // seconds of the same work
  // All of their seconds over all of ours, and the measurements at either end; of at least one.
  Ratio together() const { return {theirs_ / ours_, minimum_, maximum_}; }

 private:
  double theirs_ = 0, ours_ = 0;
  double minimum_ = std::numeric_limits<double>::infinity(), maximum_ = 0;
};

// Seconds of CPU that work takes, all threads together.
double cpu_seconds_of(const std::function<void()>& work);

// Two who take turns: ours, theirs, ours, theirs, .., ours. A shared machine's speed changes by a third, by
// the second and by the minute; what is done in the same minutes, each piece between two neighbours, sees the
// same of it.
class Turns {
 public:
  // ours: does our piece of the work, returns its seconds of CPU; begins.
  explicit Turns(std::function<double()> ours) : ours_(std::move(ours)), before_(ours_()) {}
  // After theirs has taken so many seconds for their piece.
  void add(double their_seconds);
  double theirs() const { return theirs_; }  // seconds of all their pieces
  double ours() const { return beside_; }    // for each of them the mean of our two beside it, added up

 private:
  std::function<double()> ours_;
  double before_;
  double theirs_ = 0, beside_ = 0;
};

struct Timing {
  MedianRange cpu_seconds;
  MedianRange wall_seconds;
};
// Calls work once to warm up, then `repeats` times.
Timing measure(const std::function<void()>& work, int repeats);

}  // namespace melgrad
