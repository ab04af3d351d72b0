#pragma once
// The libraries that people use for the same work, run by a Python interpreter that has them.

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/bench/measure.hpp"
#include "host/core/json.hpp"
#include "host/core/progress.hpp"

namespace melgrad {

// A process of tools/peers/peers.py (embedded in this program) at work on a request that the script
// documents: it does one part of the work each time that it is told to. `folder` gets the script, the request
// and the peer's last words. python: an interpreter's name or path. An interpreter that cannot be started and
// a peer that fails are Errors; a library that is not installed is said by missing().
class Peer {
 public:
  Peer(const std::string& python, const std::string& name, const Json& request,
       const std::filesystem::path& folder);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const std::string& missing() const { return missing_; }  // why it cannot work, else empty
  const std::string& version() const { return version_; }  // of the library
  int n_parts() const { return n_parts_; }                 // some clips, a fit, a candidate
  double do_part(int part);                                // its seconds of CPU
  // What it computed, for a comparison: after each part was done at least once; the last call.
  std::vector<double> values();

 private:
  class Process;

  struct Answer {
    std::string line;
    Json json;
  };
  Answer answer();  // the process's next line
  template <class Value>
  Value member(const Answer& answer, const char* name);

  std::string who_;
  std::unique_ptr<Process> process_;
  std::string missing_, version_;
  int n_parts_ = 0;
};

// A peer, what it is asked for, and the same work of ours.
struct PeerWork {
  std::string name;
  Json request;
  std::function<double()> ours;  // does the work, returns its seconds of CPU
};

struct PeerComparison {
  std::string missing;         // why the peer could not work: then there are no figures
  std::string version;         // of the peer's library
  std::vector<double> values;  // what the peer computed
  MedianRange peer_seconds;    // CPU time of all parts
  MedianRange our_seconds;     // CPU time of ours
  // The peer's CPU time over that of ours in its turns: of all turns, and of the processes at either end.
  Ratio ratio;
};

// Each peer takes turns with us: our work, a part of the peer's, ours, its next part, .. It has at least
// `least_peer_seconds` of CPU time, in `repeats` processes: where the memory of each lies is luck. One
// process of each peer follows the other, again and again, because a shared machine is slower for minutes.
std::vector<PeerComparison> compare_with_peers(const std::string& python, std::span<const PeerWork> works,
                                               const std::filesystem::path& folder, int repeats,
                                               double least_peer_seconds, Progress& progress);

}  // namespace melgrad
