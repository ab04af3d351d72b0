#pragma once
// Measuring on shared, noisy machines: CPU time, one warm-up, several repeats, the median and its spread.

#include <filesystem>
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

struct Timing {
  MedianRange cpu_seconds;
  MedianRange wall_seconds;
};
// Calls work once to warm up, then `repeats` times.
Timing measure(const std::function<void()>& work, int repeats);

// A folder of this process's own, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace melgrad
