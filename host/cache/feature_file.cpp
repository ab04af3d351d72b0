// One file of the feature cache: FeatureTable to bytes and back.

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>
#include <set>
#include <type_traits>

#include "host/cache/atomic_file.hpp"
#include "host/cache/feature_cache.hpp"
#include "host/cache/hdf5.hpp"
#include "host/core/error.hpp"
#include "host/core/parse_json.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "hashes are over little-endian bytes");

// Collects bytes to hash; every variable part has its length before it, so parts cannot run together.
class HashInput {
 public:
  template <class T>
  requires std::is_arithmetic_v<T>
  void add(T value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void add(std::string_view text) {
    add(static_cast<std::uint64_t>(text.size()));
    bytes_.append(text);
  }
  void add(std::span<const float> values) {
    add(static_cast<std::uint64_t>(values.size()));
    bytes_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  }
  // Of what was added since the last call.
  std::uint64_t hash() {
    const std::uint64_t value = XXH3_64bits(bytes_.data(), bytes_.size());
    bytes_.clear();
    return value;
  }

 private:
  std::string bytes_;
};

// What stands beside the rows.
struct Header {
  std::string feature_spec;  // JSON
  std::string engine;
  std::string melgrad_version;
  std::string hdf5_version;
  std::vector<std::string> columns;
  std::vector<std::string> attributes;  // names, sorted
  std::string shard;                    // JSON; empty for a whole data set
};

std::uint64_t content_hash(const Header& header, std::span<const std::uint64_t> row_hashes) {
  HashInput input;
  for (const std::string* text :
       {&header.feature_spec, &header.engine, &header.melgrad_version, &header.hdf5_version})
    input.add(std::string_view(*text));
  for (const auto* list : {&header.columns, &header.attributes}) {
    input.add(static_cast<std::uint64_t>(list->size()));
    for (const std::string& text : *list) input.add(std::string_view(text));
  }
  if (!header.shard.empty()) input.add(std::string_view(header.shard));
  for (const std::uint64_t row_hash : row_hashes) input.add(row_hash);
  return input.hash();
}

std::string hex(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

std::string shard_text(const std::optional<TablePart>& part) {
  if (!part) return {};
  return Json{{"index", part->shard.index},
              {"count", part->shard.count},
              {"n_rows", part->n_rows},
              {"data_hash", hex(part->data_hash)}}
      .dump();
}

std::optional<TablePart> part_of(const std::string& text, const std::string& file) {
  if (text.empty()) return std::nullopt;
  try {
    const Json json = Json::parse(text);
    const TablePart part{.shard = {json.at("index").get<int>(), json.at("count").get<int>()},
                         .n_rows = json.at("n_rows").get<Index>(),
                         .data_hash = std::stoull(json.at("data_hash").get<std::string>(), nullptr, 16)};
    if (part.shard.index >= 0 && part.shard.index < part.shard.count && shard_text(part) == text) return part;
  } catch (const std::exception&) {
  }
  throw hdf5::DamagedFile(fmt::format("{}: its attribute shard is '{}'", file, text));
}

Header header_of(const FeatureTable& table) {
  std::set<std::string> names;
  for (const Clip& clip : table.clips) {
    for (const auto& [name, value] : clip.attributes) {
      if (!value.empty()) names.insert(name);
    }
  }
  return {to_json(table.spec).dump(), table.engine,  MELGRAD_VERSION,
          hdf5::library_version(),    table.columns, {names.begin(), names.end()},
          shard_text(table.part)};
}

std::vector<std::uint64_t> row_hashes_of(const FeatureTable& table) {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(table.clips.size());
  HashInput input;
  for (std::size_t i = 0; i < table.clips.size(); ++i) {
    const Clip& clip = table.clips[i];
    for (const std::string* text :
         {&clip.path, &clip.label, &clip.group, &clip.split, &table.audio_hash[i], &table.status[i]})
      input.add(std::string_view(*text));
    for (const auto& [name, value] : clip.attributes) {
      if (value.empty()) continue;  // in the file as if it were not there
      input.add(std::string_view(name));
      input.add(std::string_view(value));
    }
    input.add(table.duration_s[i]);
    input.add(table.file_stamp[i]);
    input.add(table.features.row(static_cast<Index>(i)));
    hashes.push_back(input.hash());
  }
  return hashes;
}

// An attribute's name as the name of a dataset: HDF5 reserves '/' and a lone '.'.
std::string escaped(std::string_view name) {
  std::string text;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '/' || c == '%' || (c == '.' && i == 0))
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  return text;
}

template <class Member>
std::vector<std::string> column_of_clips(const FeatureTable& table, Member member) {
  std::vector<std::string> values;
  values.reserve(table.clips.size());
  for (const Clip& clip : table.clips) values.push_back(member(clip));
  return values;
}

// The names of Clip's own strings in the file.
constexpr std::pair<const char*, std::string Clip::*> kClipColumns[] = {
    {"paths", &Clip::path}, {"labels", &Clip::label}, {"groups", &Clip::group}, {"splits", &Clip::split}};

std::vector<std::byte> to_bytes(const FeatureTable& table, const Header& header,
                                std::span<const std::uint64_t> row_hashes, std::uint64_t hash) {
  const std::size_t row_bytes = table.columns.size() * sizeof(float) + 1024;
  hdf5::Writer writer(table.clips.size() * row_bytes);
  writer.attribute("format_version", feature_cache_version);
  writer.attribute("feature_spec", header.feature_spec);
  writer.attribute("engine", header.engine);
  writer.attribute("melgrad_version", header.melgrad_version);
  writer.attribute("hdf5_version", header.hdf5_version);
  if (!header.shard.empty()) writer.attribute("shard", header.shard);
  writer.attribute("content_hash", hex(hash));
  writer.matrix("features", table.features.view());
  writer.strings("columns", header.columns);
  for (const auto& [name, member] : kClipColumns)
    writer.strings(name, column_of_clips(table, std::mem_fn(member)));
  writer.strings("attribute_names", header.attributes);
  for (const std::string& name : header.attributes) {
    writer.strings("attributes/" + escaped(name), column_of_clips(table, [&](const Clip& clip) {
                     const auto found = clip.attributes.find(name);
                     return found == clip.attributes.end() ? std::string() : found->second;
                   }));
  }
  writer.strings("audio_hash", table.audio_hash);
  writer.strings("status", table.status);
  writer.numbers("duration_s", std::span<const double>(table.duration_s));
  writer.numbers("file_stamp", std::span<const std::uint64_t>(table.file_stamp));
  writer.numbers("row_hash", row_hashes);
  return writer.finish();
}

// Reads a column and makes sure that it has one value for each clip.
template <class Read>
auto read_column(const hdf5::Reader& reader, Read read, const std::string& name, std::size_t n_clips) {
  auto values = (reader.*read)(name);
  if (values.size() != n_clips)
    throw hdf5::DamagedFile(fmt::format("{}: {} has {} values for {} clips", reader.file().string(), name,
                                        values.size(), n_clips));
  return values;
}

void read_clips(const hdf5::Reader& reader, std::span<const std::string> attributes, FeatureTable& table) {
  const std::size_t n_clips = static_cast<std::size_t>(table.features.rows);
  table.clips.resize(n_clips);
  for (const auto& [name, member] : kClipColumns) {
    auto values = read_column(reader, &hdf5::Reader::strings, name, n_clips);
    for (std::size_t i = 0; i < n_clips; ++i) table.clips[i].*member = std::move(values[i]);
  }
  for (const std::string& name : attributes) {
    auto values = read_column(reader, &hdf5::Reader::strings, "attributes/" + escaped(name), n_clips);
    for (std::size_t i = 0; i < n_clips; ++i) {
      if (!values[i].empty()) table.clips[i].attributes[name] = std::move(values[i]);
    }
  }
}

// Not by listing the group: HDF5 (1.10.8) crashes in that where a file was made to harm.
std::vector<std::string> read_attribute_names(const hdf5::Reader& reader) {
  auto names = reader.strings("attribute_names");
  if (std::ranges::adjacent_find(names, std::greater_equal()) != names.end())
    throw hdf5::DamagedFile(
        fmt::format("{}: attribute_names: not sorted, or one of them twice", reader.file().string()));
  return names;
}

void check_version(const hdf5::Reader& reader) {
  const std::string file = reader.file().string();
  if (!reader.has_attribute("format_version") || !reader.has("row_hash"))
    fail("{}: an HDF5 file, but not a feature cache of melgrad", file);
  const std::int64_t version = reader.integer_attribute("format_version");
  if (version != feature_cache_version)
    fail(
        "{} is a feature cache of version {}, and this melgrad reads version {}: delete it or name another "
        "file",
        file, version, feature_cache_version);
}

// The content hash, after comparing it and every row's with the stored ones.
std::uint64_t checked_hash(const FeatureTable& table, const Header& header,
                           std::span<const std::uint64_t> stored, const std::string& stored_content,
                           const std::string& file) {
  const std::vector<std::uint64_t> computed = row_hashes_of(table);
  for (std::size_t i = 0; i < computed.size(); ++i) {
    if (computed[i] != stored[i])
      throw hdf5::DamagedFile(fmt::format("{}: row {} ({}) is damaged: its hash is {}, stored is {}", file, i,
                                          table.clips[i].path, hex(computed[i]), hex(stored[i])));
  }
  const std::uint64_t content = content_hash(header, computed);
  if (hex(content) != stored_content)
    throw hdf5::DamagedFile(
        fmt::format("{}: its content's hash is {}, stored is '{}'", file, hex(content), stored_content));
  return content;
}

}  // namespace

