#include "host/evaluation/search.hpp"

#include <algorithm>
#include <cmath>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

using ScoreMember = std::optional<double> FitScore::*;

std::vector<std::optional<double>> scores_of(const std::vector<FitScore>& fits, ScoreMember member) {
  std::vector<std::optional<double>> scores;
  for (const FitScore& fit : fits) scores.push_back(fit.*member);
  return scores;
}

ScoreMember test_score(Scoring scoring) {
  return scoring == Scoring::accuracy ? &FitScore::test_accuracy : &FitScore::test_balanced_accuracy;
}

std::vector<ScoreSummary> summarise(const std::vector<CandidateResult>& candidates, ScoreMember member) {
  std::vector<std::vector<std::optional<double>>> scores;
  for (const CandidateResult& each : candidates) scores.push_back(scores_of(each.fits, member));
  return summarise_scores(scores);
}

std::size_t first_of_rank_1(const std::vector<ScoreSummary>& summaries) {
  return static_cast<std::size_t>(std::ranges::find(summaries, 1, &ScoreSummary::rank) - summaries.begin());
}

// Tells of the best candidate so far beside the pace.
class SearchProgress final : public Progress {
 public:
  explicit SearchProgress(Progress& progress) : progress_(progress) {}
  void begin(std::string_view stage, Index n_steps) override { progress_.begin(stage, n_steps); }
  void update(Index done, std::string_view note) override {
    const bool both = !note.empty() && !best_.empty();
    progress_.update(n_before_ + done, fmt::format("{}{}{}", note, both ? ", " : "", best_));
  }
  void weigh(double share) override {
    const double done = static_cast<double>(n_before_) + share * static_cast<double>(n_part_);
    progress_.weigh(done / static_cast<double>(n_before_ + n_part_ + n_after_));
  }
  void end() override { progress_.end(); }
  void warn(std::string_view message) override { progress_.warn(message); }
  bool stop_asked() const override { return progress_.stop_asked(); }

  void set_best(std::string best) { best_ = std::move(best); }
  // The work comes in two parts: fits done before this part, fits of it, fits after it.
  void set_part(std::size_t n_before, std::size_t n_part, std::size_t n_after) {
    n_before_ = static_cast<Index>(n_before);
    n_part_ = static_cast<Index>(n_part);
    n_after_ = static_cast<Index>(n_after);
  }

 private:
  Progress& progress_;
  std::string best_;
  Index n_before_ = 0, n_part_ = 0, n_after_ = 0;
};

// One search within some folds: the fits of candidate c on fold f with seed s are number
// first + (c * folds + f) * seeds + s, where c counts the candidates that are trained.
struct Block {
  std::size_t first = 0;
  const std::vector<Split>* folds = nullptr;
};

