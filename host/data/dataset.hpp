#pragma once
// What models learn from: the usable rows of a feature table, with labels and groups as numbers.

#include <span>
#include <string>
#include <vector>

#include "host/cache/feature_cache.hpp"
#include "host/core/matrix.hpp"

namespace melgrad {

// Row i of everything belongs to clips[i].
struct Dataset {
  FeatureSpec spec;                  // of the features
  std::vector<std::string> columns;  // [n_features], "mfcc_0_mean"
  Matrix<float> features;            // [n_rows, n_features]
  int n_copies = 0;                  // altered copies of each row (altered_copies.hpp)
  Matrix<float> versions;            // [(1 + n_copies) * n_rows, n_features] where there are: originals first
  std::vector<int> labels;           // [n_rows], index into label_names
  std::vector<int> groups;           // [n_rows], index into group_names; -1 where none is known
  std::vector<int> audio;            // [n_rows], index into audio_hash: equal where the audio is identical
  std::vector<double> duration_s;    // [n_rows]
  std::vector<std::string> label_names;  // sorted
  std::vector<std::string> group_names;  // sorted, without the empty name
  std::string group_noun = "speaker";    // what a group is, for people: "speaker", "prompt"
  std::vector<std::string> audio_hash;   // in the order of first appearance
  std::vector<Clip> clips;               // [n_rows]
  std::vector<Refusal> refused;          // rows of the table that were refused
  bool is_speaker_normalised = false;    // speaker_normalisation.hpp

  Index n_rows() const { return features.rows; }
  int n_classes() const { return static_cast<int>(label_names.size()); }
  // What a TrainingSet takes: originals and copies.
  MatrixView<const float> all_versions() const { return n_copies > 0 ? versions.view() : features.view(); }
};

// Drops refused rows. Fewer usable labels than min_labels is an error that says what was found: 2 to learn
// from, 1 to test on; 0 to predict, where clips need no label.
Dataset make_dataset(const FeatureTable& table, int min_labels = 2);

// The given rows as a data set of their own: of the same labels, but only of the groups that they name.
Dataset subset(const Dataset& dataset, std::span<const int> rows);

}  // namespace melgrad
