#pragma once
// What models learn from: the usable rows of a feature table, with labels and groups as numbers.

#include <string>
#include <vector>

#include "host/cache/feature_cache.hpp"
#include "host/core/matrix.hpp"

namespace melgrad {

// Row i of everything belongs to clips[i].
struct Dataset {
  Matrix<float> features;                // [n_rows, n_features]
  std::vector<int> labels;               // [n_rows], index into label_names
  std::vector<int> groups;               // [n_rows], index into group_names
  std::vector<int> audio;                // [n_rows], equal for clips whose audio is identical
  std::vector<std::string> label_names;  // sorted
  std::vector<std::string> group_names;  // sorted
  std::vector<Clip> clips;               // [n_rows]
};

// Drops refused rows.
Dataset make_dataset(const FeatureTable& table);

// A division of rows into training and test rows.
struct Split {
  std::string name;  // "random 3", "speakers 01 07 12 20"
  std::vector<int> train;
  std::vector<int> test;
};

}  // namespace melgrad
