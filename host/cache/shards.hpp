#pragma once
// A feature cache that several processes make together: each extracts its shard of the recordings into a
// cache of its own, features.h5.shards/0-of-2.h5 and so on; then one process merges them into features.h5,
// which has the bytes that one process alone would have written.
//
// The same folder holds the journals of a sweep's shards.

#include <filesystem>
#include <string_view>
#include <vector>

#include "host/cache/atomic_file.hpp"
#include "host/cache/extraction.hpp"
#include "host/core/shard.hpp"

namespace melgrad {

// "features.h5", {0, 2}, "h5": features.h5.shards/0-of-2.h5
std::filesystem::path shard_file(const std::filesystem::path& whole, Shard shard, std::string_view extension);
// Makes the folder that shard_file() is in.
void make_shards_folder(const std::filesystem::path& whole);

// The clips and the refused files of one shard. Item i of both lists one after the other is row i of the
// whole cache.
Manifest manifest_of_shard(const Manifest& manifest, Shard shard);

// extract_features() of one shard of the manifest into shard_file(whole, shard, "h5"). What `whole` holds
// already is taken from there.
Extraction extract_shard(const Manifest& manifest, Shard shard, const FeatureSpec& spec, Engine& engine,
                         const std::filesystem::path& whole, ExtractionOptions options, Progress& progress);

// The shards of one kind ("h5", "journal") that lie beside `whole`, in order of their indices, locked as long
// as this lives. Throws where there are none, where one is missing or in use, or where there are those of
// several counts.
class LockedShards {
 public:
  LockedShards(const std::filesystem::path& whole, std::string_view extension);
  const std::vector<std::filesystem::path>& files() const { return files_; }
  int count() const { return static_cast<int>(files_.size()); }
  // Deletes them, and the folder if nothing else is in it.
  void remove();

 private:
  std::vector<std::filesystem::path> files_;
  std::vector<std::unique_ptr<FileLock>> locks_;
};
bool has_shards(const std::filesystem::path& whole, std::string_view extension);

// Brings the shards beside `whole` together in it, and removes them. Throws where they are not all of the
// same data and features, or where one was not finished.
FeatureTable merge_features(const std::filesystem::path& whole, Progress& progress);

}  // namespace melgrad
