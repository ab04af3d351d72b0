#include "host/models/forest.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <numeric>
#include <utility>

#include "host/core/philox.hpp"

namespace melgrad {
namespace {

// Values that are no further apart are equal: FEATURE_THRESHOLD of sklearn.tree.
constexpr float least_difference = 1e-7f;

// How often each label stands on one side of a split, and what Gini's impurity needs of it. Everything is a
// whole number, so that a split's score does not depend on the order of equal values.
class LabelCounts {
 public:
  explicit LabelCounts(int n_classes) : counts_(static_cast<std::size_t>(n_classes)) {}

  void clear() {
    std::ranges::fill(counts_, 0);
    n_ = sum_of_squares_ = 0;
  }
  void add(int label, std::int64_t weight) {
    std::int64_t& count = counts_[static_cast<std::size_t>(label)];
    sum_of_squares_ += weight * (2 * count + weight);
    count += weight;
    n_ += weight;
  }
  // n * (1 - impurity); of both sides of a split together, it is greatest where their impurity is least.
  double purity() const { return static_cast<double>(sum_of_squares_) / static_cast<double>(n_); }
  bool is_pure() const { return sum_of_squares_ == n_ * n_; }
  std::int64_t n() const { return n_; }
  const std::vector<std::int64_t>& counts() const { return counts_; }

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t n_ = 0;
  std::int64_t sum_of_squares_ = 0;
};

}  // namespace

SortedTrainingSet::SortedTrainingSet(MatrixView<const float> features, std::span<const int> labels_,
                                     int n_classes_)
    : n_rows(features.rows),
      n_classes(n_classes_),
      labels(labels_.begin(), labels_.end()),
      columns(features.cols, features.rows),
      rows_in_order(features.cols, features.rows) {
  assert(static_cast<Index>(labels.size()) == n_rows);
  for (Index row = 0; row < n_rows; ++row)
    for (Index feature = 0; feature < features.cols; ++feature)
      columns(feature, row) = features(row, feature);
  for (Index feature = 0; feature < features.cols; ++feature) {
    const auto rows = rows_in_order.row(feature);
    const auto values = columns.row(feature);
    std::iota(rows.begin(), rows.end(), 0);
    std::ranges::stable_sort(rows, {}, [&](int row) { return values[static_cast<std::size_t>(row)]; });
  }
}

// Grows one tree after the other.
class TreeGrower {
 public:
  TreeGrower(const SortedTrainingSet& training_set, const ForestSpec& spec, Forest& forest)
      : set_(training_set),
        spec_(spec),
        forest_(forest),
        weights_(static_cast<std::size_t>(set_.n_rows)),
        is_in_node_(weights_.size()),
        features_(static_cast<std::size_t>(set_.columns.rows)),
        column_(weights_.size() + 1),
        node_counts_(set_.n_classes),
        below_(set_.n_classes),
        above_(set_.n_classes) {}

  void grow(std::uint32_t tree) {
    PhiloxSequence random(spec_.seed, RandomStream::bootstrap, tree);
    draw_rows(random);
    std::iota(features_.begin(), features_.end(), Index{0});
    forest_.roots_.push_back(forest_.nodes_.size());
    forest_.nodes_.emplace_back();
    std::vector<Part> parts = {{forest_.roots_.back(), 0, rows_.size()}};
    while (!parts.empty()) {
      const Part part = parts.back();
      parts.pop_back();
      const std::span<int> rows = std::span(rows_).subspan(part.begin, part.end - part.begin);
      const CutPoint cut = best_cut(rows, random);
      if (cut.feature < 0) {
        make_leaf(part.node);
        continue;
      }
      const auto values = set_.columns.row(cut.feature);
      const auto above = std::partition(rows.begin(), rows.end(), [&](int row) {
        return static_cast<double>(values[static_cast<std::size_t>(row)]) <= cut.threshold;
      });
      const std::size_t middle = part.begin + static_cast<std::size_t>(above - rows.begin());
      const std::size_t child = forest_.nodes_.size();
      forest_.nodes_.resize(child + 2);
      forest_.nodes_[part.node] = {static_cast<int>(cut.feature), static_cast<int>(child), cut.threshold};
      parts.push_back({child + 1, middle, part.end});
      parts.push_back({child, part.begin, middle});
    }
  }

 private:
  // Rows of the tree that have come to a node.
  struct Part {
    std::size_t node, begin, end;
  };
  struct CutPoint {
    Index feature = -1;
    double threshold = 0;
    double purity = -1;
  };
  struct Value {
    float value;
    int row;
  };

  // How often each row is in the tree's sample, and the rows that are in it.
  void draw_rows(PhiloxSequence& random) {
    std::ranges::fill(weights_, spec_.bootstrap ? 0 : 1);
    if (spec_.bootstrap)
      for (Index i = 0; i < set_.n_rows; ++i)
        ++weights_[random.next_below(static_cast<std::uint32_t>(set_.n_rows))];
    rows_.clear();
    for (int row = 0; row < static_cast<int>(set_.n_rows); ++row)
      if (weights_[static_cast<std::size_t>(row)] > 0) rows_.push_back(row);
  }

