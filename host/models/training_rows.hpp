#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "host/data/dataset.hpp"
#include "host/engine/mlp.hpp"

namespace melgrad {

struct TrainingRows {
  std::vector<int> training;
  std::vector<int> validation;  // held out for early_stopping; else empty
};

// The rows that a model of `rows` is trained on, and those that are held out of them. `name` of the rows, for
// the error where none can be held out.
TrainingRows training_rows(const Dataset& dataset, const MlpSpec& spec, std::span<const int> rows,
                           std::string_view name);

}  // namespace melgrad
