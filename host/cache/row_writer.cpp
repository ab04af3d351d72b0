#include "host/cache/row_writer.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "host/core/thread_name.hpp"

namespace melgrad {
namespace {

constexpr std::size_t kSegmentBytes = 32 * 1024 * 1024;  // of features in one segment, about

FeatureTable rows_of(const FeatureTable& table, std::span<const Index> rows) {
  FeatureTable part = make_feature_table(table.spec, table.engine, static_cast<Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) copy_row(table, rows[i], part, static_cast<Index>(i));
  return part;
}

}  // namespace

RowWriter::RowWriter(FeatureCache& cache, const FeatureTable& table, double interval_s)
    : cache_(cache),
      table_(table),
      interval_s_(interval_s),
      max_rows_(std::max<std::size_t>(1, kSegmentBytes / (table.columns.size() * sizeof(float) + 1))),
      thread_([this] { work(); }) {}

RowWriter::~RowWriter() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void RowWriter::rethrow_error() {
  if (error_) std::rethrow_exception(error_);
}

void RowWriter::push(std::span<const Index> rows) {
  const std::lock_guard lock(mutex_);
  rethrow_error();
  const bool was_empty = rows_.empty();
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  if (was_empty || rows_.size() >= max_rows_) wake_.notify_one();
}

void RowWriter::finish(bool commits_rest) {
  {
    const std::lock_guard lock(mutex_);
    if (!commits_rest) rows_.clear();
    is_ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
  rethrow_error();
}

void RowWriter::work() {
  name_this_thread("row writer");
  using Clock = std::chrono::steady_clock;
  const auto interval =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(interval_s_));
  auto last_commit = Clock::now();
  std::unique_lock lock(mutex_);
  for (bool is_last = false; !is_last;) {
    wake_.wait(lock, [&] { return is_ending_ || !rows_.empty(); });
    wake_.wait_until(lock, last_commit + interval, [&] { return is_ending_ || rows_.size() >= max_rows_; });
    is_last = is_ending_;
    const std::vector<Index> rows = std::exchange(rows_, {});
    lock.unlock();
    std::exception_ptr error;
    try {
      cache_.commit(rows_of(table_, rows));
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    last_commit = Clock::now();
    if (error) {
      error_ = error;
      return;
    }
  }
}

}  // namespace melgrad
