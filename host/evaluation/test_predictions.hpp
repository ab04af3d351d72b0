#pragma once

#include <span>
#include <string>

#include "host/core/matrix.hpp"
#include "host/evaluation/protocol_result.hpp"

namespace melgrad {

// What probabilities [n_classes] say of a clip.
Prediction prediction_of(const std::string& path, int truth, std::span<const float> probabilities);

}  // namespace melgrad
