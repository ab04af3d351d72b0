#pragma once

#include <span>

#include "host/core/matrix.hpp"
#include "host/engine/mlp.hpp"

namespace melgrad {

// sklearn.preprocessing.StandardScaler().fit(features[rows]): mean and population standard deviation of each
// feature, in double; a feature that is constant over the rows (within rounding) has scale 1.
// features [n_rows, n_features]; rows must not be empty.
FeatureScaling fit_standard_scaler(MatrixView<const float> features, std::span<const int> rows);

}  // namespace melgrad
