#pragma once
// The scalar parts of the tuning estimate (TuningPlan).

#include <span>

namespace melgrad {

// The median of positive finite floats, at least one, and of an even number the mean of the middle two, as
// numpy.median of float32.
float median_of_positive(std::span<const float> values);

// The first fullest bin of numpy.histogram(residuals, tuning_edges); residuals lie in [-0.5, 0.5).
int fullest_tuning_bin(std::span<const float> residuals);

}  // namespace melgrad
