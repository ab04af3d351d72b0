#include "host/audio/folder_scan.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include "host/audio/utf8.hpp"
#include "host/core/error.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

class Scanner {
 public:
  explicit Scanner(const fs::path& root) : root_(root) {}

  // Real folders come first, so that their files keep their real paths; then links to folders in the order of
  // their paths. A folder's identity is checked on entry, which ends every loop.
  FolderScan scan() {
    folders_.push_back("");
    while (!folders_.empty() || !folder_links_.empty()) {
      if (folders_.empty()) folders_.push_back(folder_links_.extract(folder_links_.begin()).value());
      const std::string folder = std::move(folders_.back());
      folders_.pop_back();
      list(folder);
    }
    std::sort(found_.paths.begin(), found_.paths.end());
    return std::move(found_);
  }

 private:
  void list(const std::string& folder) {
    const fs::path path = root_ / folder;
    struct stat status {};
    std::error_code error;
    if (::stat(path.c_str(), &status) != 0)
      error.assign(errno, std::generic_category());
    else if (!seen_.emplace(status.st_dev, status.st_ino).second)
      return;
    fs::directory_iterator entry;
    if (!error) entry = fs::directory_iterator(path, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) add(folder, *entry);
    if (!error) return;
    const std::string reason = fmt::format("cannot be listed: {}", error.message());
    if (folder.empty()) fail("{}: {}", as_utf8(root_.string()), reason);
    found_.refused.push_back({as_utf8(folder), reason});
  }

  void add(const std::string& folder, const fs::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    std::string path = folder.empty() ? name : folder + "/" + name;
    std::error_code ignored;  // a link to nowhere is no folder; decoding says what it is
    if (name.starts_with('.'))
      ++found_.n_ignored;
    else if (entry.is_directory(ignored))
      entry.is_symlink(ignored) ? void(folder_links_.insert(std::move(path)))
                                : folders_.push_back(std::move(path));
    else
      add_file(std::move(path));
  }

  void add_file(std::string path) {
    const auto matches = [&](const char* extension) { return has_extension(path, extension); };
    if (std::any_of(undecodable_extensions.begin(), undecodable_extensions.end(), matches))
      found_.refused.push_back({as_utf8(path), "its format is not read here; convert it to FLAC or WAV"});
    else if (std::none_of(audio_extensions.begin(), audio_extensions.end(), matches))
      ++found_.n_ignored;
    else if (!is_utf8(path))
      found_.refused.push_back({as_utf8(path), "its path is not UTF-8; rename it"});
    else
      found_.paths.push_back(std::move(path));
  }

  fs::path root_;
  std::vector<std::string> folders_;    // still to be listed
  std::set<std::string> folder_links_;  // symbolic links, still to be followed
  std::set<std::pair<dev_t, ino_t>> seen_;
  FolderScan found_;
};

}  // namespace

bool has_extension(std::string_view path, std::string_view extension) {
  if (path.size() <= extension.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(extension.begin(), extension.end(),
                    path.end() - static_cast<std::ptrdiff_t>(extension.size()),
                    [&](char a, char b) { return a == lower(b); });
}

FolderScan find_recordings(const fs::path& root) {
  return Scanner(root).scan();
}

}  // namespace melgrad
