#include <algorithm>
#include <cmath>
#include <opencv2/ml.hpp>

#include "host/core/philox.hpp"
#include "host/models/classical.hpp"
#include "host/models/cross_validation.hpp"

namespace melgrad {
namespace {

constexpr int n_estimators = 200;
constexpr int n_search_estimators = 20;  // the order of the candidates shows earlier than the best accuracy

struct ForestCandidate {
  const char* max_features;
  int min_samples_split;
};
constexpr ForestCandidate candidates[] = {{"sqrt", 2}, {"sqrt", 8}, {"log2", 2}, {"log2", 8}};

int features_at_a_split(std::string_view max_features, Index n_features) {
  const auto n = static_cast<double>(n_features);
  return std::max(1, static_cast<int>(max_features == "sqrt" ? std::sqrt(n) : std::log2(n)));
}

// A matrix of OpenCV that looks at ours; it does not write.
cv::Mat as_mat(MatrixView<const float> features) {
  return cv::Mat(static_cast<int>(features.rows), static_cast<int>(features.cols), CV_32F,
                 const_cast<float*>(features.data),
                 static_cast<std::size_t>(features.stride) * sizeof(float));
}

// `seed` names everything that is drawn: rows of each tree, features of each split.
cv::Ptr<cv::ml::RTrees> grown_forest(MatrixView<const float> features, const std::vector<int>& labels,
                                     const ForestCandidate& candidate, int n_trees, std::uint64_t seed) {
  const auto forest = cv::ml::RTrees::create();
  forest->setMaxDepth(25);  // the most that OpenCV grows
  // OpenCV splits a node of more rows than this, scikit-learn one of at least min_samples_split.
  forest->setMinSampleCount(candidate.min_samples_split - 1);
  forest->setActiveVarCount(features_at_a_split(candidate.max_features, features.cols));
  forest->setTermCriteria({cv::TermCriteria::MAX_ITER, n_trees, 0});
  const cv::Mat classes(static_cast<int>(labels.size()), 1, CV_32S, const_cast<int*>(labels.data()));
  cv::theRNG() = cv::RNG(seed);  // this thread's own
  forest->train(cv::ml::TrainData::create(as_mat(features), cv::ml::ROW_SAMPLE, classes));
  return forest;
}

// Votes [n_rows, n_classes] of each tree: OpenCV tells them for the classes that it saw, in their order.
Matrix<int> votes_of(const cv::ml::RTrees& forest, MatrixView<const float> features, int n_classes) {
  Matrix<int> votes(features.rows, n_classes);
  if (features.rows == 0) return votes;
  cv::Mat counted;  // first row: the classes; then each row's votes
  forest.getVotes(as_mat(features), counted, 0);
  for (int column = 0; column < counted.cols; ++column)
    for (Index row = 0; row < features.rows; ++row)
      votes(row, counted.at<int>(0, column)) = counted.at<int>(static_cast<int>(row) + 1, column);
  return votes;
}

std::vector<int> labels_of(std::span<const int> labels, const std::vector<int>& rows) {
  std::vector<int> taken;
  for (const int row : rows) taken.push_back(labels[static_cast<std::size_t>(row)]);
  return taken;
}

// The second number of the counter keeps clear of the sequences that scores are resampled with.
std::uint64_t forest_seed(std::int64_t random_state, std::uint32_t fold) {
  const PhiloxBlock bits = philox(static_cast<std::uint64_t>(random_state),
                                  {fold, 1, 0, static_cast<std::uint32_t>(RandomStream::bootstrap)});
  return std::uint64_t{bits[1]} << 32 | bits[0];
}

}  // namespace

Json random_forest_grid() {
  return {
      {"max_features", {"sqrt", "log2"}}, {"min_samples_split", {2, 8}}, {"n_estimators", {n_estimators}}};
}

ClassicalOutcome run_random_forest(const ClassicalTask& task) {
  ThreadTimer timer;
  std::vector<Index> n_right(std::size(candidates));
  std::uint32_t n_folds = 0;
  for (const FoldRows& fold : fold_rows(task.train.rows, task.folds)) {
    const Matrix<float> train = taken_rows(task.train, fold.train), test = taken_rows(task.train, fold.test);
    const std::vector<int> labels = labels_of(task.labels, fold.train);
    ++n_folds;
    for (std::size_t i = 0; i < std::size(candidates); ++i) {
      const auto forest = grown_forest(train.view(), labels, candidates[i], n_search_estimators,
                                       forest_seed(task.random_state, n_folds));
      const Matrix<int> votes = votes_of(*forest, test.view(), task.n_classes);
      for (std::size_t row = 0; row < fold.test.size(); ++row) {
        const auto of_row = votes.row(static_cast<Index>(row));
        n_right[i] += std::ranges::max_element(of_row) - of_row.begin() ==
                      task.labels[static_cast<std::size_t>(fold.test[row])];
      }
    }
  }
  const std::size_t best = best_candidate(n_right);
  ClassicalOutcome outcome{.probabilities = Matrix<float>(task.test.rows, task.n_classes),
                           .parameters = {{"n_estimators", n_estimators},
                                          {"max_features", candidates[best].max_features},
                                          {"min_samples_split", candidates[best].min_samples_split}},
                           .search_accuracy = 0,
                           .search = timer.lap(),
                           .fit = {},
                           .predict = {}};
  if (n_folds > 0)
    outcome.search_accuracy = static_cast<double>(n_right[best]) / static_cast<double>(n_tested(task.folds));
  const auto forest = grown_forest(task.train, {task.labels.begin(), task.labels.end()}, candidates[best],
                                   n_estimators, forest_seed(task.random_state, 0));
  outcome.fit = timer.lap();
  const Matrix<int> votes = votes_of(*forest, task.test, task.n_classes);
  for (std::size_t i = 0; i < votes.values.size(); ++i)
    outcome.probabilities.values[i] = static_cast<float>(votes.values[i]) / n_estimators;
  outcome.predict = timer.lap();
  return outcome;
}

}  // namespace melgrad
