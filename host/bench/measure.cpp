#include "host/bench/measure.hpp"

#include <stdlib.h>

#include <algorithm>
#include <cassert>
#include <string>
#include <system_error>

#include "host/core/error.hpp"

namespace melgrad {

MedianRange median_range(std::vector<double> values) {
  assert(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
  return {median, values.front(), values.back()};
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

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "melgrad-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr)
    fail("{}: cannot make a temporary folder: {}", name, std::system_category().message(errno));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a destructor has nobody to tell
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace melgrad
