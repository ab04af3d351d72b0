#pragma once
// Euclidean distances of feature rows, vectorised.

#include "host/core/matrix.hpp"

namespace melgrad {

// squared(i, j) = sum over features of (a(i, f) - b(j, f))^2, in double, of a [n, n_features] and
// b [m, n_features]. Which bits come out depends on the two rows alone.
void squared_distances(MatrixView<const float> a, MatrixView<const float> b, MatrixView<double> squared);

}  // namespace melgrad
