#pragma once
// What the models' comparison and the statistics behind it mean, in sentences that follow from the numbers.

#include <string>
#include <vector>

#include "host/report/results.hpp"

namespace melgrad {

// Each is empty where the results say nothing about it.

// Which model is best, and which are significantly worse.
std::string comparison_finding(const Results& results);
// The cheapest model that is not significantly worse than the best.
std::string cost_finding(const Results& results);
// Whether two models err on the same clips.
std::string shared_mistakes_finding(const Results& results);
// How much near copies of the test clips in training help, and which model most.
std::string leak_finding(const Results& results);
// Whether the network knows its training clips by heart.
std::string memory_finding(const Results& results);
// Whether the probabilities can be believed.
std::string calibration_finding(const Results& results);
// For whom it works better and worse.
std::string subgroup_finding(const Results& results);
// In what the own recordings differ from the data set.
std::string drift_finding(const Results& results);
// Whether more recordings would bring more.
std::string learning_finding(const Results& results);
// How much longer others take for the same work.
std::string throughput_finding(const Results& results);

}  // namespace melgrad
