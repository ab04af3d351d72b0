#pragma once
// Altered copies of the clips of a data set, to train on and to ask beside the originals.

#include <span>

#include "host/cache/feature_cache.hpp"
#include "host/data/dataset.hpp"

namespace melgrad {

// Puts the copies' features behind the originals': copy c > 0 of row r becomes row r + c * n_rows of
// dataset.versions. A copy is found by the hash of the original's audio; where one was refused (a clip may be
// too short once it is played faster), the original stands in for it. Gives the number of those.
Index add_altered_copies(Dataset& dataset, std::span<const FeatureTable> copies);

}  // namespace melgrad
