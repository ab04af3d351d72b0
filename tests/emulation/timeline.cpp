#include "timeline.hpp"

#include <algorithm>

namespace melgrad::emulation {

void join(Clock& clock, const Clock& other) {
  if (clock.size() < other.size()) clock.resize(other.size());
  for (std::size_t i = 0; i < other.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

Timeline::Timeline(Schedule schedule, std::uint64_t seed) : schedule_(schedule), random_(seed) {
  create_stream(true, Site::current());
}

StreamState& Timeline::create_stream(bool is_blocking, const Site& site) {
  streams_.push_back(std::make_unique<StreamState>());
  StreamState& stream = *streams_.back();
  stream.index = static_cast<std::uint32_t>(streams_.size() - 1);
  stream.is_blocking = is_blocking;
  stream.created_at = site;
  return stream;
}

Operation& Timeline::push(StreamState& stream, Operation operation) {
  operation.number = static_cast<std::uint32_t>(operations_.size() + 1);
  operation.stream = stream.index;
  operation.sequence = ++stream.sequence;
  if (stream.last) operation.after.push_back(stream.last);
  // The default stream waits for all blocking streams, and they for it.
  if (stream.index == 0) {
    for (const auto& other : streams_)
      if (other->index != 0 && other->is_blocking && other->last) operation.after.push_back(other->last);
  } else if (stream.is_blocking && streams_[0]->last) {
    operation.after.push_back(streams_[0]->last);
  }
  operation.clock = host_;
  for (const std::uint32_t number : operation.after) {
    const Operation& before = this->operation(number);
    join(operation.clock, before.clock);
    if (operation.clock.size() <= before.stream) operation.clock.resize(before.stream + 1);
    operation.clock[before.stream] = std::max(operation.clock[before.stream], before.sequence);
  }
  stream.last = operation.number;
  operations_.push_back(std::move(operation));
  pending_.push_back(operations_.back().number);
  unsynchronized_.push_back(operations_.back().number);
  Operation& pushed = operations_.back();
  if (!is_running_) let_time_pass();
  return pushed;
}

bool Timeline::is_ready(const Operation& o) {
  return std::all_of(o.after.begin(), o.after.end(), [&](std::uint32_t n) { return operation(n).is_done; });
}

void Timeline::let_time_pass() {
  if (schedule_ == Schedule::eager) run(operations_.back().number);
  if (schedule_ == Schedule::random)
    while (random_() % 2 == 0 && !pending_.empty()) progress();
}

void Timeline::progress() {
  std::vector<std::uint32_t> ready;
  for (const std::uint32_t number : pending_)
    if (is_ready(operation(number))) ready.push_back(number);
  if (!ready.empty()) run(ready[random_() % ready.size()]);
}

void Timeline::run(std::uint32_t number) {
  std::vector<std::uint32_t> stack{number};
  while (!stack.empty()) {
    Operation& next = operation(stack.back());
    if (next.is_done) {
      stack.pop_back();
      continue;
    }
    const std::size_t depth = stack.size();
    for (const std::uint32_t before : next.after)
      if (!operation(before).is_done) stack.push_back(before);
    if (stack.size() > depth) continue;
    stack.pop_back();
    next.is_done = true;  // even if it faults
    std::erase(pending_, next.number);
    is_running_ = true;
    struct Stop {
      bool& flag;
      ~Stop() { flag = false; }
    } stop{is_running_};
    if (next.run) next.run(next.number);
    next.run = nullptr;
  }
}

void Timeline::synchronize(std::uint32_t number) {
  if (number == 0) return;
  run(number);
  const Operation& done = operation(number);
  join(host_, done.clock);
  if (host_.size() <= done.stream) host_.resize(done.stream + 1);
  host_[done.stream] = std::max(host_[done.stream], done.sequence);
}

void Timeline::synchronize_all() {
  // In random order of streams: nothing may depend on it.
  while (!pending_.empty()) progress();
  for (const auto& stream : streams_) synchronize(stream->last);
}

bool Timeline::is_ordered(std::uint32_t earlier, const Clock& later) {
  const Operation& o = operation(earlier);
  return o.stream < later.size() && later[o.stream] >= o.sequence;
}

bool Timeline::happens_before(std::uint32_t earlier, std::uint32_t later) {
  if (known_order_ == std::pair(earlier, later)) return true;
  if (!is_ordered(earlier, operation(later).clock)) return false;
  known_order_ = {earlier, later};
  return true;
}

bool Timeline::is_known_to_host(const Operation& o) const {
  return o.stream < host_.size() && host_[o.stream] >= o.sequence;
}

const std::deque<std::uint32_t>& Timeline::unsynchronized() {
  std::erase_if(unsynchronized_, [&](std::uint32_t number) { return is_known_to_host(operation(number)); });
  return unsynchronized_;
}

}  // namespace melgrad::emulation
