#pragma once
// Events, and graphs: work that is captured from streams and replayed.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "timeline.hpp"

namespace melgrad::emulation {

struct EventState {
  std::uint32_t operation = 0;     // its latest record; 0: none
  std::vector<std::size_t> nodes;  // its latest record, if that was captured
  std::uint32_t capture = 0;       // in which capture; 0: none
  double time_ms = 0;              // when the record ran
  bool has_timing = true;
  bool is_destroyed = false;
  Site created_at;
};

struct GraphNode {
  Operation operation;             // as it will be pushed
  std::uint32_t slot = 0;          // which of the captured streams
  std::vector<std::size_t> after;  // nodes
};

struct Graph {
  std::vector<GraphNode> nodes;
  std::uint32_t n_slots = 0;
  bool is_destroyed = false;
  Site created_at;
};

struct GraphExec {
  Graph graph;
  std::vector<StreamState*> streams;  // for slots 1 and up; slot 0 is the stream of the launch
  std::uint32_t last_launch = 0;      // its last operation
  bool is_destroyed = false;
  Site created_at;
};

class Graphs {
 public:
  // One at a time, as cudaStreamCaptureModeGlobal has it.
  void begin(StreamState& origin, const Site& site);
  Graph& end(StreamState& stream);
  bool is_capturing() const { return capture_.has_value(); }
  bool is_capturing(const StreamState& stream) const {
    return capture_ && capture_->tails.contains(stream.index);
  }
  std::string describe_capture() const;

  // The stream is being captured:
  void add(StreamState& stream, Operation operation);
  void record(EventState& event, StreamState& stream);
  // The event was recorded in the capture under way: takes the stream into it.
  bool is_of_capture(const EventState& event) const { return capture_ && event.capture == capture_->number; }
  void wait(StreamState& stream, const EventState& event);

  GraphExec& instantiate(const Graph& graph, Timeline& timeline, const Site& site);
  void launch(GraphExec& exec, StreamState& stream, Timeline& timeline, const std::string& name);

  EventState& create_event(const Site& site);
  const std::vector<std::unique_ptr<EventState>>& events() const { return events_; }
  const std::vector<std::unique_ptr<Graph>>& graphs() const { return graphs_; }
  const std::vector<std::unique_ptr<GraphExec>>& execs() const { return execs_; }
  // Called with what a replay pushes, in place of Timeline::push; looks at host memory, for one.
  std::function<Operation&(StreamState&, Operation)> push;

 private:
  struct Capture {
    std::uint32_t number;
    std::uint32_t origin;
    Site site;
    Graph graph;
    std::map<std::uint32_t, std::uint32_t> slots;             // of stream indices
    std::map<std::uint32_t, std::vector<std::size_t>> tails;  // what the next node of a stream waits for
  };
  std::optional<Capture> capture_;
  std::uint32_t n_captures_ = 0;
  std::vector<std::unique_ptr<EventState>> events_;
  std::vector<std::unique_ptr<Graph>> graphs_;
  std::vector<std::unique_ptr<GraphExec>> execs_;
};

}  // namespace melgrad::emulation
