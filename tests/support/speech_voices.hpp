#pragma once
// Synthetic voices at 16 kHz by the recipe of tools/golden/speech_voices.py, sample for sample but for the
// last bit of libm's functions; see there for formulas.

#include <string>
#include <vector>

namespace melgrad::testing {

// Of one of the names there: "glide", "zeros", ...; throws if there is none.
std::vector<float> speech_voice(const std::string& name);

}  // namespace melgrad::testing
