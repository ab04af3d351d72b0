#pragma once
// What `melgrad bench --json` measured.

#include <string>
#include <vector>

#include "host/core/json.hpp"

namespace melgrad {

// Somebody's CPU time for a piece of some work.
struct Measurement {
  std::string work;    // "features: WAV file to cached row"
  std::string who;     // "librosa 0.11.0"
  std::string unit;    // "clip"
  double seconds = 0;  // of a unit: the median, least and most of several repeats
  double least_seconds = 0;
  double most_seconds = 0;
  double ratio = 0;  // to melgrad's on one thread; 0: not compared
};

// Of all that was measured; peers that were missing are left out. Nothing of null. An error names the member
// that is missing or wrong.
std::vector<Measurement> measurements_from_json(const Json& bench);

}  // namespace melgrad
