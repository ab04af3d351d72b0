#pragma once
// What `melgrad bench --json` and `melgrad learning-curve --json` measured.

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

// Accuracy with so many training clips: mean and standard deviation over the folds.
struct LearningPoint {
  double n_train = 0;
  double train_accuracy = 0;
  double train_std = 0;
  double test_accuracy = 0;
  double test_std = 0;
};

// In the order of n_train; points without a score are left out. Nothing of null. An error names the member
// that is missing or wrong.
std::vector<LearningPoint> learning_points_from_json(const Json& curve);

}  // namespace melgrad
