#pragma once
// Which options are best? Candidates are trained and tested on folds, as sklearn.model_selection.GridSearchCV
// and RandomizedSearchCV do; and, as the best of many flatters itself, a nested cross-validation estimates
// how good "search and take the best" is on clips that the search has not seen.

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "host/cache/journal.hpp"
#include "host/core/shard.hpp"
#include "host/evaluation/fit_scores.hpp"
#include "host/models/search_grid.hpp"

namespace melgrad {

enum class SearchProtocol {
  random,  // stratified folds: other clips of the same speakers are in the training set
  speaker  // folds of unheard speakers
};
template <>
inline constexpr auto enum_names<SearchProtocol> = std::array{"random", "speaker"};

enum class Scoring { accuracy, balanced_accuracy };
template <>
inline constexpr auto enum_names<Scoring> = std::array{"accuracy", "balanced_accuracy"};

struct SearchOptions {
  SearchProtocol protocol = SearchProtocol::random;
  int folds = 0;
  bool shuffle_folds = true;
  int seeds = 1;
  Scoring scoring = Scoring::accuracy;
  int nested = 0;
  bool return_train_score = false;
  bool reuse = true;
  std::int64_t random_state = 0;

  static constexpr auto fields() {
    return std::tuple{
        field("protocol", &SearchOptions::protocol, "folds of clips, or of unheard speakers"),
        field("folds", &SearchOptions::folds, "0: 10 of clips; of speakers, from their number", 0, 10000),
        field("shuffle_folds", &SearchOptions::shuffle_folds, "draw the folds of clips by chance"),
        field("seeds", &SearchOptions::seeds, "fits of each candidate on each fold", 1, 1000),
        field("scoring", &SearchOptions::scoring, "what the best candidate is best in"),
        field("nested", &SearchOptions::nested, "outer folds of a nested cross-validation; 0: none", 0, 1000),
        field("return_train_score", &SearchOptions::return_train_score, "scores on the training rows, too"),
        field("reuse", &SearchOptions::reuse, "train candidates that are the same model once"),
        field("random_state", &SearchOptions::random_state, "seed of folds and draws", 0, 9e15)};
  }
  bool operator==(const SearchOptions&) const = default;
};

// What is to be done, and nothing of it yet.
struct SearchPlan {
  SearchOptions options;  // with the number of folds that 0 means
  std::vector<Candidate> candidates;
  std::vector<std::size_t>
      same_as;               // [n_candidates]: the first candidate that is the same model; often itself
  std::vector<Split> folds;  // of the whole data set
  std::vector<Split> outer;  // [nested]
  std::vector<std::vector<Split>> inner;  // [nested][folds], of each outer fold's training rows
  std::vector<std::string> notes;         // what a reader of the results must know

  std::size_t n_trained() const;      // candidates that are trained: same_as themselves
  std::size_t n_fits() const;         // of all searches and outer folds
  std::size_t n_search_fits() const;  // of all searches: those that depend on no other's result
};
// Throws where the data set does not allow the protocol.
SearchPlan plan_search(const Dataset& dataset, std::vector<Candidate> candidates,
                       const SearchOptions& options);

// What every number of the results follows from, part by part, in hashes: features, candidates, splits,
// options, program and kind of engine ("cpu", "cuda": whichever GPU).
Json search_key(const Dataset& dataset, const SearchPlan& plan, std::string_view engine_name);

// The fits that are finished, kept on the disk.
class SearchJournal {
 public:
  // Takes up what is in the file, or begins it. `key` as search_key, `names` for messages: {"features":
  // "f.h5", "grid": "grid.toml"}. A journal of another key is refused, with the parts that differ, unless
  // `restart`.
  SearchJournal(const std::filesystem::path& file, const Json& key, const Json& names, bool restart);

  const std::map<std::size_t, FitScore>& finished() const { return finished_; }
  Index n_damaged() const { return journal_.n_damaged(); }
  void keep(std::span<const ScoredTask> fits);

 private:
  void read(const std::string& record);

  Journal journal_;
  std::map<std::size_t, FitScore> finished_;
};

// Mean and standard deviation (population, as numpy.std) over the fits of a candidate; none where a fit has
// no score. Rank 1 is best, equals share the lowest; candidates without a mean come last.
struct ScoreSummary {
  std::optional<double> mean;
  std::optional<double> std;
  int rank = 0;
  bool operator==(const ScoreSummary&) const = default;
};
// [n_candidates] of their fits' scores, ranked as GridSearchCV does.
std::vector<ScoreSummary> summarise_scores(std::span<const std::vector<std::optional<double>>> scores);

struct CandidateResult {
  std::size_t same_as = 0;
  std::vector<FitScore> fits;  // [folds * seeds], fold by fold
  ScoreSummary accuracy, balanced_accuracy, train_accuracy, train_balanced_accuracy;
};

struct OuterFoldResult {
  std::size_t best = 0;              // candidate
  std::optional<double> best_score;  // its mean over the inner folds
  std::vector<FitScore> fits;        // [seeds], tested on the outer fold
};

struct SearchResult {
  SearchPlan plan;
  std::vector<CandidateResult> candidates;
  std::size_t best = 0;                                    // the first of rank 1
  std::vector<OuterFoldResult> outer;                      // [nested]
  ScoreSummary nested_accuracy, nested_balanced_accuracy;  // over the outer folds' fits
  double fit_seconds = 0, fit_cpu_seconds = 0;             // of all fits
};

// `journal` may be null. Stage "search" of `progress` counts the fits that are left to do.
SearchResult run_search(const Dataset& dataset, SearchPlan plan, Engine& engine, SearchJournal* journal,
                        Progress& progress, const StackLimits& limits = ScoringOptions{}.limits);

// The fits of one process of several: of those that depend on no other's result the shard's, into its
// journal, which is of search_key with shard_key's part. Stage "search" of `progress` as above.
Json shard_key(Json key, const SearchPlan& plan, Shard shard);
void run_search_shard(const Dataset& dataset, const SearchPlan& plan, Engine& engine, Shard shard,
                      SearchJournal& journal, Progress& progress,
                      const StackLimits& limits = ScoringOptions{}.limits);
// Brings the shards' journals together in `journal`, whatever it holds of the same sweep already. Returns how
// many fits it holds. Throws where the shards are not of one sweep, or not finished.
std::size_t merge_search_journals(std::span<const std::filesystem::path> shards,
                                  const std::filesystem::path& journal);

}  // namespace melgrad
