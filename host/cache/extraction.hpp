#pragma once
// From a manifest to a feature cache: decode, resample, extract, store; what is cached already is not done
// again.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/cache/feature_cache.hpp"
#include "host/core/progress.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

struct ExtractionOptions {
  int n_threads = 0;             // 0: every core
  std::size_t batch_bytes = 0;   // of samples for one call of a device; 0: 1 MiB for each thread
  double commit_interval_s = 1;  // finished rows survive a crash after at most this long
  // Files that changed less than so long ago are read again by the next run (file_stamp.hpp).
  double min_file_age_s = 2;
  // Of one process of several (shards.hpp): which part the manifest is, and the cache of the whole, whose
  // rows are taken where they are known.
  std::optional<TablePart> part = {};
  std::filesystem::path whole = {};
};

struct ExtractionReport {
  Index n_clips = 0;      // in the manifest, refused ones too
  Index n_cached = 0;     // taken from the cache
  Index n_identical = 0;  // taken from another clip of this data whose audio is the same
  Index n_computed = 0;
  Index n_refused = 0;
  std::vector<Refusal> refused;     // the manifest's own refusals among them
  double audio_seconds = 0;         // of all clips that were not refused
  double cached_audio_seconds = 0;  // of those taken from the cache
  double seconds = 0;               // wall clock
  double cpu_seconds = 0;           // of all threads
};

// Brings `file` up to date with the manifest and returns its content: a row for each clip of the manifest in
// its order, then one for each file that the manifest refused. Inputs that cannot be used are refused one by
// one; a cache of another FeatureSpec is an error that names both (see FeatureCache).
//
// A clip whose file is unchanged since it was read is not read again. n_threads threads decode; each extracts
// its clips itself where the engine works on the host's cores, or packs them into batches of one sample rate,
// which this thread feeds to the engine. One more commits finished rows. Beside the table itself, memory does
// not grow with the number of clips. The result does not depend on the number of threads nor on what was
// cached.
struct Extraction {
  FeatureTable table;
  ExtractionReport report;
};
Extraction extract_features(const Manifest& manifest, const FeatureSpec& spec, Engine& engine,
                            const std::filesystem::path& file, const ExtractionOptions& options,
                            Progress& progress);

}  // namespace melgrad
