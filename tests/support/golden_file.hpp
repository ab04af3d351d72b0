#pragma once
// Foreign truth: outputs of librosa, scikit-learn and torch, as tools/golden/ stored them in tests/golden.

#include "host/core/json.hpp"

namespace melgrad::testing {

// The content of tests/golden/NAME; throws with the file's name if it cannot be read.
Json golden_file(const char* name);

}  // namespace melgrad::testing
