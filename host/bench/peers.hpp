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
  std::string peer;            // "scikit-learn"
  std::string version;         // of the library
  std::string missing;         // why it could not run, else empty
  MedianRange cpu_seconds;     // of all the work of the request
  std::vector<double> values;  // what it computed, for a comparison
};

// Runs one peer of tools/peers/peers.py (embedded in this program) on a request that it documents, in
// `folder`. python: an interpreter's name or path. An interpreter that cannot be started or a peer that fails
// is an Error with the peer's last words; a library that is not installed is a result that says so.
PeerResult run_peer(const std::string& python, const std::string& peer, const Json& request,
                    const std::filesystem::path& folder);

// A peer beside the same work of ours, which is measured before it and after it: a shared machine is not as
// fast in one minute as in the next.
struct PeerComparison {
  PeerResult peer;
  double before_seconds = 0, after_seconds = 0;  // CPU time of ours, medians; 0 where the peer is missing
  // The peer's CPU time over ours.
  double ratio() const { return 2 * peer.cpu_seconds.median / (before_seconds + after_seconds); }
};
PeerComparison compare_with_peer(const std::string& python, const std::string& peer, const Json& request,
                                 const std::filesystem::path& folder, const std::function<void()>& ours,
                                 int repeats);

}  // namespace melgrad
