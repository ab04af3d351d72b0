#pragma once
// A folder for files that are wanted only for a while.

#include <filesystem>

namespace melgrad {

// A new folder that nobody else can enter, removed with all its files.
class TemporaryFolder {
 public:
  TemporaryFolder();  // throws Error where it cannot be made
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace melgrad
