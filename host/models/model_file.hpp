#pragma once
// A trained classifier with everything needed to predict from a recording, and its HDF5 file:
//
//   /weights/0 ...  [fan_in, fan_out] f4   of each layer, as scikit-learn's coefs_
//   /biases/0 ...   [fan_out] f4           as intercepts_
//   /batch_norms/0/gamma, running_mean, running_var ...
//                   [units] f4             of each hidden layer, with batch_norm; its bias is in /biases
//   /members/1/weights/0 ...  likewise of each further network of an ensemble of seeds
//   /scaler/mean, /scaler/scale [n_features] f4, as StandardScaler's mean_ and scale_
//   /labels         [n_classes] strings
//   attributes      format = "melgrad model", format_version, mlp_spec, feature_spec and provenance (JSON),
//                   n_members (networks, of which the first is not in /members), speaker_normalised (0 or
//                   1: speaker_normalisation.hpp), checksum (XXH3, 128 bits, of all
//                   of the above but the format's name and version)

#include <filesystem>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/engine/mlp.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

inline constexpr int model_format_version = 4;

struct Classifier {
  MlpSpec spec;
  MlpParameters parameters;  // two classes have one output: see n_outputs()
  // Of further networks, trained alike from other seeds: probabilities are the mean of all. Empty: one
  // network.
  std::vector<MlpParameters> further_members;
  bool is_speaker_normalised = false;  // of features that are standardised over each speaker's clips first
  FeatureScaling scaling;
  FeatureSpec features;
  std::vector<std::string> labels;  // [n_classes]
  Json provenance;                  // what it was trained on, with what, when
  bool operator==(const Classifier&) const = default;
};

// Written to a temporary file, flushed, verified, renamed: `file` is whole or as it was before. Throws if the
// parts of the classifier do not fit together, or a number in it is not finite.
void save_classifier(const Classifier& classifier, const std::filesystem::path& file);

// Throws, with the file's name, if it is not a model, damaged, of another format version, or if its parts do
// not fit together.
Classifier load_classifier(const std::filesystem::path& file);

}  // namespace melgrad