// Which task of the whole search a fit is, and the fits that are already finished.
class SearchRun {
 public:
  SearchRun(const Dataset& dataset, const SearchPlan& plan, Engine& engine, SearchJournal* journal,
            const StackLimits& limits, Shard shard = {})
      : dataset_(dataset),
        plan_(plan),
        engine_(engine),
        journal_(journal),
        shard_(shard),
        scoring_{.train_scores = plan.options.return_train_score, .limits = limits} {
    for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
      trained_index_.push_back(plan.same_as[i] == i ? n_trained_++ : trained_index_[plan.same_as[i]]);
    }
    scores_.resize(plan.n_fits());
    blocks_.push_back({0, &plan.folds});
    for (const auto& inner : plan.inner) blocks_.push_back({blocks_.size() * fits_of_block(), &inner});
    if (journal == nullptr) return;
    for (const auto& [task, score] : journal->finished())
      if (task < scores_.size()) scores_[task] = score;
  }

  // Every fit of every block.
  void run_blocks(SearchProgress& progress) {
    std::vector<FitTask> tasks;
    std::vector<std::size_t> numbers;
    for (const Block& block : blocks_)
      for (std::size_t candidate = 0; candidate < plan_.candidates.size(); ++candidate)
        if (plan_.same_as[candidate] == candidate)
          for (std::size_t fold = 0; fold < block.folds->size(); ++fold)
            for (std::size_t seed = 0; seed < n_seeds(); ++seed)
              add_task(number(block, candidate, fold, seed), candidate, (*block.folds)[fold], seed, tasks,
                       numbers);
    run(tasks, numbers, progress);
  }

  // The chosen candidate of each outer fold, on all of its training rows.
  void run_outer(const std::vector<OuterFoldResult>& outer, SearchProgress& progress) {
    std::vector<FitTask> tasks;
    std::vector<std::size_t> numbers;
    for (std::size_t fold = 0; fold < outer.size(); ++fold)
      for (std::size_t seed = 0; seed < n_seeds(); ++seed)
        add_task(outer_number(fold, seed), outer[fold].best, plan_.outer[fold], seed, tasks, numbers);
    run(tasks, numbers, progress);
  }

  std::size_t n_blocks() const { return blocks_.size(); }
  std::size_t n_unfinished() const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < scores_.size(); ++i) n += is_ours(i) && !scores_[i];
    return n;
  }
  std::vector<FitScore> fits_of(std::size_t block, std::size_t candidate) const {
    const std::size_t first = number(blocks_[block], candidate, 0, 0);
    return taken(first, plan_.folds.size() * n_seeds());
  }
  // Wall clock and CPU of all fits, whenever they were done.
  std::pair<double, double> seconds() const {
    double wall = 0, cpu = 0;
    for (const auto& score : scores_) {
      wall += score ? score->fit_seconds : 0;
      cpu += score ? score->fit_cpu_seconds : 0;
    }
    return {wall, cpu};
  }
  std::vector<FitScore> outer_fits(std::size_t fold) const { return taken(outer_number(fold, 0), n_seeds()); }

 private:
  // Fits of the outer folds wait for all others, so that no shard of several has them.
  bool is_ours(std::size_t number) const {
    return shard_.is_whole() || (number < plan_.n_search_fits() && shard_.takes(static_cast<Index>(number)));
  }
  std::size_t n_seeds() const { return static_cast<std::size_t>(plan_.options.seeds); }
  std::size_t fits_of_block() const { return n_trained_ * plan_.folds.size() * n_seeds(); }
  std::size_t number(const Block& block, std::size_t candidate, std::size_t fold, std::size_t seed) const {
    return block.first + (trained_index_[candidate] * plan_.folds.size() + fold) * n_seeds() + seed;
  }
  std::size_t outer_number(std::size_t fold, std::size_t seed) const {
    return blocks_.size() * fits_of_block() + fold * n_seeds() + seed;
  }

  void add_task(std::size_t number, std::size_t candidate, const Split& split, std::size_t seed,
                std::vector<FitTask>& tasks, std::vector<std::size_t>& numbers) const {
    if (scores_[number] || !is_ours(number)) return;
    FitTask& task = tasks.emplace_back(FitTask{plan_.candidates[candidate].spec, &split});
    task.spec.random_state += static_cast<std::int64_t>(seed);
    numbers.push_back(number);
  }

  void run(const std::vector<FitTask>& tasks, const std::vector<std::size_t>& numbers,
           SearchProgress& progress) {
    progress.set_best(best_so_far());
    const std::size_t n_left = n_unfinished();
    progress.set_part(n_done_, tasks.size(), n_left - tasks.size());
    n_done_ += tasks.size();
    score_fits(dataset_, tasks, scoring_, engine_, progress, [&](std::span<const ScoredTask> scored) {
      std::vector<ScoredTask> numbered;
      for (const ScoredTask& each : scored) numbered.push_back({numbers[each.task], each.score});
      if (journal_ != nullptr) journal_->keep(numbered);
      for (const ScoredTask& each : numbered) scores_[each.task] = each.score;
      progress.set_best(best_so_far());
    });
    progress.update(static_cast<Index>(tasks.size()), "");
  }

  // Of the candidates that have been tested on every fold of the whole data set; empty while there is none.
  std::string best_so_far() const {
    const ScoreMember member = test_score(plan_.options.scoring);
    std::size_t n_tested = 0;
    double best = -1;
    for (std::size_t candidate = 0; candidate < plan_.candidates.size(); ++candidate) {
      if (plan_.same_as[candidate] != candidate) continue;
      const std::size_t first = number(blocks_[0], candidate, 0, 0), count = plan_.folds.size() * n_seeds();
      if (!std::ranges::all_of(std::span(scores_).subspan(first, count),
                               [](const auto& score) { return score.has_value(); }))
        continue;
      ++n_tested;
      const std::vector<std::optional<double>> scores[] = {scores_of(taken(first, count), member)};
      best = std::max(best, summarise_scores(scores)[0].mean.value_or(-1));
    }
    return best < 0 ? "" : fmt::format("best of {} candidates {:.1f} %", n_tested, 100 * best);
  }

  std::vector<FitScore> taken(std::size_t first, std::size_t count) const {
    std::vector<FitScore> fits;
    for (std::size_t i = first; i < first + count; ++i) fits.push_back(scores_[i].value_or(FitScore{}));
    return fits;
  }

  const Dataset& dataset_;
  const SearchPlan& plan_;
  Engine& engine_;
  SearchJournal* journal_;
  Shard shard_;
  ScoringOptions scoring_;
  std::vector<std::size_t> trained_index_;  // [n_candidates]
  std::size_t n_trained_ = 0;
  std::size_t n_done_ = 0;                       // fits that this process has done, once the running part is
  std::vector<Block> blocks_;                    // the whole data set, then each outer fold's training rows
  std::vector<std::optional<FitScore>> scores_;  // [n_fits]
};

