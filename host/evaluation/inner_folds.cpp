#include "host/evaluation/inner_folds.hpp"

#include <algorithm>
#include <cmath>

#include "host/evaluation/fit_scores.hpp"
#include "host/models/cross_validation.hpp"

namespace melgrad {
namespace {

// Folds of a part, in rows of the data set.
std::vector<Split> folds_in_dataset(const Dataset& dataset, const TrainingPart& part) {
  std::vector<Split> folds = inner_folds(dataset, part);
  for (Split& fold : folds) {
    fold.name = fmt::format("{}, {}", part.name, fold.name);
    for (auto* side : {&fold.train, &fold.test, &fold.left_out})
      for (int& row : *side) row = part.rows[static_cast<std::size_t>(row)];
  }
  return folds;
}

}  // namespace

std::vector<Split> inner_folds(const Dataset& dataset, const TrainingPart& part) {
  const Dataset rows = subset(dataset, part.rows);
  const auto n_groups = static_cast<int>(rows.group_names.size());
  SplitPlan plan = part.grouped && n_groups > 1
                       ? speaker_folds(rows, std::min(n_inner_folds, n_groups), part.random_state)
                       : stratified_k_fold(rows, n_inner_folds, part.random_state);
  std::erase_if(plan.splits, [](const Split& fold) { return fold.train.empty() || fold.test.empty(); });
  return std::move(plan.splits);
}

std::vector<ChosenCandidate> choose_candidates(const Dataset& dataset, std::span<const TrainingPart> parts,
                                               std::span<const Candidate> candidates, Engine& engine,
                                               Progress& progress) {
  struct Question {
    std::size_t part, candidate;
  };
  std::vector<std::vector<Split>> folds;  // [n_parts], which the tasks point into
  for (const TrainingPart& part : parts) folds.push_back(folds_in_dataset(dataset, part));
  std::vector<Question> questions;
  std::vector<FitTask> tasks;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    for (std::size_t candidate = 0; candidate < candidates.size(); ++candidate) {
      for (const Split& fold : folds[part]) {
        questions.push_back({part, candidate});
        FitTask& task = tasks.emplace_back(FitTask{candidates[candidate].spec, &fold});
        task.spec.random_state += parts[part].random_state;
      }
    }
  }

  std::vector<std::vector<Index>> n_right(parts.size(), std::vector<Index>(candidates.size()));
  std::vector<ChosenCandidate> chosen(parts.size());
  progress.begin("choosing", static_cast<Index>(tasks.size()));
  score_fits(dataset, tasks, {}, engine, progress, [&](std::span<const ScoredTask> scored) {
    for (const auto& [task, score] : scored) {
      const auto [part, candidate] = questions[task];
      n_right[part][candidate] += static_cast<Index>(std::llround(
          score.test_accuracy.value_or(0) * static_cast<double>(tasks[task].split->test.size())));
      chosen[part].times.wall_seconds += score.fit_seconds;
      chosen[part].times.cpu_seconds += score.fit_cpu_seconds;
    }
  });
  progress.end();
  for (std::size_t part = 0; part < parts.size(); ++part)
    chosen[part].candidate = best_candidate(n_right[part]);
  return chosen;
}

Json values_of(std::span<const Candidate> candidates) {
  Json values = Json::object();
  for (const Candidate& candidate : candidates) {
    for (const auto& [name, value] : candidate.parameters.items()) {
      Json& known = values[name];
      if (std::ranges::find(known, value) == known.end()) known.push_back(value);
    }
  }
  return values;
}

}  // namespace melgrad
