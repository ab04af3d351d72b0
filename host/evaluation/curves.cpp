#include "host/evaluation/curves.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"

namespace melgrad {
namespace {

// The training rows of each fold, shuffled: its first n are the fold's training set of size n.
std::vector<std::vector<int>> shuffled_training_rows(const std::vector<Split>& folds,
                                                     std::int64_t random_state) {
  std::vector<std::vector<int>> shuffled;
  for (std::size_t fold = 0; fold < folds.size(); ++fold) {
    PhiloxSequence random(static_cast<std::uint64_t>(random_state), RandomStream::search,
                          static_cast<std::uint32_t>(1u << 31 | fold));
    std::vector<int>& rows = shuffled.emplace_back(folds[fold].train);
    for (std::size_t left = rows.size(); left > 1; --left)
      std::swap(rows[left - 1], rows[random.next_below(static_cast<std::uint32_t>(left))]);
  }
  return shuffled;
}

std::vector<std::size_t> resolve_sizes(const std::vector<double>& train_sizes,
                                       const std::vector<Split>& folds) {
  std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const Split& fold : folds) most = std::min(most, fold.train.size());
  std::vector<std::size_t> sizes;
  for (const double size : train_sizes) {
    const double rows = size <= 1 ? std::floor(size * static_cast<double>(most)) : size;
    if (!(rows >= 1 && rows <= static_cast<double>(most)) || (size > 1 && rows != std::floor(rows)))
      fail_usage(
          "train_sizes {}: must be a share in (0, 1] of the {} training clips of a fold that leaves "
          "one at least, or a whole number up to {}",
          size, most, most);
    sizes.push_back(static_cast<std::size_t>(rows));
  }
  std::ranges::sort(sizes);
  const auto repeated = std::ranges::unique(sizes);
  sizes.erase(repeated.begin(), repeated.end());
  return sizes;
}

void add_summaries(std::vector<CurvePoint>& points) {
  const auto add = [&](std::optional<double> FitScore::*member, ScoreSummary CandidateResult::*summary) {
    std::vector<std::vector<std::optional<double>>> scores;
    for (const CurvePoint& point : points) {
      auto& each = scores.emplace_back();
      for (const FitScore& fit : point.result.fits) each.push_back(fit.*member);
    }
    const auto summaries = summarise_scores(scores);
    for (std::size_t i = 0; i < points.size(); ++i) points[i].result.*summary = summaries[i];
  };
  add(&FitScore::test_accuracy, &CandidateResult::accuracy);
  add(&FitScore::test_balanced_accuracy, &CandidateResult::balanced_accuracy);
  add(&FitScore::train_accuracy, &CandidateResult::train_accuracy);
  add(&FitScore::train_balanced_accuracy, &CandidateResult::train_balanced_accuracy);
}

}  // namespace

Curve validation_curve(const Dataset& dataset, const MlpSpec& spec, const std::string& parameter,
                       const std::vector<Json>& values, const SearchOptions& options, Engine& engine,
                       Progress& progress) {
  std::vector<Candidate> candidates;
  for (const Json& value : values) {
    Json json = to_json_fields(spec);
    json.update(Json{{parameter, value}});
    candidates.push_back({{{parameter, value}}, from_json_fields<MlpSpec>(json)});
  }
  SearchOptions with_train_scores = options;
  with_train_scores.return_train_score = true;
  with_train_scores.nested = 0;
  SearchResult result = run_search(dataset, plan_search(dataset, std::move(candidates), with_train_scores),
                                   engine, nullptr, progress);
  Curve curve{parameter, std::move(result.plan.notes), {}};
  for (std::size_t i = 0; i < values.size(); ++i)
    curve.points.push_back({values[i], std::move(result.candidates[i])});
  return curve;
}

Curve learning_curve(const Dataset& dataset, const MlpSpec& spec, const std::vector<double>& train_sizes,
                     const SearchOptions& options, Engine& engine, Progress& progress) {
  SearchOptions without_nested = options;
  without_nested.nested = 0;
  SearchPlan plan = plan_search(dataset, {{Json::object(), spec}}, without_nested);
  const auto rows = shuffled_training_rows(plan.folds, options.random_state);
  const auto sizes = resolve_sizes(train_sizes, plan.folds);

  std::vector<Split> splits;  // [sizes, folds]
  for (const std::size_t size : sizes)
    for (std::size_t fold = 0; fold < plan.folds.size(); ++fold) {
      Split& split = splits.emplace_back(plan.folds[fold]);
      split.name += fmt::format(", {} training clips", size);
      split.train.assign(rows[fold].begin(), rows[fold].begin() + static_cast<std::ptrdiff_t>(size));
      std::ranges::sort(split.train);
    }
  std::vector<FitTask> tasks;  // [sizes, folds, seeds]
  for (const Split& split : splits)
    for (int seed = 0; seed < options.seeds; ++seed) {
      FitTask& task = tasks.emplace_back(FitTask{spec, &split});
      task.spec.random_state += seed;
    }

  const std::size_t n_fits = plan.folds.size() * static_cast<std::size_t>(options.seeds);
  Curve curve{"n_train", std::move(plan.notes), {}};
  for (std::size_t i = 0; i < sizes.size(); ++i)
    curve.points.push_back({sizes[i], {i, std::vector<FitScore>(n_fits), {}, {}, {}, {}}});
  progress.begin("learning curve", static_cast<Index>(tasks.size()));
  score_fits(dataset, tasks, {.train_scores = true}, engine, progress,
             [&](std::span<const ScoredTask> scored) {
               for (const ScoredTask& each : scored)
                 curve.points[each.task / n_fits].result.fits[each.task % n_fits] = each.score;
             });
  progress.end();
  add_summaries(curve.points);
  return curve;
}

}  // namespace melgrad
