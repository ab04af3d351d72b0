// What the profiler's ranges cost while no profiler is attached: counted, and measured beside the work that
// one of them stands for. Needs no GPU.

#include <time.h>

#include <cstdio>

#include "kernels/nvtx.hpp"

namespace {

constexpr int n_ranges = 1'000'000;
// Nine ranges for each part of a batch, which takes a GPU a millisecond or more: a ten-thousandth of it.
constexpr double most_ns = 1e6 * 1e-3 / 9;

double cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return 1e9 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec);
}

// Not inlined, so that callgrind tells its instructions.
__attribute__((noinline)) void one_range(int amount) {
  const melgrad::cuda::ProfilerRange range("nvtx_cost", amount);
}

}  // namespace

int main() {
  one_range(0);  // the first one looks for a profiler
  const double begin = cpu_ns();
  for (int i = 0; i < n_ranges; ++i) one_range(i);
  const double ns = (cpu_ns() - begin) / n_ranges;
  std::printf("a range costs %.1f ns of CPU; at most %.0f ns are allowed\n", ns, most_ns);
  return ns <= most_ns ? 0 : 1;
}