void add_summaries(SearchResult& result) {
  const auto add = [&](ScoreMember member, ScoreSummary CandidateResult::*summary) {
    auto summaries = summarise(result.candidates, member);
    for (std::size_t i = 0; i < summaries.size(); ++i) result.candidates[i].*summary = summaries[i];
    return summaries;
  };
  const auto accuracy = add(&FitScore::test_accuracy, &CandidateResult::accuracy);
  const auto balanced = add(&FitScore::test_balanced_accuracy, &CandidateResult::balanced_accuracy);
  add(&FitScore::train_accuracy, &CandidateResult::train_accuracy);
  add(&FitScore::train_balanced_accuracy, &CandidateResult::train_balanced_accuracy);
  result.best = first_of_rank_1(result.plan.options.scoring == Scoring::accuracy ? accuracy : balanced);
}

// Over the outer folds' fits.
void add_nested_scores(SearchResult& result) {
  std::vector<FitScore> fits;
  for (const OuterFoldResult& outer : result.outer)
    fits.insert(fits.end(), outer.fits.begin(), outer.fits.end());
  const std::vector<std::optional<double>> scores[] = {scores_of(fits, &FitScore::test_accuracy),
                                                       scores_of(fits, &FitScore::test_balanced_accuracy)};
  const auto summaries = summarise_scores(scores);
  result.nested_accuracy = {summaries[0].mean, summaries[0].std, 0};
  result.nested_balanced_accuracy = {summaries[1].mean, summaries[1].std, 0};
}

}  // namespace

std::vector<ScoreSummary> summarise_scores(std::span<const std::vector<std::optional<double>>> scores) {
  std::vector<ScoreSummary> summaries;
  for (std::vector<std::optional<double>> each : scores) {
    ScoreSummary& summary = summaries.emplace_back();
    if (each.empty() || !std::ranges::all_of(each, [](const auto& score) { return score.has_value(); }))
      continue;
    std::ranges::sort(each);  // equal scores in another order make an equal mean
    double mean = 0, variance = 0;
    for (const auto& score : each) mean += *score;
    mean /= static_cast<double>(each.size());
    for (const auto& score : each) variance += (*score - mean) * (*score - mean);
    summary.mean = mean;
    summary.std = std::sqrt(variance / static_cast<double>(each.size()));
  }
  for (ScoreSummary& summary : summaries)
    summary.rank = 1 + static_cast<int>(std::ranges::count_if(summaries, [&](const ScoreSummary& other) {
                     return other.mean && (!summary.mean || *other.mean > *summary.mean);
                   }));
  return summaries;
}

void run_search_shard(const Dataset& dataset, const SearchPlan& plan, Engine& engine, Shard shard,
                      SearchJournal& journal, Progress& progress, const StackLimits& limits) {
  SearchRun run(dataset, plan, engine, &journal, limits, shard);
  SearchProgress telling(progress);
  telling.begin("search", static_cast<Index>(run.n_unfinished()));
  run.run_blocks(telling);
  telling.end();
}

SearchResult run_search(const Dataset& dataset, SearchPlan plan, Engine& engine, SearchJournal* journal,
                        Progress& progress, const StackLimits& limits) {
  SearchResult result;
  result.plan = std::move(plan);
  const ScoreMember scoring = test_score(result.plan.options.scoring);
  const auto candidates_of = [&](std::size_t block, const SearchRun& run) {
    std::vector<CandidateResult> candidates;
    for (std::size_t i = 0; i < result.plan.candidates.size(); ++i)
      candidates.push_back({result.plan.same_as[i], run.fits_of(block, i), {}, {}, {}, {}});
    return candidates;
  };

  SearchRun run(dataset, result.plan, engine, journal, limits);
  SearchProgress telling(progress);
  telling.begin("search", static_cast<Index>(run.n_unfinished()));
  run.run_blocks(telling);
  for (std::size_t fold = 0; fold < result.plan.outer.size(); ++fold) {
    const auto inner = summarise(candidates_of(1 + fold, run), scoring);
    const std::size_t best = first_of_rank_1(inner);
    result.outer.push_back({.best = best, .best_score = inner[best].mean, .fits = {}});
  }
  run.run_outer(result.outer, telling);
  telling.end();

  result.candidates = candidates_of(0, run);
  add_summaries(result);
  for (std::size_t fold = 0; fold < result.outer.size(); ++fold)
    result.outer[fold].fits = run.outer_fits(fold);
  add_nested_scores(result);
  std::tie(result.fit_seconds, result.fit_cpu_seconds) = run.seconds();
  return result;
}

}  // namespace melgrad
