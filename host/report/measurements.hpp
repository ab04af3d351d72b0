#pragma once
// What `melgrad bench --json` and `melgrad learning-curve --json` measured.

#include <string>
#include <vector>

#include "host/core/json.hpp"

namespace melgrad {

// How fast somebody does some work: by the CPU time of one thread, of several threads and of GPUs by the
// clock.
struct Measurement {
  std::string work;       // "features: WAV file to cached row"
  std::string who;        // "librosa 0.11.0"
  std::string unit;       // "clip"
  double per_second = 0;  // units a second: by the median of several repeats
  double spread = 0;      // half the range of the repeats over their median
  double ratio = 0;       // CPU time over melgrad's on one thread; 0: not compared
  bool is_ours() const { return who.starts_with("melgrad"); }
};

// Of each work that a peer did, too, and otherwise of the first of each part (features, training, ...), the
// fastest first; peers that were missing are left out. Nothing of null. An error names the member that is
// missing or wrong.
std::vector<std::vector<Measurement>> measurements_from_json(const Json& bench);

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
