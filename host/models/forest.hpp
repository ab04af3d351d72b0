#pragma once
// Random forests, as sklearn.ensemble.RandomForestClassifier grows them: each tree on a bootstrap sample,
// each split the one of greatest Gini gain among a few features that are drawn anew at every node, every leaf
// pure unless min_samples_split or equal rows stop it, and leaves' shares of the labels averaged over the
// trees.

#include <cstdint>
#include <span>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

struct ForestSpec {
  int n_estimators = 100;
  Index max_features = 1;     // that a split looks at, and more until one of them is not constant
  int min_samples_split = 2;  // distinct rows of a node that is split
  bool bootstrap = true;
  std::uint64_t seed = 0;  // names everything that is drawn
};

// A training set with every feature's rows in ascending order, which all forests on it share.
struct SortedTrainingSet {
  Index n_rows = 0;
  int n_classes = 0;
  std::vector<int> labels;    // [n_rows], in [0, n_classes)
  Matrix<float> columns;      // [n_features, n_rows]
  Matrix<int> rows_in_order;  // [n_features, n_rows]; of equal values the earlier row first

  // features [n_rows, n_features], finite
  SortedTrainingSet(MatrixView<const float> features, std::span<const int> labels, int n_classes);
};

class Forest {
 public:
  Forest(const SortedTrainingSet& training_set, const ForestSpec& spec);

  // The mean over the trees of the shares that labels have in each row's leaf. rows [n, n_features] ->
  // [n, n_classes]
  Matrix<float> predict_proba(MatrixView<const float> rows) const;
  std::size_t n_leaves() const { return leaf_ends_.size(); }

 private:
  friend class TreeGrower;
  // Rows with value <= threshold go to the first child, the others to the one behind it.
  struct Node {
    int feature = -1;      // -1: a leaf
    int child = 0;         // node of the first child; of a leaf, its number
    double threshold = 0;  // half-way between two values of the training set
  };
  int n_classes_;
  std::vector<std::size_t> roots_;  // [n_estimators]
  std::vector<Node> nodes_;
  // Of the labels that a leaf has seen, leaf by leaf.
  struct Share {
    int label;
    double share;
  };
  std::vector<Share> shares_;
  std::vector<std::size_t> leaf_ends_;  // [n_leaves]: where a leaf's shares end
};

}  // namespace melgrad
