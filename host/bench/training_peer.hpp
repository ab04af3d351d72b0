#pragma once
// The same training for the engine and for its peers.

#include <filesystem>
#include <span>
#include <vector>

#include "host/core/json.hpp"
#include "host/data/dataset.hpp"
#include "host/engine/mlp.hpp"

namespace melgrad {

inline constexpr int notebook_rows = 1152;  // 80 % of RAVDESS's 1440 clips

// At most notebook_rows rows, drawn evenly from all labels by a fixed shuffle.
std::vector<int> notebook_training_rows(Index n_rows);

// What the peers train on: the rows, standardised, in files of `folder` that the request names.
Json training_peer_request(const Dataset& dataset, std::span<const int> rows, const FeatureScaling& scaling,
                           const MlpSpec& spec, int epochs, const std::filesystem::path& folder);

}  // namespace melgrad