  // Of the features that are drawn; none where the node is to be a leaf. Leaves the node's labels in
  // node_counts_.
  CutPoint best_cut(std::span<const int> rows, PhiloxSequence& random) {
    node_counts_.clear();
    for (const int row : rows) node_counts_.add(label_of(row), weight_of(row));
    CutPoint best;
    if (static_cast<int>(rows.size()) < spec_.min_samples_split || node_counts_.is_pure()) return best;
    for (const int row : rows) is_in_node_[static_cast<std::size_t>(row)] = 1;
    bool varies = false;
    for (std::size_t drawn = 0;
         drawn < features_.size() && (static_cast<Index>(drawn) < spec_.max_features || !varies); ++drawn) {
      const auto left = static_cast<std::uint32_t>(features_.size() - drawn);
      std::swap(features_[drawn], features_[drawn + random.next_below(left)]);
      const std::span<const Value> column = collect(features_[drawn], rows);
      if (column.back().value <= column.front().value + least_difference) continue;
      varies = true;
      try_cuts(features_[drawn], column, best);
    }
    for (const int row : rows) is_in_node_[static_cast<std::size_t>(row)] = 0;
    return best;
  }

  // The feature's values at these rows, ascending: from the order of all rows where these are many of them,
  // else sorted, whichever is less work.
  std::span<const Value> collect(Index feature, std::span<const int> rows) {
    const auto values = set_.columns.row(feature);
    const std::span<Value> column = std::span(column_).first(rows.size());
    std::size_t n = 0;
    if (rows.size() * static_cast<std::size_t>(std::bit_width(rows.size())) < weights_.size()) {
      for (const int row : rows) column[n++] = {values[static_cast<std::size_t>(row)], row};
      std::ranges::sort(column, {}, &Value::value);
      return column;
    }
    // Every row is written, and stays where it is in the node: whether it is cannot be foreseen by a
    // processor.
    for (const int row : set_.rows_in_order.row(feature)) {
      column_[n] = {values[static_cast<std::size_t>(row)], row};
      n += is_in_node_[static_cast<std::size_t>(row)];
    }
    return column;
  }

  // Every cut between two values of the feature's column.
  void try_cuts(Index feature, std::span<const Value> column, CutPoint& best) {
    below_.clear();
    above_ = node_counts_;
    for (std::size_t i = 0; i + 1 < column.size(); ++i) {
      const auto& [value, row] = column[i];
      below_.add(label_of(row), weight_of(row));
      above_.add(label_of(row), -weight_of(row));
      const float next = column[i + 1].value;
      if (next <= value + least_difference) continue;
      const double purity = below_.purity() + above_.purity();
      if (purity > best.purity)
        best = {feature, static_cast<double>(value) / 2 + static_cast<double>(next) / 2, purity};
    }
  }

  void make_leaf(std::size_t node) {
    forest_.nodes_[node].child = static_cast<int>(forest_.n_leaves());
    const std::vector<std::int64_t>& counts = node_counts_.counts();
    for (std::size_t label = 0; label < counts.size(); ++label)
      if (counts[label] > 0)
        forest_.shares_.push_back({static_cast<int>(label), static_cast<double>(counts[label]) /
                                                                static_cast<double>(node_counts_.n())});
    forest_.leaf_ends_.push_back(forest_.shares_.size());
  }

  int label_of(int row) const { return set_.labels[static_cast<std::size_t>(row)]; }
  int weight_of(int row) const { return weights_[static_cast<std::size_t>(row)]; }

  const SortedTrainingSet& set_;
  const ForestSpec& spec_;
  Forest& forest_;
  std::vector<int> weights_;               // [n_rows]: how often a row is in the tree's sample
  std::vector<unsigned char> is_in_node_;  // [n_rows]: 1 where the row has come to the node
  std::vector<int> rows_;                  // in the tree's sample, the rows of a node side by side
  std::vector<Index> features_;            // the drawn ones first
  std::vector<Value> column_;  // [n_rows] of one feature; one place more, for the row after the last
  LabelCounts node_counts_, below_, above_;
};

Forest::Forest(const SortedTrainingSet& training_set, const ForestSpec& spec)
    : n_classes_(training_set.n_classes) {
  assert(training_set.n_rows > 0 && spec.max_features > 0);
  TreeGrower grower(training_set, spec, *this);
  for (int tree = 0; tree < spec.n_estimators; ++tree) grower.grow(static_cast<std::uint32_t>(tree));
}

Matrix<float> Forest::predict_proba(MatrixView<const float> rows) const {
  Matrix<float> probabilities(rows.rows, n_classes_);
  std::vector<double> sum(static_cast<std::size_t>(n_classes_));
  for (Index row = 0; row < rows.rows; ++row) {
    std::ranges::fill(sum, 0.0);
    for (const std::size_t root : roots_) {
      const Node* node = &nodes_[root];
      while (node->feature >= 0)
        node = &nodes_[static_cast<std::size_t>(node->child) +
                       (static_cast<double>(rows(row, node->feature)) > node->threshold ? 1 : 0)];
      const auto leaf = static_cast<std::size_t>(node->child);
      for (std::size_t i = leaf == 0 ? 0 : leaf_ends_[leaf - 1]; i < leaf_ends_[leaf]; ++i)
        sum[static_cast<std::size_t>(shares_[i].label)] += shares_[i].share;
    }
    for (std::size_t label = 0; label < sum.size(); ++label)
      probabilities(row, static_cast<Index>(label)) =
          static_cast<float>(sum[label] / static_cast<double>(roots_.size()));
  }
  return probabilities;
}

}  // namespace melgrad
