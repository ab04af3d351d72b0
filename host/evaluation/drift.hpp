#pragma once
// How far recordings lie from what a model was trained on.

#include <cstddef>

#include "host/data/dataset.hpp"
#include "host/evaluation/statistics.hpp"

namespace melgrad {

// Of the same features. Features that are constant in training are left out; `most` of the others are named.
Drift feature_drift(const Dataset& training, const Dataset& recordings, std::size_t most = 20);

}  // namespace melgrad
