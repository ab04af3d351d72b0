#pragma once
// Finds the recordings under a folder.

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/audio/manifest.hpp"

namespace melgrad {

// Lower case. libsndfile opens by content, so this list only says which files are meant as recordings.
inline constexpr std::array audio_extensions = {".aif", ".aifc", ".aiff", ".au",   ".caf",  ".flac",
                                                ".mp3", ".oga",  ".ogg",  ".opus", ".rf64", ".snd",
                                                ".sph", ".w64",  ".wav",  ".wave"};
// Recordings that libsndfile cannot read: refused by name, so that nobody misses them in the results.
inline constexpr std::array undecodable_extensions = {".3gp", ".aac", ".amr", ".m4a", ".webm", ".wma"};

// Whether a path ends in an extension, in any case: has_extension("A.WAV", ".wav").
bool has_extension(std::string_view path, std::string_view extension);

struct FolderScan {
  std::vector<std::string> paths;  // relative to the root, sorted by bytes, valid UTF-8
  std::vector<Refusal> refused;  // undecodable formats, names that are not UTF-8, folders without permission
  Index n_ignored = 0;           // other files, and hidden ones
};

// An Error names the root if it cannot be listed.
FolderScan find_recordings(const std::filesystem::path& root);

}  // namespace melgrad
