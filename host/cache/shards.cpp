#include "host/cache/shards.hpp"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <system_error>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

fs::path shards_folder(const fs::path& whole) {
  fs::path folder = whole;
  folder += ".shards";
  return folder;
}

// Of a name that shard_file() made.
std::optional<Shard> shard_of_name(const std::string& stem) {
  const std::string_view separator = "-of-";
  const std::size_t middle = stem.find(separator);
  if (middle == stem.npos) return std::nullopt;
  Shard shard;
  const char *begin = stem.data(), *end = begin + stem.size();
  const auto index = std::from_chars(begin, end, shard.index);
  const auto count = std::from_chars(begin + middle + separator.size(), end, shard.count);
  if (index.ptr != begin + middle || count.ptr != end || index.ec != std::errc() || count.ec != std::errc())
    return std::nullopt;
  return shard;
}

// By their number of processes, then by their index.
std::map<int, std::set<int>> find_shards(const fs::path& whole, std::string_view extension) {
  std::map<int, std::set<int>> found;
  std::error_code no_folder;
  for (const auto& entry : fs::directory_iterator(shards_folder(whole), no_folder)) {
    if (entry.path().extension() != fmt::format(".{}", extension)) continue;
    if (const auto shard = shard_of_name(entry.path().stem().string()))
      found[shard->count].insert(shard->index);
  }
  return found;
}

// Of everything that a manifest says of its recordings; every text has its length before it.
std::uint64_t hash_of(const Manifest& manifest) {
  std::string bytes;
  const auto add = [&](const std::string& text) { bytes += fmt::format("{} {}", text.size(), text); };
  for (const Clip& clip : manifest.clips) {
    for (const std::string* text : {&clip.path, &clip.label, &clip.group, &clip.split}) add(*text);
    bytes += fmt::format("{} ", clip.attributes.size());
    for (const auto& [name, value] : clip.attributes) {
      add(name);
      add(value);
    }
  }
  for (const Refusal& refusal : manifest.refused) {
    add(refusal.path);
    add(refusal.reason);
  }
  return XXH3_64bits(bytes.data(), bytes.size());
}

FeatureTable read_finished_shard(const fs::path& file) {
  fs::path segments = file;
  segments += ".segments";
  if (fs::exists(segments))
    fail("{}: its process has not finished; run the same command again", file.string());
  FeatureTable table = read_feature_file(file).table;
  if (!table.part) fail("{}: is not a shard of a cache", file.string());
  return table;
}

void check_same_data(const FeatureTable& table, const FeatureTable& first, const fs::path& file,
                     const fs::path& first_file) {
  if (table.spec != first.spec)
    fail("{} holds features of '{}', and {} of '{}'; they differ in {}", first_file.string(), first.spec.name,
         file.string(), table.spec.name, difference(first.spec, table.spec));
  if (table.part->n_rows != first.part->n_rows || table.part->data_hash != first.part->data_hash)
    fail(
        "{} and {} are shards of different data ({} and {} recordings, or other names or labels): extract "
        "all shards anew",
        first_file.string(), file.string(), first.part->n_rows, table.part->n_rows);
}

}  // namespace

fs::path shard_file(const fs::path& whole, Shard shard, std::string_view extension) {
  return shards_folder(whole) / fmt::format("{}-of-{}.{}", shard.index, shard.count, extension);
}

void make_shards_folder(const fs::path& whole) {
  const fs::path folder = shards_folder(whole);
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) fail("{}: cannot be made: {}", folder.string(), error.message());
}

Manifest manifest_of_shard(const Manifest& manifest, Shard shard) {
  Manifest part = manifest;
  part.clips.clear();
  part.refused.clear();
  Index item = 0;
  for (const Clip& clip : manifest.clips)
    if (shard.takes(item++)) part.clips.push_back(clip);
  for (const Refusal& refusal : manifest.refused)
    if (shard.takes(item++)) part.refused.push_back(refusal);
  return part;
}

Extraction extract_shard(const Manifest& manifest, Shard shard, const FeatureSpec& spec, Engine& engine,
                         const fs::path& whole, ExtractionOptions options, Progress& progress) {
  make_shards_folder(whole);
  options.part = TablePart{.shard = shard,
                           .n_rows = static_cast<Index>(manifest.clips.size() + manifest.refused.size()),
                           .data_hash = hash_of(manifest)};
  options.whole = whole;
  return extract_features(manifest_of_shard(manifest, shard), spec, engine, shard_file(whole, shard, "h5"),
                          options, progress);
}

bool has_shards(const fs::path& whole, std::string_view extension) {
  return !find_shards(whole, extension).empty();
}

LockedShards::LockedShards(const fs::path& whole, std::string_view extension) {
  const auto found = find_shards(whole, extension);
  const std::string folder = shards_folder(whole).string();
  if (found.empty()) fail("{}: there are no shards to merge", folder);
  if (found.size() > 1)
    fail("{} holds shards of runs with {} and with {} processes: delete those that are not wanted", folder,
         found.begin()->first, found.rbegin()->first);
  const auto& [count, indices] = *found.begin();
  for (int index = 0; index < count; ++index) {
    const fs::path file = shard_file(whole, {index, count}, extension);
    if (!indices.contains(index)) fail("{}: shard {} of {} is missing", folder, index, count);
    fs::path lock = file;
    lock += ".lock";
    locks_.push_back(std::make_unique<FileLock>(lock, file.string()));
    files_.push_back(file);
  }
}

void LockedShards::remove() {
  for (const fs::path& file : files_) fs::remove(file);
  locks_.clear();
  std::error_code not_empty;
  fs::remove(files_.front().parent_path(), not_empty);
}

FeatureTable merge_features(const fs::path& whole, Progress& progress) {
  LockedShards shards(whole, "h5");
  std::vector<FeatureTable> tables;
  std::set<std::string> engines;
  for (const fs::path& file : shards.files()) {
    tables.push_back(read_finished_shard(file));
    check_same_data(tables.back(), tables.front(), file, shards.files().front());
    const Shard expected{static_cast<int>(tables.size()) - 1, shards.count()};
    if (tables.back().part->shard != expected ||
        tables.back().n_clips() != expected.n_taken(tables.back().part->n_rows))
      fail("{}: is shard {}/{}, and not what its name says", file.string(), tables.back().part->shard.index,
           tables.back().part->shard.count);
    engines.merge(engines_of(tables.back()));
  }
  FeatureTable merged = make_feature_table(tables.front().spec, fmt::format("{}", fmt::join(engines, ", ")),
                                           tables.front().part->n_rows);
  for (Index row = 0; row < merged.n_clips(); ++row)
    copy_row(tables[static_cast<std::size_t>(row % shards.count())], row / shards.count(), merged, row);
  FeatureCache(whole, merged.spec, progress).finish(merged);
  shards.remove();
  return merged;
}

}  // namespace melgrad
