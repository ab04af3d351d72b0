#pragma once
// A trained classifier with everything needed to predict from a recording, and its HDF5 file.

#include <filesystem>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/engine/mlp.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

struct Classifier {
  MlpSpec spec;
  MlpParameters parameters;
  FeatureScaling scaling;
  FeatureSpec features;
  std::vector<std::string> labels;  // [n_classes]
  Json provenance;                  // what it was trained on, with what, when
};

// Written to a temporary file, flushed, verified, renamed: `file` is whole or as it was before.
void save_classifier(const Classifier& classifier, const std::filesystem::path& file);
Classifier load_classifier(const std::filesystem::path& file);

}  // namespace melgrad