std::uint64_t content_hash(const FeatureTable& table) {
  return content_hash(header_of(table), row_hashes_of(table));
}

FeatureTable make_feature_table(const FeatureSpec& spec, std::string_view engine, Index n_clips) {
  FeatureTable table;
  table.spec = spec;
  table.engine = engine;
  table.columns = feature_names(spec);
  const auto n = static_cast<std::size_t>(n_clips);
  table.clips.resize(n);
  table.audio_hash.resize(n);
  table.status.resize(n);
  table.duration_s.resize(n);
  table.file_stamp.resize(n);
  table.features = Matrix<float>(n_clips, static_cast<Index>(table.columns.size()));
  return table;
}

void copy_row(const FeatureTable& source, Index from, FeatureTable& target, Index to) {
  const auto s = static_cast<std::size_t>(from), t = static_cast<std::size_t>(to);
  target.clips[t] = source.clips[s];
  target.audio_hash[t] = source.audio_hash[s];
  target.status[t] = source.status[s];
  target.duration_s[t] = source.duration_s[s];
  target.file_stamp[t] = source.file_stamp[s];
  std::ranges::copy(source.features.row(from), target.features.row(to).begin());
}

FeatureFile read_feature_file(const fs::path& file) {
  const hdf5::Reader reader(file);
  check_version(reader);
  FeatureTable table;
  Header header{reader.string_attribute("feature_spec"),
                reader.string_attribute("engine"),
                reader.string_attribute("melgrad_version"),
                reader.string_attribute("hdf5_version"),
                reader.strings("columns"),
                read_attribute_names(reader),
                reader.has_attribute("shard") ? reader.string_attribute("shard") : std::string()};
  table.features = reader.matrix("features");
  const auto n_clips = static_cast<std::size_t>(table.features.rows);
  read_clips(reader, header.attributes, table);
  table.audio_hash = read_column(reader, &hdf5::Reader::strings, "audio_hash", n_clips);
  table.status = read_column(reader, &hdf5::Reader::strings, "status", n_clips);
  table.duration_s = read_column(reader, &hdf5::Reader::doubles, "duration_s", n_clips);
  table.file_stamp = read_column(reader, &hdf5::Reader::unsigned_integers, "file_stamp", n_clips);
  const auto row_hashes = read_column(reader, &hdf5::Reader::unsigned_integers, "row_hash", n_clips);
  const std::uint64_t hash =
      checked_hash(table, header, row_hashes, reader.string_attribute("content_hash"), file.string());
  table.spec =
      with_context(file.string(), [&] { return feature_spec_from_json(parse_json(header.feature_spec)); });
  table.part = part_of(header.shard, file.string());
  table.engine = std::move(header.engine);
  table.columns = std::move(header.columns);
  if (table.columns.size() != static_cast<std::size_t>(table.features.cols))
    throw hdf5::DamagedFile(fmt::format("{}: {} columns have {} names", file.string(), table.features.cols,
                                        table.columns.size()));
  return {std::move(table), hash};
}

void save_feature_file(const FeatureTable& table, const fs::path& file) {
  const Header header = header_of(table);
  const std::vector<std::uint64_t> row_hashes = row_hashes_of(table);
  const std::uint64_t hash = content_hash(header, row_hashes);
  save_atomically(file, to_bytes(table, header, row_hashes, hash), [&](const fs::path& temporary) {
    const std::uint64_t stored = read_feature_file(temporary).content_hash;
    if (stored != hash)
      fail("{}: reads back with content hash {} instead of {}", file.string(), hex(stored), hex(hash));
  });
}

}  // namespace melgrad
