#include "host/evaluation/inner_folds.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "example_dataset.hpp"
#include "host/core/progress.hpp"
#include "host/evaluation/protocols.hpp"

using namespace melgrad;

namespace {

std::vector<int> rows_between(int first, int end) {
  std::vector<int> rows;
  for (int row = first; row < end; ++row) rows.push_back(row);
  return rows;
}

std::set<std::string> groups_of(const Dataset& dataset, const std::vector<int>& rows) {
  std::set<std::string> groups;
  for (const int row : rows) groups.insert(dataset.clips[static_cast<std::size_t>(row)].group);
  return groups;
}

// Candidates that differ in their seed alone, by which a spy engine can make some of them diverge.
std::vector<Candidate> seeded_candidates(const std::vector<std::int64_t>& seeds) {
  std::vector<Candidate> candidates;
  for (const std::int64_t seed : seeds) {
    Candidate& candidate = candidates.emplace_back();
    candidate.parameters = {{"random_state", seed}};
    candidate.spec.random_state = seed;
  }
  return candidates;
}

}  // namespace

TEST_SUITE("inner_folds") {
  TEST_CASE("folds divide a part's own rows, by label or by group") {
    const Dataset dataset = example_dataset(sixty_clips());
    TrainingPart part{.name = "part", .rows = rows_between(10, 50)};
    for (const bool grouped : {false, true}) {
      part.grouped = grouped;
      const std::vector<Split> folds = inner_folds(dataset, part);
      REQUIRE(folds.size() == n_inner_folds);
      std::vector<int> tested;
      for (const Split& fold : folds) {
        tested.insert(tested.end(), fold.test.begin(), fold.test.end());
        CHECK(fold.train.size() + fold.test.size() == 40);
        std::vector<int> train, test;
        for (const int row : fold.train) train.push_back(part.rows[static_cast<std::size_t>(row)]);
        for (const int row : fold.test) test.push_back(part.rows[static_cast<std::size_t>(row)]);
        std::set<std::string> common;
        std::ranges::set_intersection(groups_of(dataset, train), groups_of(dataset, test),
                                      std::inserter(common, common.end()));
        CHECK(common.empty() == grouped);
      }
      std::ranges::sort(tested);
      CHECK(tested == rows_between(0, 40));
    }
  }

  TEST_CASE("candidates are trained and tested on their part's rows alone") {
    const Dataset dataset = example_dataset(sixty_clips());
    const TrainingPart parts[] = {{.name = "first", .rows = rows_between(0, 30)},
                                  {.name = "second", .rows = rows_between(30, 60), .random_state = 100}};
    SpyEngine engine;
    NoProgress progress;
    choose_candidates(dataset, parts, seeded_candidates({1, 2}), engine, progress);
    REQUIRE(engine.seen.size() == 2 * 2 * n_inner_folds);
    for (const SeenJob& job : engine.seen) {
      const bool is_second = job.random_state > 100;
      CHECK(job.rows.size() == 20);
      for (const int row : job.rows) CHECK((row >= 30) == is_second);
    }
  }

  TEST_CASE("the candidate that is right most often is chosen, the first of equals, part by part") {
    const Dataset dataset = example_dataset(sixty_clips());
    const std::vector<TrainingPart> parts = {
        {.name = "first", .rows = rows_between(0, 30)},
        {.name = "second", .rows = rows_between(30, 60), .random_state = 9}};
    SpyEngine engine;
    NoProgress progress;
    const auto chosen = [&] {
      std::vector<std::size_t> candidates;
      for (const ChosenCandidate& each :
           choose_candidates(dataset, parts, seeded_candidates({1, 2, 3}), engine, progress))
        candidates.push_back(each.candidate);
      return candidates;
    };
    CHECK(chosen() == std::vector<std::size_t>{0, 0});
    engine.diverging = {1, 10, 11};  // the first candidate in both parts, the second in the second part
    CHECK(chosen() == std::vector<std::size_t>{1, 2});
  }

  TEST_CASE("where no fold can be made, the first candidate is taken") {
    const Dataset dataset = example_dataset(sixty_clips());
    const TrainingPart parts[] = {{.name = "one clip", .rows = {4}}};
    SpyEngine engine;
    NoProgress progress;
    CHECK(choose_candidates(dataset, parts, seeded_candidates({5, 6}), engine, progress)[0].candidate == 0);
    CHECK(engine.seen.empty());
  }

  TEST_CASE("each split's network has the options that were chosen inside its training rows") {
    const Dataset dataset = example_dataset(sixty_clips());
    SpyEngine engine;
    NoProgress progress;
    // Of the splits' seeds, 0 and 1 are added: the first candidate diverges in the second random split alone.
    engine.diverging = {41};
    const std::vector<Candidate> candidates = seeded_candidates({40, 70});
    const Evaluation evaluation =
        evaluate_protocols(dataset, nullptr, {}, engine, {.n_splits = 2}, progress, candidates);
    const ProtocolResult& random = evaluation.results[0];
    REQUIRE(random.protocol == Protocol::random);
    CHECK(random.grid == Json{{"random_state", {40, 70}}});
    CHECK(random.splits[0].parameters["random_state"] == 40);
    CHECK(random.splits[1].parameters["random_state"] == 71);
    CHECK(random.times.search_seconds > 0);
    CHECK(evaluation.classifier.spec.random_state == 40);

    // What a split tests has no say: with other test rows the same is chosen, from the same fits.
    Dataset other = dataset;
    SpyEngine other_engine;
    other_engine.diverging = engine.diverging;
    const std::vector<int> test = random_splits(dataset, 2, 0.2, 0).splits[1].test;
    for (const int row : test) other.features(row, 0) = -100;
    const TrainingPart part{.name = "second", .rows = random_splits(dataset, 2, 0.2, 0).splits[1].train};
    CHECK(choose_candidates(other, {&part, 1}, candidates, other_engine, progress)[0].candidate ==
          choose_candidates(dataset, {&part, 1}, candidates, other_engine, progress)[0].candidate);
    const std::size_t half = other_engine.seen.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
      CHECK(other_engine.seen[i].rows == other_engine.seen[half + i].rows);
      CHECK(other_engine.seen[i].scaling.mean == other_engine.seen[half + i].scaling.mean);
    }
  }

  TEST_CASE("the values of a grid are listed once each") {
    std::vector<Candidate> candidates(4);
    for (std::size_t i = 0; i < 4; ++i)
      candidates[i].parameters = {{"alpha", i < 2 ? 0.1 : 0.2},
                                  {"hidden_layer_sizes", Json::array({i % 2 + 1})}};
    CHECK(values_of(candidates) == Json{{"alpha", {0.1, 0.2}}, {"hidden_layer_sizes", {{1}, {2}}}});
    CHECK(values_of({}) == Json::object());
  }
}
