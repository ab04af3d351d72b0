#include "host/audio/manifest.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "host/audio/csv.hpp"
#include "host/audio/folder_scan.hpp"
#include "host/audio/naming.hpp"
#include "host/audio/utf8.hpp"
#include "host/core/error.hpp"
#include "host/core/file_system.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

constexpr const char* no_label_advice =
    "give each label a folder of its name, or use a pattern or a CSV manifest";

// The name of the folder that a file lies in; empty for a file directly in the root.
std::string folder_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return "";
  const std::string_view folder = path.substr(0, slash);
  return std::string(folder.substr(folder.rfind('/') + 1));
}

void sort_by_path(Manifest& manifest) {
  const auto before = [](const auto& a, const auto& b) { return a.path < b.path; };
  std::stable_sort(manifest.clips.begin(), manifest.clips.end(), before);
  std::stable_sort(manifest.refused.begin(), manifest.refused.end(), before);
}

// Label, group and the rest of one file of a folder; an Error is the reason for refusing it.
using Labeller = std::function<void(const std::string& path, Clip& clip)>;

void label_by_ravdess_name(const std::string& path, Clip& clip) {
  if (!read_ravdess_name(file_stem(path), clip))
    fail("its name is no RAVDESS name (MM-VV-EE-II-SS-RR-AA), as most of this data set are");
}

void label_by_folder_name(const std::string& path, Clip& clip) {
  clip.label = folder_name(path);
  if (clip.label.empty()) fail("no label: it lies directly in the data set's folder; {}", no_label_advice);
}

bool mostly_ravdess_names(const std::vector<std::string>& paths) {
  Clip clip;
  const auto n_named = std::count_if(paths.begin(), paths.end(), [&](const std::string& path) {
    return read_ravdess_name(file_stem(path), clip);
  });
  return 2 * n_named > static_cast<std::ptrdiff_t>(paths.size());
}

// Which fields of a CSV row are what.
class CsvColumns {
 public:
  explicit CsvColumns(const CsvRow& header) : names_(header.fields) {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i].empty()) fail("line {}: column {} has no name", header.line, i + 1);
      if (std::count(names_.begin(), names_.end(), names_[i]) > 1)
        fail("line {}: the column '{}' is there twice", header.line, names_[i]);
    }
    for (const char* required : {"path", "label"})
      if (std::count(names_.begin(), names_.end(), required) == 0)
        fail("line {}: the header has no column '{}'; it has: {}", header.line, required,
             fmt::join(names_, ", "));
  }

  Clip clip(const CsvRow& row) const {
    if (row.fields.size() != names_.size())
      fail("line {}: {} fields; the header has {}", row.line, row.fields.size(), names_.size());
    Clip clip;
    for (std::size_t i = 0; i < names_.size(); ++i) target(clip, names_[i]) = row.fields[i];
    if (clip.path.empty()) fail("line {}: the path is empty", row.line);
    if (!clip.split.empty() && clip.split != "train" && clip.split != "test")
      fail("line {}: the split '{}' is not train, test or empty", row.line, clip.split);
    return clip;
  }

 private:
  static std::string& target(Clip& clip, const std::string& name) {
    if (name == "path") return clip.path;
    if (name == "label") return clip.label;
    if (name == "group") return clip.group;
    if (name == "split") return clip.split;
    return clip.attributes[name];
  }

  std::vector<std::string> names_;
};

// An absolute path that lies under the root, relative to it; any other as it is.
std::string relative_to(const fs::path& root, const std::string& path) {
  if (!fs::path(path).is_absolute()) return path;
  const fs::path relative = fs::path(path).lexically_relative(fs::absolute(root).lexically_normal());
  return relative.empty() || *relative.begin() == ".." ? path : relative.string();
}

Manifest manifest_from_rows(const std::vector<CsvRow>& rows, const fs::path& root) {
  if (rows.empty()) fail("line 1: no header; it must name the columns path and label");
  const CsvColumns columns(rows.front());
  Manifest manifest{root, {}, {}, 0, "CSV manifest"};
  std::map<std::string, int> first_line;  // of each path
  for (auto row = rows.begin() + 1; row != rows.end(); ++row) {
    Clip clip = columns.clip(*row);
    clip.path = relative_to(root, clip.path);
    const auto [earlier, is_first] = first_line.emplace(fs::path(clip.path).lexically_normal(), row->line);
    if (!is_first) fail("line {}: '{}' is there already, on line {}", row->line, clip.path, earlier->second);
    if (clip.label.empty())
      manifest.refused.push_back(
          {clip.path, fmt::format("no label: line {} of the manifest has none", row->line)});
    else
      manifest.clips.push_back(std::move(clip));
  }
  sort_by_path(manifest);
  return manifest;
}

}  // namespace

Manifest scan_folder(const fs::path& root, const std::string& pattern) {
  std::optional<NamePattern> name_pattern;
  if (!pattern.empty()) name_pattern.emplace(pattern);
  FolderScan scan = find_recordings(root);
  Manifest manifest{root, {}, std::move(scan.refused), scan.n_ignored, ""};

  Labeller label_clip = label_by_folder_name;
  manifest.labels_from = "folder names";
  if (name_pattern) {
    label_clip = [&](const std::string& path, Clip& clip) { name_pattern->apply(path, clip); };
    manifest.labels_from = fmt::format("the pattern {}", pattern);
  } else if (mostly_ravdess_names(scan.paths)) {
    label_clip = label_by_ravdess_name;
    manifest.labels_from = "RAVDESS names";
  }
  for (const std::string& path : scan.paths) {
    Clip clip;
    clip.path = path;
    try {
      label_clip(path, clip);
      manifest.clips.push_back(std::move(clip));
    } catch (const Error& reason) {
      manifest.refused.push_back({path, reason.what()});
    }
  }
  sort_by_path(manifest);
  return manifest;
}

Manifest read_csv_manifest(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  return with_context(as_utf8(file.string()),
                      [&] { return manifest_from_rows(parse_csv(read_text_file(file)), folder); });
}

Manifest load_manifest(const fs::path& path, const std::string& pattern) {
  const std::string shown = as_utf8(path.string());
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) fail("{}: cannot be opened: {}", shown, error.message());
  Manifest manifest;
  if (fs::is_directory(status)) {
    manifest = scan_folder(path, pattern);
  } else if (has_extension(path.string(), ".csv")) {
    if (!pattern.empty()) fail_usage("{}: a pattern goes with a folder, not with a CSV manifest", shown);
    manifest = read_csv_manifest(path);
  } else {
    fail("{}: is neither a folder of recordings nor a CSV manifest (.csv)", shown);
  }
  if (manifest.clips.empty() && manifest.refused.empty())
    fail("{}: no recordings ({} other files); known are {}", shown, manifest.n_ignored,
         fmt::join(audio_extensions, " "));
  return manifest;
}

}  // namespace melgrad
