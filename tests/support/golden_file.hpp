#pragma once
// Foreign truth: outputs of librosa, scikit-learn and torch, as tools/golden/ stored them in tests/golden.

#include "host/core/json.hpp"

namespace melgrad::testing {

// The content of tests/golden/NAME, read once and kept, so that a loop may run over a part of it; throws with
// the file's name if it cannot be read.
const Json& golden_file(const char* name);

}  // namespace melgrad::testing
