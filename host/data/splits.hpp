#pragma once
// Divisions of a data set into training and test rows. Clips of identical audio never stand on both sides of
// any of them.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/data/dataset.hpp"

namespace melgrad {

// A division of rows into training and test rows. The three lists are sorted, disjoint, and together every
// row.
struct Split {
  std::string name;  // "random 3", "speakers 01 07 12 20"
  std::vector<int> train;
  std::vector<int> test;
  std::vector<int>
      left_out;  // on neither side: audio identical to a test row's, or no group or side is known
};

// The splits of one protocol, or why the data set does not allow it.
struct SplitPlan {
  std::vector<Split> splits;
  std::string why_not;  // empty unless there are no splits
  std::vector<std::string>
      notes;  // what a reader of the results must know: "2 clips name no group: left out"
};

// n_splits independent divisions, stratified by label: of a label with n distinct recordings, n *
// test_fraction of them, rounded up or down, are tested; at least one is always trained on. As
// sklearn.model_selection.StratifiedShuffleSplit, which would refuse labels with one clip.
SplitPlan random_splits(const Dataset& dataset, int n_splits, double test_fraction,
                        std::int64_t random_state);

// Folds of unheard groups: each group is tested once, in a fold of about n_groups / n_folds of them, balanced
// over the clips' attribute "sex" where it is known. n_folds 0: default_speaker_folds.
SplitPlan speaker_folds(const Dataset& dataset, int n_folds, std::int64_t random_state);

// One group a fold up to 6 groups, then 5 folds, from 23 groups on 6: folds of 4 for the 20 or 24 actors of
// RAVDESS.
int default_speaker_folds(int n_groups);

// Each distinct recording is tested once; labels are spread evenly over the folds, as in
// sklearn.model_selection.StratifiedKFold(shuffle=True). Not shuffled, and of recordings that are all
// different, the folds are those of StratifiedKFold(shuffle=False): consecutive clips of each label.
SplitPlan stratified_k_fold(const Dataset& dataset, int n_folds, std::int64_t random_state,
                            bool shuffled = true);

// The division that the manifest's split column gives ("train", "test").
SplitPlan given_split(const Dataset& dataset);

// Divides `rows` of the data set into train and test (the rows held out for early_stopping), stratified.
// Every label keeps a training row.
Split hold_out(const Dataset& dataset, std::span<const int> rows, double test_fraction,
               std::int64_t random_state);

}  // namespace melgrad
