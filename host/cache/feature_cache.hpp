#pragma once
// The feature cache: an HDF5 file that survives whatever happens to the program that writes it.
//
// features.h5, row i of every dataset belongs to the same clip; rows are in the order of the manifest:
//
//   /features           [n_clips, n_features] float32, NaN where refused; chunks of whole rows, Fletcher-32
//   /columns            [n_features] strings: "mfcc_0_mean"
//   /paths /labels /groups /splits   [n_clips] strings; what is not known is empty
//   /attribute_names    strings, sorted: intensity, sex and whatever else the data set says of a clip
//   /attributes/<name>  [n_clips] strings, each of these names; empty where it says nothing of a clip. In
//                       <name>, '/', '%' and a leading '.' are written %2F %25 %2E
//   /audio_hash         [n_clips] strings, of the decoded samples; empty where a clip could not be decoded
//   /status             [n_clips] strings: "ok", or "refused: " and the reason
//   /duration_s         [n_clips] float64, seconds of audio
//   /file_stamp         [n_clips] uint64: file_stamp.hpp, of the file as it was read; 0 where not known
//   /row_hash           [n_clips] uint64: XXH3 of everything above that belongs to the row
//   attributes of /:    format_version (integer), feature_spec (JSON), engine ("cpu"; "cpu, cuda:0" where
//                       both computed rows), melgrad_version, hdf5_version, and content_hash: XXH3 of
//                       these, of /columns, of /attribute_names and of /row_hash
//
// A cache of one process of several (shards.hpp) says so in another attribute, shard: JSON of its index and
// count, of all shards' rows, and of a hash of their data; its rows are every count-th of the manifest's.
//
// All strings are UTF-8, padded with zeros (numpy's S). With h5py: X = f["features"][:], y =
// f["labels"].asstr()[:].
//
// While work goes on, finished rows are committed about once a second as files of the very same format,
// features.h5.segments/000001.h5 and so on. Each one is written to a temporary file, fsynced, read back and
// checked, renamed, and the folder fsynced; a committed file never changes. In the end one features.h5 of all
// rows replaces the old one in the same manner, and the segments go. A reader takes features.h5 and the
// segments together. features.h5.lock is held by the one process that writes.
//
// What does not read back whole (features.h5 or a segment) is renamed to features.h5.damaged-1 and so on,
// named in a warning, and recomputed. A file that is not a feature cache is never touched. Rows of recordings
// that are no longer in the data are left out of the new features.h5, with a warning.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/cache/atomic_file.hpp"
#include "host/core/matrix.hpp"
#include "host/core/progress.hpp"
#include "host/core/shard.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

// Of the layout above and of what the features mean: a change of either makes it another version.
inline constexpr int feature_cache_version = 3;

// Which part of a data set a table holds.
struct TablePart {
  Shard shard;
  Index n_rows = 0;             // of all shards
  std::uint64_t data_hash = 0;  // of what the manifest says of all of them
  bool operator==(const TablePart&) const = default;
};

// What a cache holds, in memory. Row i of everything belongs to clips[i].
struct FeatureTable {
  FeatureSpec spec;
  std::string engine;                     // that computed the features
  std::vector<std::string> columns;       // [n_features]
  std::vector<Clip> clips;                // [n_clips]
  std::vector<std::string> audio_hash;    // [n_clips], of the decoded samples; empty where refused
  std::vector<std::string> status;        // [n_clips]: "ok", or "refused: " and the reason
  std::vector<double> duration_s;         // [n_clips], seconds of audio
  std::vector<std::uint64_t> file_stamp;  // [n_clips], of the file as it was read; 0 where that is not known
  Matrix<float> features;                 // [n_clips, n_features], NaN where refused
  std::optional<TablePart> part = {};     // none: the whole data set

  Index n_clips() const { return static_cast<Index>(clips.size()); }
  bool is_ok(Index clip) const { return status[static_cast<std::size_t>(clip)] == "ok"; }
};

// A table of n_clips rows with nothing in them, for this spec.
FeatureTable make_feature_table(const FeatureSpec& spec, std::string_view engine, Index n_clips);
// The names in table.engine, apart.
std::set<std::string> engines_of(const FeatureTable& table);
// Copies row `from` of `source` to row `to` of `target`; same columns.
void copy_row(const FeatureTable& source, Index from, FeatureTable& target, Index to);

// Reads a whole cache, its unfinished segments too (a clip that several hold once, from the first of them);
// checks every checksum. An error names the file and what is wrong.
FeatureTable read_feature_table(const std::filesystem::path& file);

// XXH3 of everything in the table, and of the versions that write it.
std::uint64_t content_hash(const FeatureTable& table);

// One file, without segments. Saving checks that it reads back whole before anything is replaced.
// Reading throws hdf5::DamagedFile where the content is not what was saved, Error where it is no feature
// cache or of another version.
struct FeatureFile {
  FeatureTable table;
  std::uint64_t content_hash = 0;
};
FeatureFile read_feature_file(const std::filesystem::path& file);
void save_feature_file(const FeatureTable& table, const std::filesystem::path& file);

// A cache that this process alone writes.
class FeatureCache {
 public:
  // `whole`, where one is named, is another cache whose rows are found here, too: it is read, and not
  // changed. Locks the cache, reads what is there, sets damaged files aside (named through progress.warn),
  // removes leftovers. Throws if another process holds it, or if it is of another FeatureSpec or version,
  // naming both.
  FeatureCache(const std::filesystem::path& file, const FeatureSpec& spec, Progress& progress,
               const std::filesystem::path& whole = {});

  struct Row {
    std::span<const float> features;  // [n_features]
    std::string_view audio_hash;
    double duration_s;
  };
  // What is known of this audio. Any thread may ask while nobody finishes.
  std::optional<Row> find(std::string_view audio_hash) const;
  // What is known of the file that had this path and stamp (none: 0) when it was read.
  std::optional<Row> find_file(std::string_view path, std::uint64_t stamp) const;
  // Engines that computed what find() gives.
  std::set<std::string> engines() const;

  // Makes these rows survive, as the next segment.
  void commit(const FeatureTable& rows);
  // Replaces the file by this table, unless it holds just that, and removes the segments.
  void finish(const FeatureTable& table);

 private:
  void load(const std::filesystem::path& file, bool is_segment);
  void load_whole(const std::filesystem::path& whole);
  void add_rows(FeatureTable table);
  void set_aside(const std::filesystem::path& damaged, std::string_view reason);
  void warn_of_rows_that_go(const FeatureTable& table);

  struct StringHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Place = std::pair<std::size_t, Index>;  // table and row
  using Places = std::unordered_map<std::string, Place, StringHash, std::equal_to<>>;
  Row row_at(Place place) const;

  std::filesystem::path file_;
  FeatureSpec spec_;
  Progress& progress_;
  FileLock lock_;
  std::vector<FeatureTable> tables_;        // as read: the file, its segments, then `whole`
  std::size_t n_own_tables_ = 0;            // without `whole`
  Places rows_;                             // by audio_hash
  Places paths_;                            // by path, the latest
  std::optional<std::uint64_t> file_hash_;  // of the file's content, if it is there and whole
  int last_segment_ = 0;
};

}  // namespace melgrad
