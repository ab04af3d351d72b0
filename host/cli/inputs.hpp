#pragma once
// What commands read: recordings, with or without labels, and feature caches.

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/cache/extraction.hpp"
#include "host/cli/console.hpp"
#include "host/core/fields.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

// DATA and --pattern.
struct DataOptions {
  std::string data;
  std::string pattern;

  void add(CLI::App& app, const std::string& description);
};

// The recordings of a folder or a CSV file; says where their labels come from.
Manifest load_recordings(const std::string& data, const std::string& pattern, Console& console);

// Recordings without labels: files, and what folders hold. A file that does not exist is refused when it is
// read.
Manifest unlabelled_recordings(const std::vector<std::string>& files_and_folders);

// Features that are wanted once: extracted into a cache in a temporary folder, which is removed.
Extraction extract_once(const Manifest& manifest, const FeatureSpec& spec, Engine& engine, int n_threads,
                        Console& console);

// Each refusal in the log, and with --verbose on stderr.
void log_refused(const std::vector<Refusal>& refused, Console& console);

// [{"path": .., "reason": ..}, ..]
Json to_json(const std::vector<Refusal>& refused);

}  // namespace melgrad
