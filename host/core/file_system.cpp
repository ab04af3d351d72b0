#include "host/core/file_system.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t first_bytes = 64 * 1024;  // that a file of unknown size is read in

FileSystem system_calls;
FileSystem* current = &system_calls;

// What a file or pipe still gives, appended to `content`. Container: of bytes or characters.
template <class Container>
Container read_whole(const fs::path& file) {
  const Descriptor descriptor(file_system().open(file, O_RDONLY));
  if (descriptor.get() < 0) fail("cannot be read: {}", errno_text(errno));
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) fail("cannot be read: {}", errno_text(errno));
  if (S_ISDIR(status.st_mode)) fail("cannot be read: {}", errno_text(EISDIR));
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) fail("cannot be read: it is a device");
  Container content;
  std::size_t n_bytes = 0;
  // One byte more than there is shows that it is all.
  std::size_t room = std::max(first_bytes, static_cast<std::size_t>(status.st_size) + 1);
  for (;;) {
    if (n_bytes == content.size()) {
      content.resize(room);
      room = 2 * content.size();
    }
    const ssize_t got =
        file_system().read(descriptor.get(), std::as_writable_bytes(std::span(content).subspan(n_bytes)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot be read: {}", errno_text(errno));
    if (got == 0) break;
    n_bytes += static_cast<std::size_t>(got);
  }
  content.resize(n_bytes);
  return content;
}

}  // namespace

int FileSystem::open(const fs::path& file, int flags) {
  return ::open(file.c_str(), flags | O_CLOEXEC, 0666);
}
ssize_t FileSystem::read(int descriptor, std::span<std::byte> bytes) {
  return ::read(descriptor, bytes.data(), bytes.size());
}
ssize_t FileSystem::pread(int descriptor, std::span<std::byte> bytes, std::int64_t offset) {
  return ::pread(descriptor, bytes.data(), bytes.size(), offset);
}
ssize_t FileSystem::write(int descriptor, std::span<const std::byte> bytes) {
  return ::write(descriptor, bytes.data(), bytes.size());
}
ssize_t FileSystem::pwrite(int descriptor, std::span<const std::byte> bytes, std::int64_t offset) {
  return ::pwrite(descriptor, bytes.data(), bytes.size(), offset);
}
int FileSystem::ftruncate(int descriptor, std::int64_t n_bytes) {
  return ::ftruncate(descriptor, n_bytes);
}
int FileSystem::fsync(int descriptor) {
  return ::fsync(descriptor);
}
int FileSystem::fdatasync(int descriptor) {
  return ::fdatasync(descriptor);
}
int FileSystem::close(int descriptor) {
  return ::close(descriptor);
}
int FileSystem::flock(int descriptor) {
  return ::flock(descriptor, LOCK_EX | LOCK_NB);
}
int FileSystem::rename(const fs::path& from, const fs::path& to) {
  return ::rename(from.c_str(), to.c_str());
}
int FileSystem::unlink(const fs::path& file) {
  return ::unlink(file.c_str());
}
int FileSystem::mkdir(const fs::path& folder) {
  return ::mkdir(folder.c_str(), 0777);
}
int FileSystem::rmdir(const fs::path& folder) {
  return ::rmdir(folder.c_str());
}

FileSystem& file_system() {
  return *current;
}

FileSystemReplacement::FileSystemReplacement(FileSystem& other) : before_(std::exchange(current, &other)) {}

FileSystemReplacement::~FileSystemReplacement() {
  current = before_;
}

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

std::vector<std::byte> read_file(const fs::path& file) {
  return read_whole<std::vector<std::byte>>(file);
}

std::string read_text_file(const fs::path& file) {
  return read_whole<std::string>(file);
}

void write_all(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = file_system().write(descriptor, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("{}", errno_text(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void remove_file(const fs::path& file) {
  if (file_system().unlink(file) != 0) fail("{}: cannot be removed: {}", file.string(), errno_text(errno));
}

void make_folders(const fs::path& folder) {
  std::error_code unknown;
  if (folder.empty() || fs::is_directory(folder, unknown)) return;
  make_folders(folder.parent_path());
  if (file_system().mkdir(folder) != 0 && !(errno == EEXIST && fs::is_directory(folder, unknown)))
    fail("{}: the folder cannot be made: {}", folder.string(), errno_text(errno));
}

}  // namespace melgrad
