#pragma once
// The altered copies of every clip that --augment trains on, beside the original.

#include <filesystem>
#include <string>
#include <vector>

#include "host/features/feature_spec.hpp"

namespace melgrad {

// A recording played at 0.9 and 1.1 of its speed, and 1.5 semitones lower and higher: each a specification of
// its own, so that its features have a cache of their own. Throws UsageError where `spec` is of altered
// recordings itself.
std::vector<FeatureSpec> altered_copies(const FeatureSpec& spec);

// "speed-0.9", "pitch+1.5"; empty where nothing is altered.
std::string alteration_name(const FeatureSpec& spec);

// The cache of a copy beside that of the originals: features.h5 -> features.speed-0.9.h5.
std::filesystem::path copy_file(const std::filesystem::path& file, const FeatureSpec& copy);

}  // namespace melgrad
