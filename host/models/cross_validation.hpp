#pragma once
// What the searches of the classical models share.

#include <algorithm>
#include <span>
#include <vector>

#include "host/core/clock.hpp"
#include "host/core/matrix.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {

// Rows of a training set, divided: each fold's tested rows, and the others.
struct FoldRows {
  std::vector<int> train;
  std::vector<int> test;
};
inline std::vector<FoldRows> fold_rows(Index n_train, std::span<const std::vector<int>> folds) {
  std::vector<FoldRows> divided;
  for (const std::vector<int>& test : folds) {
    std::vector<char> is_test(static_cast<std::size_t>(n_train));
    for (const int row : test) is_test[static_cast<std::size_t>(row)] = 1;
    FoldRows& fold = divided.emplace_back(FoldRows{{}, test});
    for (int row = 0; row < static_cast<int>(n_train); ++row)
      if (is_test[static_cast<std::size_t>(row)] == 0) fold.train.push_back(row);
  }
  return divided;
}

inline Index n_tested(std::span<const std::vector<int>> folds) {
  Index n = 0;
  for (const std::vector<int>& fold : folds) n += static_cast<Index>(fold.size());
  return n;
}

// The first of the largest.
inline std::size_t best_candidate(std::span<const Index> n_right) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < n_right.size(); ++i)
    if (n_right[i] > n_right[best]) best = i;
  return best;
}

// Time since it was made, of this thread.
class ThreadTimer {
 public:
  FitTimes lap() {
    const FitTimes now{wall_seconds(), thread_cpu_seconds()};
    const FitTimes since{now.wall_seconds - begin_.wall_seconds, now.cpu_seconds - begin_.cpu_seconds};
    begin_ = now;
    return since;
  }

 private:
  FitTimes begin_{wall_seconds(), thread_cpu_seconds()};
};

inline Matrix<float> taken_rows(MatrixView<const float> features, std::span<const int> rows) {
  Matrix<float> taken(static_cast<Index>(rows.size()), features.cols);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto from = features.row(rows[i]);
    std::copy(from.begin(), from.end(), taken.row(static_cast<Index>(i)).begin());
  }
  return taken;
}

}  // namespace melgrad
