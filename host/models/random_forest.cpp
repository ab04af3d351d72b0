#include <algorithm>
#include <cmath>
#include <string_view>

#include "host/core/philox.hpp"
#include "host/models/classical.hpp"
#include "host/models/cross_validation.hpp"
#include "host/models/forest.hpp"

namespace melgrad {
namespace {

constexpr int n_estimators = 200;
constexpr int n_search_estimators = 50;  // the order of the candidates shows earlier than the best accuracy

struct ForestCandidate {
  const char* max_features;
  int min_samples_split;
};
constexpr ForestCandidate candidates[] = {{"sqrt", 2}, {"sqrt", 8}, {"log2", 2}, {"log2", 8}};

Index features_at_a_split(std::string_view max_features, Index n_features) {
  const auto n = static_cast<double>(n_features);
  return std::max(Index{1}, static_cast<Index>(max_features == "sqrt" ? std::sqrt(n) : std::log2(n)));
}

Forest grown_forest(const SortedTrainingSet& training_set, const ForestCandidate& candidate, int n_trees,
                    std::uint64_t seed) {
  return {training_set,
          {.n_estimators = n_trees,
           .max_features = features_at_a_split(candidate.max_features, training_set.columns.rows),
           .min_samples_split = candidate.min_samples_split,
           .seed = seed}};
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
    std::vector<int> labels;
    for (const int row : fold.train) labels.push_back(task.labels[static_cast<std::size_t>(row)]);
    const SortedTrainingSet training_set(train.view(), labels, task.n_classes);
    ++n_folds;
    for (std::size_t i = 0; i < std::size(candidates); ++i) {
      const Forest forest = grown_forest(training_set, candidates[i], n_search_estimators,
                                         forest_seed(task.random_state, n_folds));
      const Matrix<float> probabilities = forest.predict_proba(test.view());
      for (std::size_t row = 0; row < fold.test.size(); ++row) {
        const auto of_row = probabilities.row(static_cast<Index>(row));
        n_right[i] += std::ranges::max_element(of_row) - of_row.begin() ==
                      task.labels[static_cast<std::size_t>(fold.test[row])];
      }
    }
  }
  const std::size_t best = best_candidate(n_right);
  ClassicalOutcome outcome{.probabilities = {},
                           .parameters = {{"n_estimators", n_estimators},
                                          {"max_features", candidates[best].max_features},
                                          {"min_samples_split", candidates[best].min_samples_split}},
                           .search_accuracy = 0,
                           .search = timer.lap(),
                           .fit = {},
                           .predict = {}};
  if (n_folds > 0)
    outcome.search_accuracy = static_cast<double>(n_right[best]) / static_cast<double>(n_tested(task.folds));
  const Forest forest = grown_forest(SortedTrainingSet(task.train, task.labels, task.n_classes),
                                     candidates[best], n_estimators, forest_seed(task.random_state, 0));
  outcome.fit = timer.lap();
  outcome.probabilities = forest.predict_proba(task.test);
  outcome.predict = timer.lap();
  return outcome;
}

}  // namespace melgrad
