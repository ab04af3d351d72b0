#include "host/core/parallel.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace melgrad {

int resolve_threads(int requested) {
  if (requested > 0) return requested;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void parallel_for(Index n_items, int n_threads, const std::function<void(Index, int)>& body) {
  std::atomic<Index> next{0};
  std::exception_ptr first_error;
  std::mutex error_mutex;
  auto work = [&](int worker) {
    for (Index item = next.fetch_add(1); item < n_items; item = next.fetch_add(1)) {
      try {
        body(item, worker);
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!first_error) first_error = std::current_exception();
        next = n_items;
      }
    }
  };
  const int n_workers = static_cast<int>(std::min<Index>(n_items, std::max(1, n_threads)));
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<std::size_t>(std::max(0, n_workers - 1)));
    for (int worker = 1; worker < n_workers; ++worker) threads.emplace_back(work, worker);
    work(0);
  }
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace melgrad
