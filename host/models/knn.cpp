#include <algorithm>
#include <cstddef>

#include "host/models/classical.hpp"
#include "host/models/cross_validation.hpp"

namespace melgrad {
namespace {

struct KnnCandidate {
  int n_neighbors;
  bool by_distance;  // weights: 'distance'; else 'uniform'
};
constexpr int neighbour_counts[] = {1, 3, 5, 9, 15};

// Those that a training set of n rows allows; at least one.
std::vector<KnnCandidate> candidates_of(Index n) {
  std::vector<KnnCandidate> candidates;
  for (const int count : neighbour_counts)
    for (const bool by_distance : {false, true})
      if (count <= n) candidates.push_back({count, by_distance});
  return candidates;
}

// KNeighborsClassifier.predict_proba of one query. Where neighbours lie on the query, only they count.
void vote(const Neighbours& found, Index query, std::span<const int> labels, const KnnCandidate& candidate,
          std::vector<double>& votes) {
  std::ranges::fill(votes, 0.0);
  const bool on_it = candidate.by_distance && found.distances(query, 0) == 0;
  for (int i = 0; i < candidate.n_neighbors; ++i) {
    const double distance = found.distances(query, i);
    double weight = 1;
    if (on_it)
      weight = distance == 0 ? 1 : 0;
    else if (candidate.by_distance)
      weight = 1 / distance;
    votes[static_cast<std::size_t>(labels[static_cast<std::size_t>(found.rows(query, i))])] += weight;
  }
}

class CpuTimer {
 public:
  FitTimes lap() {
    const FitTimes now{wall_seconds(), process_cpu_seconds()};
    const FitTimes since{now.wall_seconds - begin_.wall_seconds, now.cpu_seconds - begin_.cpu_seconds};
    begin_ = now;
    return since;
  }

 private:
  FitTimes begin_{wall_seconds(), process_cpu_seconds()};
};

}  // namespace

Json knn_grid() {
  return {{"n_neighbors", neighbour_counts}, {"weights", {"uniform", "distance"}}};
}

ClassicalOutcome run_knn(const ClassicalTask& task, Engine& engine) {
  CpuTimer timer;  // the engine's threads count, too
  const std::vector<FoldRows> folds = fold_rows(task.train.rows, task.folds);
  Index smallest = task.train.rows;
  for (const FoldRows& fold : folds) smallest = std::min(smallest, static_cast<Index>(fold.train.size()));
  const std::vector<KnnCandidate> candidates = candidates_of(smallest);
  const int most = candidates.back().n_neighbors;
  std::vector<double> votes(static_cast<std::size_t>(task.n_classes));

  std::vector<Index> n_right(candidates.size());
  for (const FoldRows& fold : folds) {
    std::vector<int> labels;
    for (const int row : fold.train) labels.push_back(task.labels[static_cast<std::size_t>(row)]);
    const Matrix<float> train = taken_rows(task.train, fold.train), test = taken_rows(task.train, fold.test);
    const Neighbours found = engine.nearest_neighbours(train.view(), test.view(), most);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      for (std::size_t row = 0; row < fold.test.size(); ++row) {
        vote(found, static_cast<Index>(row), labels, candidates[i], votes);
        const auto predicted = std::ranges::max_element(votes) - votes.begin();
        n_right[i] += predicted == task.labels[static_cast<std::size_t>(fold.test[row])];
      }
    }
  }
  const std::size_t best = best_candidate(n_right);
  ClassicalOutcome outcome{.probabilities = Matrix<float>(task.test.rows, task.n_classes),
                           .parameters = {{"n_neighbors", candidates[best].n_neighbors},
                                          {"weights", candidates[best].by_distance ? "distance" : "uniform"}},
                           .search_accuracy = 0,
                           .search = timer.lap(),
                           .fit = {},  // nothing: the rows are the model
                           .predict = {}};
  if (!folds.empty())
    outcome.search_accuracy = static_cast<double>(n_right[best]) / static_cast<double>(n_tested(task.folds));
  if (task.test.rows == 0) return outcome;
  const Neighbours found = engine.nearest_neighbours(task.train, task.test, candidates[best].n_neighbors);
  for (Index row = 0; row < task.test.rows; ++row) {
    vote(found, row, task.labels, candidates[best], votes);
    double sum = 0;
    for (const double each : votes) sum += each;
    for (Index label = 0; label < task.n_classes; ++label)
      outcome.probabilities(row, label) = static_cast<float>(votes[static_cast<std::size_t>(label)] / sum);
  }
  outcome.predict = timer.lap();
  return outcome;
}

}  // namespace melgrad
