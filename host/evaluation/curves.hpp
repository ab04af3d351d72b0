#pragma once
// How scores depend on one option, or on the number of training clips: sklearn.model_selection's
// validation_curve and learning_curve, with scores on training and on test rows.

#include <string>
#include <vector>

#include "host/evaluation/search.hpp"

namespace melgrad {

struct CurvePoint {
  Json x;  // the option's value, or the number of training rows
  CandidateResult result;
};

struct Curve {
  std::string parameter;  // "alpha"; "n_train" for a learning curve
  std::vector<std::string> notes;
  std::vector<CurvePoint> points;
};

// `values` of the field `parameter` of MlpSpec, the rest as in `spec`.
Curve validation_curve(const Dataset& dataset, const MlpSpec& spec, const std::string& parameter,
                       const std::vector<Json>& values, const SearchOptions& options, Engine& engine,
                       Progress& progress);

// Each fold's training rows, in an order drawn by options.random_state, are cut to each of the sizes: at most
// 1 is a share of the smallest fold's, above 1 a number of rows.
Curve learning_curve(const Dataset& dataset, const MlpSpec& spec, const std::vector<double>& train_sizes,
                     const SearchOptions& options, Engine& engine, Progress& progress);

}  // namespace melgrad
