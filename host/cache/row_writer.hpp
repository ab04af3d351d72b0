#pragma once
// The one thread that writes finished rows into the cache while others work.

#include <condition_variable>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "host/cache/feature_cache.hpp"

namespace melgrad {

class RowWriter {
 public:
  // Commits what was pushed as a segment of `cache` every interval_s seconds, sooner if many rows wait. Rows
  // of `table` must not change once they are pushed.
  RowWriter(FeatureCache& cache, const FeatureTable& table, double interval_s);
  // Commits what waits; an error in it is lost here, as another one is on its way.
  ~RowWriter();
  RowWriter(const RowWriter&) = delete;
  RowWriter& operator=(const RowWriter&) = delete;

  // Returns at once. Throws what made an earlier commit fail.
  void push(std::span<const Index> rows);
  // Ends the thread; what waits is committed, or left to who saves the whole table next. Throws as push().
  void finish(bool commits_rest);

 private:
  void work();
  void rethrow_error();  // with mutex_ held

  FeatureCache& cache_;
  const FeatureTable& table_;
  const double interval_s_;
  const std::size_t max_rows_;  // that wait for a commit
  std::vector<Index> rows_;
  bool is_ending_ = false;
  std::exception_ptr error_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace melgrad
