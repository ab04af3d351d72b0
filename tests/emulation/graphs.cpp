#include "graphs.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace melgrad::emulation {

void Graphs::begin(StreamState& origin, const Site& site) {
  if (capture_) fault(fmt::format("cudaStreamBeginCapture while {}", describe_capture()));
  if (origin.index == 0) fault("cudaStreamBeginCapture on the default stream");
  capture_.emplace(Capture{++n_captures_, origin.index, site, {}, {}, {}});
  capture_->slots[origin.index] = 0;
  capture_->tails[origin.index] = {};
  capture_->graph.n_slots = 1;
  capture_->graph.created_at = site;
}

std::string Graphs::describe_capture() const {
  return fmt::format("the capture begun in {} is under way", describe(capture_->site));
}

Graph& Graphs::end(StreamState& stream) {
  if (!capture_ || capture_->origin != stream.index)
    fault("cudaStreamEndCapture on a stream where no capture began");
  Capture capture = std::move(*capture_);
  capture_.reset();
  // Everything must lead back to the origin.
  const auto& nodes = capture.graph.nodes;
  std::vector<bool> is_joined(nodes.size());
  std::vector<std::size_t> open = capture.tails[capture.origin];
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    if (is_joined[node]) continue;
    is_joined[node] = true;
    open.insert(open.end(), nodes[node].after.begin(), nodes[node].after.end());
  }
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (!is_joined[i])
      fault(fmt::format(
          "cudaStreamEndCapture: {} ran on another stream, which was never joined to the one of the "
          "capture by an event",
          nodes[i].operation.name));
  graphs_.push_back(std::make_unique<Graph>(std::move(capture.graph)));
  return *graphs_.back();
}

void Graphs::add(StreamState& stream, Operation operation) {
  auto& tail = capture_->tails[stream.index];
  auto& nodes = capture_->graph.nodes;
  nodes.push_back({std::move(operation), capture_->slots[stream.index], tail});
  tail = {nodes.size() - 1};
}

void Graphs::record(EventState& event, StreamState& stream) {
  event.capture = capture_->number;
  event.nodes = capture_->tails[stream.index];
  event.operation = 0;
}

void Graphs::wait(StreamState& stream, const EventState& event) {
  if (!capture_->slots.contains(stream.index)) capture_->slots[stream.index] = capture_->graph.n_slots++;
  auto& tail = capture_->tails[stream.index];
  tail.insert(tail.end(), event.nodes.begin(), event.nodes.end());
}

GraphExec& Graphs::instantiate(const Graph& graph, Timeline& timeline, const Site& site) {
  execs_.push_back(std::make_unique<GraphExec>());
  GraphExec& exec = *execs_.back();
  exec.graph = graph;
  exec.created_at = site;
  for (std::uint32_t slot = 1; slot < graph.n_slots; ++slot) {
    exec.streams.push_back(&timeline.create_stream(false, site));
    exec.streams.back()->is_destroyed = true;  // nobody else's
  }
  return exec;
}

void Graphs::launch(GraphExec& exec, StreamState& stream, Timeline& timeline, const std::string& name) {
  Operation begin;
  begin.name = name;
  if (exec.last_launch) begin.after.push_back(exec.last_launch);  // a graph does not overlap itself
  const std::uint32_t first = timeline.push(stream, std::move(begin)).number;
  std::vector<std::uint32_t> numbers;
  for (const GraphNode& node : exec.graph.nodes) {
    Operation operation = node.operation;
    operation.after.push_back(first);
    for (const std::size_t before : node.after) operation.after.push_back(numbers[before]);
    StreamState& where = node.slot == 0 ? stream : *exec.streams[node.slot - 1];
    numbers.push_back(push(where, std::move(operation)).number);
  }
  Operation end;
  end.name = name;
  end.after = numbers;
  exec.last_launch = timeline.push(stream, std::move(end)).number;
}

EventState& Graphs::create_event(const Site& site) {
  events_.push_back(std::make_unique<EventState>());
  events_.back()->created_at = site;
  return *events_.back();
}

}  // namespace melgrad::emulation
