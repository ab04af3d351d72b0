#pragma once
// results.json: everything that a run found out. results_schema.md documents every field.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/cache/extraction.hpp"
#include "host/core/json.hpp"
#include "host/engine/speech_division.hpp"
#include "host/evaluation/protocols.hpp"

namespace melgrad {

// A clip that was not refused.
struct ClipSummary {
  std::string path;
  std::string label;
  std::string group;  // empty where none is known
  double duration_s = 0;
  std::map<std::string, std::string> attributes;  // what else its name says
  bool operator==(const ClipSummary&) const = default;
};

// What was read.
struct DatasetSummary {
  std::string name;   // as the user gave it
  Index n_clips = 0;  // refused ones too
  std::vector<Refusal> refused;
  std::vector<std::string> labels;
  std::vector<Index> label_counts;  // [n_labels]
  std::vector<std::string> groups;
  std::string group_noun = "speaker";
  std::vector<Index> group_counts;  // [n_groups]
  Index n_duplicates = 0;           // clips whose audio another clip before them has, too
  double audio_seconds = 0;         // of the clips that were not refused
  std::vector<ClipSummary> clips;   // those that were not refused
  bool operator==(const DatasetSummary&) const = default;
};
// `refused`: every file that was refused, those of the manifest and those of the extraction.
DatasetSummary summarise(const std::string& name, const Dataset& dataset, std::vector<Refusal> refused);

struct FeatureSummary {
  FeatureSpec spec;
  Index n_features = 0;
  double seconds = 0;      // wall clock
  double cpu_seconds = 0;  // of all threads
  // Of the clips that were not taken from the cache, per second of wall clock; 0 if there were none. Their
  // audio is reckoned as their share of all clips.
  double clips_per_second = 0;
  double real_time_factor = 0;  // seconds of audio per second
  Index cached_clips = 0;
  Division division;  // who computed what, of clips that were not in the cache
  bool operator==(const FeatureSummary&) const = default;
};
FeatureSummary summarise(const FeatureSpec& spec, const ExtractionReport& report);

struct Results {
  std::string version;             // of melgrad
  std::string date;                // utc_date()
  std::string device;              // Engine::name
  std::string device_description;  // Engine::description
  std::string device_choice;       // why this device, where it was not named
  Json options = Json::object();   // as the command line had them, with the defaults
  std::int64_t random_state = 0;
  DatasetSummary dataset;
  std::optional<DatasetSummary> own;
  FeatureSummary features;
  std::vector<ProtocolResult> models;        // model by model; first that of model.h5, then networks
  std::vector<ModelComparison> comparisons;  // every pair of models, protocol by protocol
  std::optional<Drift> drift;                // of the own recordings against the data set
  Json bench;                                // what `melgrad bench --json` measured, or null
  Json learning_curve;                       // what `melgrad learning-curve --json` measured, or null
  bool operator==(const Results&) const = default;
};

Json to_json(const Results& results);
// Reads what to_json wrote; an error names the field that is missing or wrong.
Results results_from_json(const Json& json);

// The file's text: lists of numbers stay on one line.
std::string results_file_text(const Results& results);

// Written to a temporary file beside it, flushed to the disk and renamed: `file` is whole or as it was
// before.
void write_results(const Results& results, const std::filesystem::path& file);
Results read_results(const std::filesystem::path& file);

}  // namespace melgrad
