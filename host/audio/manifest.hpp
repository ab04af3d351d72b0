#pragma once
// Which recordings there are, and what is known of each.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

// One recording of a data set. Every string is valid UTF-8.
struct Clip {
  std::string path;   // as found, relative to the data set's root where it lies under it
  std::string label;  // what is to be learnt: "angry"
  std::string
      group;  // who speaks: clips of one group never stand on both sides of a speaker split; may be empty
  std::string split;                              // "train", "test" or empty
  std::map<std::string, std::string> attributes;  // what else the name says: intensity, statement, sex
  bool operator==(const Clip&) const = default;
};

// A path that is not UTF-8 shows here with its odd bytes as \xNN, so that JSON can hold it.
struct Refusal {
  std::string path;
  std::string reason;
  bool operator==(const Refusal&) const = default;
};

// The clips of a data set in the order of their paths' bytes, and the files that were refused because no
// label could be found for them.
struct Manifest {
  std::filesystem::path root;
  std::vector<Clip> clips;
  std::vector<Refusal> refused;
  Index n_ignored = 0;      // files that are not audio by their extension, and hidden ones
  std::string labels_from;  // for people: "RAVDESS names", "folder names", "pattern ..", "CSV manifest"

  // Where to open a clip.
  std::filesystem::path file(const Clip& clip) const { return root / clip.path; }
};

// The one entry point: a folder (scan_folder) or a file that ends in .csv (read_csv_manifest). A pattern goes
// with a folder only. Errors name the path: it does not exist, is neither, or holds no recordings.
Manifest load_manifest(const std::filesystem::path& path, const std::string& pattern = "");

// Every audio file under a folder, with a label from one of:
//   - the pattern, if one is given (naming.hpp): "{label}_{group}_{index}";
//   - RAVDESS names (naming.hpp), if more than half of the files have one. The others are then refused, since
//     their folders ("Actor_01") would be no emotions;
//   - else the name of the folder that the file lies in, whatever the file's own name. Files directly in
//     the root have no such label and are refused.
// Files are audio by their extension, in any case; hidden ones (".x", "._x.wav") are ignored. Recordings in
// formats that cannot be decoded here (.m4a) are refused. Each folder is visited once: symbolic links to
// folders are followed after everything else, and only to folders not yet seen. A folder that cannot be
// listed is refused, the root is an error.
Manifest scan_folder(const std::filesystem::path& root, const std::string& pattern = "");

// path,label[,group][,split][,anything]: a header and one row a clip, as RFC 4180, UTF-8 with or without BOM.
// Columns in any order; others become attributes. Relative paths are relative to the CSV's folder. A row
// without a label is refused; anything else that is wrong is an error with file and line: columns that are
// missing, doubled or too many, an empty path, a path that came before, a split that is not train, test or
// empty.
Manifest read_csv_manifest(const std::filesystem::path& file);

}  // namespace melgrad
