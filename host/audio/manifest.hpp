#pragma once
// Which recordings there are, and what is known of each.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace melgrad {

// One recording of a data set.
struct Clip {
  std::string path;   // as found, relative to the data set's root where it lies under it
  std::string label;  // what is to be learnt: "angry"
  std::string
      group;  // who speaks: clips of one group never stand on both sides of a speaker split; may be empty
  std::string split;                              // from a CSV manifest: "train", "test" or empty
  std::map<std::string, std::string> attributes;  // what else the name says: intensity, statement, sex
};

struct Refusal {
  std::string path;
  std::string reason;
  bool operator==(const Refusal&) const = default;
};

// The clips of a data set in the order of their paths, and the files that were refused because no label could
// be found for them.
struct Manifest {
  std::filesystem::path root;
  std::vector<Clip> clips;
  std::vector<Refusal> refused;
};

}  // namespace melgrad
