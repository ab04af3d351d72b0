#pragma once
// From a manifest to a feature cache: decode, resample, extract, store; what is cached already is not done
// again.

#include <filesystem>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/cache/feature_cache.hpp"
#include "host/core/progress.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

struct ExtractionOptions {
  int n_threads = 0;  // for decoding; 0: every core
};

struct ExtractionReport {
  Index n_clips = 0;   // in the manifest, refused ones too
  Index n_cached = 0;  // taken from the cache
  Index n_refused = 0;
  std::vector<Refusal> refused;
  double audio_seconds = 0;  // of all clips that were not refused
  double seconds = 0;        // wall clock
  double cpu_seconds = 0;    // of all threads
};

// Brings `file` up to date with the manifest and returns its content. Inputs that cannot be used are refused
// one by one; a cache of another FeatureSpec is an error that names both.
struct Extraction {
  FeatureTable table;
  ExtractionReport report;
};
Extraction extract_features(const Manifest& manifest, const FeatureSpec& spec, Engine& engine,
                            const std::filesystem::path& file, const ExtractionOptions& options,
                            Progress& progress);

}  // namespace melgrad
