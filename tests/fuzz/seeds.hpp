#pragma once
// Small good inputs, made by the writers of each format, so that they never are of an older version.

#include <string>
#include <vector>

namespace melgrad::fuzz {

std::vector<std::string> audio_seeds();  // every container and encoding that libsndfile writes
std::vector<std::string> cache_seeds();
std::vector<std::string> model_seeds();
std::vector<std::string> journal_seeds();
std::vector<std::string> results_seeds();
std::vector<std::string> feature_spec_seeds();
std::vector<std::string> grid_seeds();
std::vector<std::string> manifest_seeds();  // CSV
std::vector<std::string> pattern_seeds();   // a pattern, a line break, a path

}  // namespace melgrad::fuzz
