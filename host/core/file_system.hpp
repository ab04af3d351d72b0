#pragma once
// The operating system's calls on files, one by one. Whatever must survive kill -9, a full disk and a failing
// one (the feature cache, models, journals, results, locks) is read and written through them, so that tests
// can let each one fail in turn.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace melgrad {

// Each call returns what the one of its name does: -1 and errno where it fails.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // A file that is made gets the mode 0666, less the umask. Descriptors are not inherited by other programs.
  virtual int open(const std::filesystem::path& file, int flags);
  virtual ssize_t read(int descriptor, std::span<std::byte> bytes);
  virtual ssize_t pread(int descriptor, std::span<std::byte> bytes, std::int64_t offset);
  virtual ssize_t write(int descriptor, std::span<const std::byte> bytes);
  virtual ssize_t pwrite(int descriptor, std::span<const std::byte> bytes, std::int64_t offset);
  virtual int ftruncate(int descriptor, std::int64_t n_bytes);
  virtual int fsync(int descriptor);
  virtual int fdatasync(int descriptor);
  virtual int close(int descriptor);
  // For this open file alone, without waiting.
  virtual int flock(int descriptor);
  virtual int rename(const std::filesystem::path& from, const std::filesystem::path& to);
  virtual int unlink(const std::filesystem::path& file);
  virtual int mkdir(const std::filesystem::path& folder);
  virtual int rmdir(const std::filesystem::path& folder);
};

// The operating system's own, but in tests.
FileSystem& file_system();

// For tests: as long as it lives, file_system() is another one.
class FileSystemReplacement {
 public:
  explicit FileSystemReplacement(FileSystem& other);
  ~FileSystemReplacement();
  FileSystemReplacement(const FileSystemReplacement&) = delete;
  FileSystemReplacement& operator=(const FileSystemReplacement&) = delete;

 private:
  FileSystem* before_;
};

// An open descriptor, -1 for none; errors of closing matter only to who asks.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) file_system().close(descriptor_);
  }
  Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }
  int close() { return file_system().close(release()); }

 private:
  int descriptor_;
};

// errno in words: "No space left on device".
std::string errno_text(int error);

// All bytes of a file, or of a pipe. An error says why and not of which file: "cannot be read: No such file
// or directory". Devices are refused: /dev/zero has no end.
std::vector<std::byte> read_file(const std::filesystem::path& file);
std::string read_text_file(const std::filesystem::path& file);

// Writes them all, whatever pieces the system takes them in. An error is the reason: "No space left on
// device".
void write_all(int descriptor, std::span<const std::byte> bytes);

// An error names the file.
void remove_file(const std::filesystem::path& file);

// Makes a folder and those that it lies in, where they are not there; an error names the folder.
void make_folders(const std::filesystem::path& folder);

}  // namespace melgrad
