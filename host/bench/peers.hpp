#pragma once
// The libraries that people use for the same work, run by a Python interpreter that has them.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/bench/measure.hpp"
#include "host/core/json.hpp"

namespace melgrad {

struct PeerResult {
  std::string peer;                 // "scikit-learn"
  std::string version;              // of the library
  std::string missing;              // why it could not run, else empty
  std::vector<double> cpu_seconds;  // of each part of the request's work: some clips, a fit, a candidate
  std::vector<double> values;       // what it computed, for a comparison
};

// Runs one peer of tools/peers/peers.py (embedded in this program) on a request that it documents, in
// `folder`. python: an interpreter's name or path. An interpreter that cannot be started or a peer that fails
// is an Error with the peer's last words; a library that is not installed is a result that says so.
PeerResult run_peer(const std::string& python, const std::string& peer, const Json& request,
                    const std::filesystem::path& folder);

// A peer beside the same work of ours, again and again: ours, the peer, ours. Neighbours on a shared machine
// slow either of them down, never speed one up: what can be compared is the least time of each (as Python's
// timeit says), where each had as many chances in the same minutes. The less a piece of work takes, the
// likelier it is once undisturbed: the least time of a peer, who takes many times as long, is the sum of its
// parts' least times. A peer gets `repeats`, and more of them until it has had `least_peer_seconds` of CPU
// time: each is a process of its own, and where its memory lies is luck, too.
struct PeerComparison {
  PeerResult peer;           // the last repeat's
  MedianRange peer_seconds;  // CPU time of all parts; the minimum: the sum of the parts' least times
  MedianRange our_seconds;   // CPU time of ours
  double ratio = 0;          // the peer's minimum over ours; 0: it is missing
};
PeerComparison compare_with_peer(const std::string& python, const std::string& peer, const Json& request,
                                 const std::filesystem::path& folder, const std::function<void()>& ours,
                                 int repeats, double least_peer_seconds);

}  // namespace melgrad
