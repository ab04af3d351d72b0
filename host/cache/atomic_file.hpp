#pragma once
// Files that are whole or as they were before, whatever happens in between.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

namespace melgrad {

// Writes `content` to a temporary file beside `file`, fsyncs it, calls check(temporary), renames it to
// `file` and fsyncs the folder. On any error, check's included, the temporary is removed, `file` is as it was
// and the error names the file: "x.h5: cannot write 12345 bytes: No space left on device". A `file` that is a
// symbolic link stays one.
void save_atomically(const std::filesystem::path& file, std::span<const std::byte> content,
                     const std::function<void(const std::filesystem::path& temporary)>& check);

// Removes what save_atomically(file) of a process that was killed left behind; for "folder/", what it left of
// any file in there. Only for who knows that nobody writes there now.
void remove_leftover_temporaries(const std::filesystem::path& file);

void fsync_folder(const std::filesystem::path& folder);

// A file that one process holds at a time. The kernel lets go of it when the process ends, however it ends.
class FileLock {
 public:
  // Throws at once where another process holds it: "`what` is in use by another process (x.lock, process
  // 4711)".
  FileLock(const std::filesystem::path& file, const std::string& what);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace melgrad
