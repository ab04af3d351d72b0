#pragma once
// Names of the values of the groups `pitch` to `mfcc_correlation` of the `speech` set.

#include <string>
#include <vector>

#include "host/features/speech_groups.hpp"

namespace melgrad {

// [n_values(group)], without the group's name: "median", "f1_mean"; empty for a group before `pitch`. Pitch
// is in semitones, st.
std::vector<std::string> clip_value_names(SpeechGroup group);

}  // namespace melgrad
