#include "host/cache/batch_queue.hpp"

#include <algorithm>
#include <utility>

namespace melgrad {

BatchQueue::BatchQueue(std::size_t batch_bytes, int n_producers)
    : batch_bytes_(batch_bytes), n_producers_(n_producers) {
  for (int i = 0; i < n_batches; ++i) free_.push_back(std::make_unique<DecodedBatch>());
}

std::unique_ptr<DecodedBatch>* BatchQueue::find_open(const Waveform& waveform) {
  for (auto& batch : open_) {
    if (batch->samples.view().sample_rate == waveform.sample_rate && batch->is_int16 == waveform.is_int16)
      return &batch;
  }
  return nullptr;
}

void BatchQueue::close(std::size_t open_index) {
  full_.push_back(std::move(open_[open_index]));
  open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(open_index));
  batch_is_full_.notify_one();
}

void BatchQueue::close_largest() {
  const auto largest = std::ranges::max_element(open_, {}, [](const auto& batch) { return batch->n_bytes; });
  close(static_cast<std::size_t>(largest - open_.begin()));
}

bool BatchQueue::append(Index clip, const Waveform& waveform) {
  std::unique_lock lock(mutex_);
  std::unique_ptr<DecodedBatch>* open = nullptr;
  for (;;) {
    if (is_stopped_) return false;
    if ((open = find_open(waveform)) != nullptr) break;
    if (!free_.empty()) {
      open = &open_.emplace_back(std::move(free_.back()));
      free_.pop_back();
      break;
    }
    // All are in use by other kinds of clips: with nothing full, nobody would ever give one back.
    if (full_.empty() && !open_.empty()) close_largest();
    batch_is_free_.wait(lock);
  }
  DecodedBatch& batch = **open;
  batch.samples.append(waveform);
  batch.clips.push_back(clip);
  batch.is_int16 = waveform.is_int16;
  batch.n_bytes += static_cast<std::size_t>(waveform.n_samples()) *
                   (waveform.is_int16 ? sizeof(std::int16_t) : sizeof(float));
  if (batch.n_bytes >= batch_bytes_) close(static_cast<std::size_t>(open - open_.data()));
  return true;
}

void BatchQueue::producer_is_done() {
  const std::lock_guard lock(mutex_);
  if (--n_producers_ > 0) return;
  while (!open_.empty()) close_largest();
  batch_is_full_.notify_all();
}

std::unique_ptr<DecodedBatch> BatchQueue::take(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  batch_is_full_.wait_for(lock, patience, [&] { return !full_.empty() || n_producers_ == 0; });
  if (full_.empty()) return nullptr;
  auto batch = std::move(full_.front());
  full_.pop_front();
  return batch;
}

void BatchQueue::give_back(std::unique_ptr<DecodedBatch> batch) {
  batch->samples.clear();
  batch->clips.clear();
  batch->n_bytes = 0;
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(batch));
  batch_is_free_.notify_all();
}

bool BatchQueue::is_drained() const {
  const std::lock_guard lock(mutex_);
  return n_producers_ == 0 && full_.empty();
}

bool BatchQueue::is_stopped() const {
  const std::lock_guard lock(mutex_);
  return is_stopped_;
}

void BatchQueue::stop() {
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
  batch_is_free_.notify_all();
}

}  // namespace melgrad
