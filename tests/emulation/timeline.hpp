#pragma once
// What has been put on streams, in which order it must run, and when it does run: as late or as wildly as
// that order allows, so that a missing synchronisation shows.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "fault.hpp"

namespace melgrad::emulation {

enum class Schedule {
  late,    // only when the host waits for it, or something that the host waits for does
  eager,   // at once
  random,  // at some time between the two; which is up to the seed
};

// For each stream: how many of its operations are known to be over.
using Clock = std::vector<std::uint32_t>;
void join(Clock& clock, const Clock& other);

// Bytes that an operation touches, as far as its caller said.
struct Range {
  std::uintptr_t begin = 0;
  std::size_t size = 0;
  bool is_write = false;
  bool overlaps(std::uintptr_t address, std::size_t bytes) const {
    return address < begin + size && begin < address + bytes;
  }
};

struct Operation {
  std::uint32_t number = 0;                       // in the Session, from 1
  std::uint32_t stream = 0;                       // index of its stream
  std::uint32_t sequence = 0;                     // in its stream, from 1
  std::string name;                               // "cudaMemcpyAsync in engine.cu:12"
  std::vector<std::uint32_t> after;               // operations that must be over when it starts
  Clock clock;                                    // what is over when it starts
  std::function<void(std::uint32_t number)> run;  // empty: only a point in the stream
  std::vector<Range> ranges;                      // of copies and memsets
  std::vector<std::uintptr_t> pointers;           // words among a kernel's arguments that may be pointers
  std::uint64_t source_hash = 0;       // of the host bytes that a copy reads, when it was put on the stream
  bool needs_synchronization = false;  // before the end: it computes or copies something
  bool is_done = false;
};

struct StreamState {
  std::uint32_t index = 0;
  bool is_blocking = true;  // takes part in the order of the default stream (index 0)
  bool is_destroyed = false;
  std::uint32_t last = 0;  // operation; 0: none yet
  std::uint32_t sequence = 0;
  Site created_at;
};

class Timeline {
 public:
  Timeline(Schedule schedule, std::uint64_t seed);

  StreamState& create_stream(bool is_blocking, const Site& site);
  StreamState& stream(std::uint32_t index) { return *streams_[index]; }
  std::size_t n_streams() const { return streams_.size(); }

  // Fills in number, stream, sequence, clock and the order of the streams, and lets time pass as the schedule
  // says.
  Operation& push(StreamState& stream, Operation operation);
  // Runs the operation and all that it waits for; nothing else.
  void run(std::uint32_t number);
  // The host knows that the operation is over: runs it and remembers.
  void synchronize(std::uint32_t number);
  void synchronize_all();
  // Lets one operation run that may, if any; for polling hosts.
  void progress();

  Operation& operation(std::uint32_t number) { return operations_[number - 1]; }
  // Over when `later` starts?
  bool is_ordered(std::uint32_t earlier, const Clock& later);
  bool happens_before(std::uint32_t earlier, std::uint32_t later);
  bool is_known_to_host(const Operation& o) const;
  // Operations that the host cannot know to be over.
  const std::deque<std::uint32_t>& unsynchronized();

 private:
  bool is_ready(const Operation& o);
  void let_time_pass();

  Schedule schedule_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<StreamState>> streams_;
  std::deque<Operation> operations_;
  Clock host_;  // what the host knows to be over
  std::vector<std::uint32_t> pending_;
  std::deque<std::uint32_t> unsynchronized_;
  bool is_running_ = false;
  std::pair<std::uint32_t, std::uint32_t> known_order_{};  // the last that happens_before() has found
};

}  // namespace melgrad::emulation
