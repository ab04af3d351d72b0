#pragma once
// The feature cache: an HDF5 file that survives whatever happens to the program that writes it.

#include <filesystem>
#include <string>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/core/matrix.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

// What a cache holds, in memory. Row i of everything belongs to clips[i].
struct FeatureTable {
  FeatureSpec spec;
  std::vector<std::string> columns;     // [n_features]
  std::vector<Clip> clips;              // [n_clips]
  std::vector<std::string> audio_hash;  // [n_clips], of the decoded samples; empty where refused
  std::vector<std::string> status;      // [n_clips]: "ok", or "refused: " and the reason
  std::vector<double> duration_s;       // [n_clips], seconds of audio
  Matrix<float> features;               // [n_clips, n_features], NaN where refused
};

// Reads a whole cache, its unfinished segments too; checks every checksum. An error names the file and what
// is wrong.
FeatureTable read_feature_table(const std::filesystem::path& file);

}  // namespace melgrad
