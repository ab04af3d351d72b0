#pragma once
// What commands read: recordings, with or without labels, and feature caches.

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/cache/extraction.hpp"
#include "host/cli/console.hpp"
#include "host/core/fields.hpp"
#include "host/data/dataset.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

// DATA and --pattern.
struct DataOptions {
  std::string data;
  std::string pattern;

  void add(CLI::App& app, const std::string& description);
};

// --peers: `python` gets the interpreter, "python3" where none is named.
void add_peers_option(CLI::App& app, std::string& python);

// The recordings of a folder or a CSV file; says where their labels come from.
Manifest load_recordings(const std::string& data, const std::string& pattern, Console& console);

// Recordings without labels: files, and what folders hold. A file that does not exist is refused when it is
// read.
Manifest unlabelled_recordings(const std::vector<std::string>& files_and_folders);

// What is done to the features of a data set before networks learn from it.
struct TreatmentOptions {
  bool augment = false;
  bool speaker_normalise = false;

  static constexpr auto fields() {
    return std::tuple{
        field(
            "augment", &TreatmentOptions::augment,
            "train on altered copies of each clip, too: speed 0.9 and 1.1, pitch 1.5 semitones down and up"),
        field("speaker_normalise", &TreatmentOptions::speaker_normalise,
              "standardise features over each speaker's own clips, unlabelled (transductive)")};
  }
};

// The caches of the recordings' altered copies, beside `file`, that of the originals.
std::vector<FeatureTable> extract_copies(const Manifest& manifest, const FeatureSpec& spec, Engine& engine,
                                         const std::filesystem::path& file, int n_threads, Console& console);
// What extract_copies left there.
std::vector<FeatureTable> read_copies(const std::filesystem::path& file, const FeatureSpec& spec);
// Copies go behind the rows first; clips whose copies could not be used are named by their number.
void treat(Dataset& dataset, const TreatmentOptions& treatment, const std::vector<FeatureTable>& copies,
           Console& console);

// Says which groups of speech the CPU computes where the engine is a GPU's.
void note_division(const FeatureSpec& spec, const Engine& engine, Console& console);

// Features that are wanted once, and with `copies` those of altered copies: extracted into caches in a
// temporary folder, which is removed.
struct ExtractedOnce {
  FeatureTable table;
  std::vector<FeatureTable> copies;
  ExtractionReport report;
};
ExtractedOnce extract_once(const Manifest& manifest, const FeatureSpec& spec, bool copies, Engine& engine,
                           int n_threads, Console& console);

// --tta of who asks a trained model.
void add_tta_option(CLI::App& app, bool& tta);

// Each refusal in the log, and with --verbose on stderr.
void log_refused(const std::vector<Refusal>& refused, Console& console);

// [{"path": .., "reason": ..}, ..]
Json to_json(const std::vector<Refusal>& refused);

}  // namespace melgrad
