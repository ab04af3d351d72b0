#pragma once
// What the numbers mean, in sentences that follow from them.

#include <string>
#include <vector>

#include "host/report/results.hpp"

namespace melgrad {

// "unheard clips", "unheard speakers", "own recordings", "given test clips": what a protocol tests.
std::string protocol_title(Protocol protocol, const DatasetSummary& dataset);

// Share of the test clips that would be right if every one were given the most frequent label.
double chance_accuracy(const Metrics& metrics);

// Clips of one label taken for another.
struct Confusion {
  int truth = 0;
  int predicted = 0;
  Index count = 0;
  double share = 0;  // of the clips of `truth`
};
// The largest shares first; those of one clip only, and those below 5 %, are left out.
std::vector<Confusion> top_confusions(const ProtocolResult& result, std::size_t most);

enum class FindingTopic { how_good, models, mistakes, own_recordings };

struct Finding {
  FindingTopic topic = FindingTopic::how_good;
  std::string text;         // one paragraph
  std::string figure = {};  // the name of the report's figure that shows it
};
// Topic by topic, the most important first.
std::vector<Finding> findings(const Results& results);

}  // namespace melgrad
