#pragma once
// Between the threads that decode and the one that extracts: a few batches that are filled, read and filled
// again, so memory does not grow with the number of clips.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "host/audio/batch.hpp"
#include "host/audio/waveform.hpp"

namespace melgrad {

// Clips of one sample rate and one sample type, ready for an engine.
struct DecodedBatch {
  BatchBuilder samples;
  std::vector<Index> clips;  // [samples.n_clips()], numbers in the manifest
  std::size_t n_bytes = 0;
  bool is_int16 = true;
};

class BatchQueue {
 public:
  // A batch is full once it holds batch_bytes of samples; one longer clip makes a batch of its own.
  // Memory: n_batches times the larger of batch_bytes and the longest clip.
  BatchQueue(std::size_t batch_bytes, int n_producers);

  // Copies a clip into the open batch of its kind. Waits while every batch is full and not yet taken.
  // Returns false once stop() was called.
  bool append(Index clip, const Waveform& waveform);
  // Each producer says once that it is done; after the last one what is open becomes full.
  void producer_is_done();

  // The next full batch; null if there was none for `patience`, or none will come any more (is_drained()).
  std::unique_ptr<DecodedBatch> take(std::chrono::milliseconds patience);
  void give_back(std::unique_ptr<DecodedBatch> batch);
  bool is_drained() const;
  bool is_stopped() const;

  // Lets every waiting producer go.
  void stop();

 private:
  // One is being read, one waits; two are being filled, for data of two rates in turn.
  static constexpr int n_batches = 4;

  std::unique_ptr<DecodedBatch>* find_open(const Waveform& waveform);
  void close(std::size_t open_index);
  void close_largest();

  const std::size_t batch_bytes_;
  int n_producers_;
  bool is_stopped_ = false;
  std::vector<std::unique_ptr<DecodedBatch>> free_;
  std::vector<std::unique_ptr<DecodedBatch>> open_;
  std::deque<std::unique_ptr<DecodedBatch>> full_;
  mutable std::mutex mutex_;
  std::condition_variable batch_is_free_;
  std::condition_variable batch_is_full_;
};

}  // namespace melgrad
