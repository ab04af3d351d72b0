// The feature cache as a whole: a file, its segments and its lock.

#include "host/cache/feature_cache.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <system_error>
#include <unordered_set>

#include "host/cache/atomic_file.hpp"
#include "host/cache/hdf5.hpp"
#include "host/core/error.hpp"
#include "host/core/file_system.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

fs::path with_suffix(const fs::path& file, std::string_view suffix) {
  fs::path path = file;
  path += suffix;
  return path;
}

fs::path segments_folder(const fs::path& file) {
  return with_suffix(file, ".segments");
}

fs::path segment_file(const fs::path& file, int number) {
  return segments_folder(file) / fmt::format("{:06}.h5", number);
}

// The number of a segment by its file name; 0 for any other file.
int segment_number(const fs::path& path) {
  const std::string stem = path.stem().string();
  int number = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
  const bool whole = error == std::errc() && end == stem.data() + stem.size() && path.extension() == ".h5";
  return whole && number > 0 ? number : 0;
}

std::vector<int> segment_numbers(const fs::path& file) {
  std::vector<int> numbers;
  std::error_code no_folder;
  for (const auto& entry : fs::directory_iterator(segments_folder(file), no_folder)) {
    if (const int number = segment_number(entry.path())) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

// A folder where one is needed; a missing one is the user's fault and better said than "cannot lock".
fs::path checked_file(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (!fs::is_directory(folder)) fail("{}: the folder {} does not exist", file.string(), folder.string());
  if (fs::is_directory(file)) fail("{}: is a folder", file.string());
  return file;
}

void check_spec(const FeatureTable& table, const FeatureSpec& spec, const fs::path& file) {
  if (table.spec == spec) return;
  fail("{} holds features of '{}', and '{}' is asked for; they differ in {}: delete it or name another file",
       file.string(), table.spec.name, spec.name, difference(table.spec, spec));
}

// All files of a cache, the segments after the file itself. Fails if one vanishes meanwhile.
std::vector<FeatureTable> read_tables(const fs::path& file) {
  const std::vector<int> numbers = segment_numbers(file);
  std::vector<FeatureTable> tables;
  if (fs::exists(file) || numbers.empty()) tables.push_back(read_feature_file(file).table);
  for (const int number : numbers) {
    const fs::path segment = segment_file(file, number);
    tables.push_back(read_feature_file(segment).table);
    check_spec(tables.back(), tables.front().spec, segment);
  }
  return tables;
}

std::set<std::string> engines_of(std::span<const FeatureTable> tables) {
  std::set<std::string> engines;
  for (const FeatureTable& table : tables) engines.merge(melgrad::engines_of(table));
  return engines;
}

}  // namespace

std::set<std::string> engines_of(const FeatureTable& table) {
  std::set<std::string> engines;
  for (std::size_t begin = 0; begin < table.engine.size();) {
    const std::size_t end = std::min(table.engine.find(", ", begin), table.engine.size());
    engines.insert(table.engine.substr(begin, end - begin));
    begin = end + 2;
  }
  return engines;
}

FeatureTable read_feature_table(const fs::path& file) {
  std::vector<FeatureTable> tables;
  for (int attempt = 0;; ++attempt) {
    try {
      tables = read_tables(file);
      break;
    } catch (const hdf5::DamagedFile&) {
      throw;
    } catch (const Error&) {
      // A writer that finishes replaces the file and removes its segments, maybe while we read.
      if (attempt == 3 || !fs::exists(file)) throw;
    }
  }
  if (tables.size() == 1) return std::move(tables.front());
  std::unordered_set<std::string_view> seen;
  std::vector<std::pair<const FeatureTable*, Index>> rows;
  for (const FeatureTable& table : tables) {
    // The file itself has identical recordings as often as the data has them; a segment has each once.
    const bool is_first = &table == &tables.front();
    for (Index row = 0; row < table.n_clips(); ++row) {
      const bool is_new = seen.insert(table.audio_hash[static_cast<std::size_t>(row)]).second;
      if (is_first || is_new) rows.emplace_back(&table, row);
    }
  }
  FeatureTable merged =
      make_feature_table(tables.front().spec, fmt::format("{}", fmt::join(engines_of(tables), ", ")),
                         static_cast<Index>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i)
    copy_row(*rows[i].first, rows[i].second, merged, static_cast<Index>(i));
  return merged;
}

FeatureCache::FeatureCache(const fs::path& file, const FeatureSpec& spec, Progress& progress,
                           const fs::path& whole)
    : file_(checked_file(file)),
      spec_(spec),
      progress_(progress),
      lock_(with_suffix(file, ".lock"), file.string()) {
  remove_leftover_temporaries(file_);
  remove_leftover_temporaries(segments_folder(file_) / "");
  if (fs::exists(file_)) load(file_, false);
  for (const int number : segment_numbers(file_)) {
    last_segment_ = number;
    load(segment_file(file_, number), true);
  }
  n_own_tables_ = tables_.size();
  if (!whole.empty()) load_whole(whole);
}

void FeatureCache::load(const fs::path& file, bool is_segment) {
  FeatureFile read;
  try {
    read = read_feature_file(file);
  } catch (const hdf5::DamagedFile& error) {
    return set_aside(file, error.what());
  } catch (const hdf5::ForeignFile& error) {
    if (!is_segment) throw;  // who knows whose it is; a segment is ours
    return set_aside(file, error.what());
  }
  check_spec(read.table, spec_, file);
  if (!is_segment) file_hash_ = read.content_hash;
  add_rows(std::move(read.table));
}

void FeatureCache::load_whole(const fs::path& whole) {
  if (!fs::exists(whole) && segment_numbers(whole).empty()) return;
  FeatureTable table;
  try {
    table = read_feature_table(whole);
  } catch (const hdf5::DamagedFile& error) {
    return progress_.warn(fmt::format("{}; what it held is computed again", error.what()));
  }
  check_spec(table, spec_, whole);
  add_rows(std::move(table));
}

void FeatureCache::add_rows(FeatureTable table) {
  for (Index row = 0; row < table.n_clips(); ++row) {
    if (!table.is_ok(row)) continue;
    const auto i = static_cast<std::size_t>(row);
    rows_.try_emplace(table.audio_hash[i], tables_.size(), row);
    if (table.file_stamp[i] != 0) paths_.insert_or_assign(table.clips[i].path, Place(tables_.size(), row));
  }
  tables_.push_back(std::move(table));
}

void FeatureCache::set_aside(const fs::path& damaged, std::string_view reason) {
  fs::path aside;
  for (int number = 1; aside.empty() || fs::exists(aside); ++number)
    aside = with_suffix(file_, fmt::format(".damaged-{}", number));
  if (file_system().rename(damaged, aside) != 0)
    fail("{}; it cannot be set aside as {}: {}", reason, aside.string(), errno_text(errno));
  progress_.warn(
      fmt::format("{}; it is set aside as {}, and what it held is computed again", reason, aside.string()));
}

FeatureCache::Row FeatureCache::row_at(Place place) const {
  const FeatureTable& table = tables_[place.first];
  const auto i = static_cast<std::size_t>(place.second);
  return {table.features.row(place.second), table.audio_hash[i], table.duration_s[i]};
}

std::optional<FeatureCache::Row> FeatureCache::find(std::string_view audio_hash) const {
  const auto found = rows_.find(audio_hash);
  if (found == rows_.end()) return std::nullopt;
  return row_at(found->second);
}

std::optional<FeatureCache::Row> FeatureCache::find_file(std::string_view path, std::uint64_t stamp) const {
  const auto found = paths_.find(path);
  if (stamp == 0 || found == paths_.end()) return std::nullopt;
  const auto [table, row] = found->second;
  if (tables_[table].file_stamp[static_cast<std::size_t>(row)] != stamp) return std::nullopt;
  return row_at(found->second);
}

std::set<std::string> FeatureCache::engines() const {
  return engines_of(tables_);
}

void FeatureCache::commit(const FeatureTable& rows) {
  if (rows.clips.empty()) return;
  const fs::path folder = segments_folder(file_);
  if (!fs::is_directory(folder)) {
    make_folders(folder);
    fsync_folder(folder.has_parent_path() ? folder.parent_path() : ".");
  }
  save_feature_file(rows, segment_file(file_, ++last_segment_));
}

void FeatureCache::warn_of_rows_that_go(const FeatureTable& table) {
  std::unordered_set<std::string_view> audio, paths;
  for (std::size_t i = 0; i < table.clips.size(); ++i) {
    if (table.status[i] != "ok") continue;
    audio.insert(table.audio_hash[i]);
    paths.insert(table.clips[i].path);  // a recording that was changed is replaced
  }
  Index n_gone = 0;
  std::string first;
  for (const auto& [hash, place] : rows_) {
    if (place.first >= n_own_tables_) continue;
    const std::string& path = tables_[place.first].clips[static_cast<std::size_t>(place.second)].path;
    if (audio.contains(hash) || paths.contains(path)) continue;
    if (n_gone++ == 0 || path < first) first = path;
  }
  if (n_gone > 0)
    progress_.warn(
        fmt::format("{}: left out the features of {} recording{} no longer in the data (first: {})",
                    file_.string(), n_gone, n_gone == 1 ? "" : "s", first));
}

void FeatureCache::finish(const FeatureTable& table) {
  if (file_hash_ != content_hash(table)) save_feature_file(table, file_);
  warn_of_rows_that_go(table);
  // Every row of the segments is in the file now. If this is cut short, the next run does it again.
  for (const int number : segment_numbers(file_)) remove_file(segment_file(file_, number));
  const fs::path folder = segments_folder(file_);
  if (file_system().rmdir(folder) != 0 && errno != ENOENT)
    progress_.warn(fmt::format("{}: cannot be removed: {}", folder.string(), errno_text(errno)));
}

}  // namespace melgrad
