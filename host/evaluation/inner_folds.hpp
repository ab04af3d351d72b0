#pragma once
// Choosing a model's options inside the training rows of a split, so that its test rows have no say.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/core/progress.hpp"
#include "host/data/splits.hpp"
#include "host/engine/engine.hpp"
#include "host/models/search_grid.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {

inline constexpr int n_inner_folds = 3;

// Rows of the data set that a model is trained on once its options are chosen.
struct TrainingPart {
  std::string name;
  std::vector<int> rows;
  bool grouped =
      false;  // the model is to meet strangers: folds are of unheard groups, where groups are known
  std::int64_t random_state = 0;
};

// Folds of the part, stratified by label or of unheard groups. Rows are numbered as part.rows are: 0 is its
// first. Folds without a training or a test row are left out; there may be none.
std::vector<Split> inner_folds(const Dataset& dataset, const TrainingPart& part);

struct ChosenCandidate {
  std::size_t candidate = 0;
  FitTimes times;  // of all fits on the part's folds
};

// Of each part the candidate that is right for most rows of its folds: the first of equals, and the first of
// all where there are no folds. A candidate that diverges on a fold is right for none of its rows. The
// networks of part p are seeded with their candidate's random_state + part.random_state. Stage "choosing" of
// `progress`.
std::vector<ChosenCandidate> choose_candidates(const Dataset& dataset, std::span<const TrainingPart> parts,
                                               std::span<const Candidate> candidates, Engine& engine,
                                               Progress& progress);

// {"alpha": [0.001, 0.01]}: the values of each option that the candidates' tables name, in their order.
Json values_of(std::span<const Candidate> candidates);

}  // namespace melgrad
