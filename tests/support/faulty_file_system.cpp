#include "support/faulty_file_system.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <utility>

#include "support/audio_files.hpp"

namespace melgrad::test {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

}  // namespace

std::string to_string(Fault fault) {
  constexpr const char* names[] = {"I/O error",        "disk gone",  "disk full",    "short write",
                                   "interrupted call", "power loss", "torn by power"};
  return names[static_cast<std::size_t>(fault)];
}

bool FaultyFileSystem::can_hit(const Kind& kind) const {
  switch (fault_) {
    case Fault::disk_full:
      return kind.needs_room;
    case Fault::short_write:
      return kind.is_write;
    case Fault::interrupted:
      return kind.interruptible;
    default:
      return true;
  }
}

// Whether this call is to fail, with errno set.
bool FaultyFileSystem::fails(const Kind& kind, const fs::path& file) {
  if (!can_hit(kind)) return false;
  ++n_calls_;
  if (n_calls_ == at_) failed_call_ = std::string(kind.name) + " of " + file.filename().string();
  errno = fault_ == Fault::disk_full ? ENOSPC : fault_ == Fault::interrupted ? EINTR : EIO;
  const bool is_once = fault_ == Fault::io_error || fault_ == Fault::interrupted;
  if (fault_ == Fault::short_write) return false;
  // Of the first write on a full disk half is taken, and the next one fails.
  if (fault_ == Fault::disk_full && kind.is_write) return n_calls_ > at_;
  return is_once ? n_calls_ == at_ : n_calls_ >= at_;
}

std::span<const std::byte> FaultyFileSystem::taken(std::span<const std::byte> bytes) const {
  const bool is_short = n_calls_ == at_ && (fault_ == Fault::short_write || fault_ == Fault::disk_full);
  return is_short && bytes.size() > 1 ? bytes.first(bytes.size() / 2) : bytes;
}

fs::path FaultyFileSystem::path_of(int descriptor) const {
  const auto found = opened_.find(descriptor);
  return found == opened_.end() ? fs::path() : found->second;
}

void FaultyFileSystem::changed(const fs::path& file, std::function<void()> undo) {
  changes_.push_back({folder_of(file), std::move(undo)});
}

void FaultyFileSystem::keep_content(int descriptor) {
  const fs::path path = path_of(descriptor);
  if (fs::is_directory(path))
    std::erase_if(changes_, [&](const Change& change) { return change.folder == path; });
  else if (synced_.contains(path))
    synced_[path] = read_bytes(path);
}

int FaultyFileSystem::open(const fs::path& file, int flags) {
  const std::lock_guard lock(mutex_);
  const bool makes = (flags & O_CREAT) != 0 && !fs::exists(file);
  if (fails({.name = "open", .needs_room = makes}, file)) return -1;
  const bool writes = (flags & (O_WRONLY | O_RDWR)) != 0;
  const std::string before = writes && !makes ? read_bytes(file) : std::string();
  const int descriptor = FileSystem::open(file, flags);
  if (descriptor < 0) return descriptor;
  opened_[descriptor] = file;
  if (writes) synced_.try_emplace(file, before);
  if (makes) changed(file, [file] { fs::remove(file); });
  return descriptor;
}

ssize_t FaultyFileSystem::read(int descriptor, std::span<std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "read", .interruptible = true}, path_of(descriptor))) return -1;
  return FileSystem::read(descriptor, bytes);
}

ssize_t FaultyFileSystem::pread(int descriptor, std::span<std::byte> bytes, std::int64_t offset) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "pread", .interruptible = true}, path_of(descriptor))) return -1;
  return FileSystem::pread(descriptor, bytes, offset);
}

ssize_t FaultyFileSystem::write(int descriptor, std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  const Kind kind{.name = "write", .needs_room = true, .interruptible = true, .is_write = true};
  if (fails(kind, path_of(descriptor))) return -1;
  return FileSystem::write(descriptor, taken(bytes));
}

ssize_t FaultyFileSystem::pwrite(int descriptor, std::span<const std::byte> bytes, std::int64_t offset) {
  const std::lock_guard lock(mutex_);
  const Kind kind{.name = "pwrite", .needs_room = true, .interruptible = true, .is_write = true};
  if (fails(kind, path_of(descriptor))) return -1;
  return FileSystem::pwrite(descriptor, taken(bytes), offset);
}

int FaultyFileSystem::ftruncate(int descriptor, std::int64_t n_bytes) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "ftruncate"}, path_of(descriptor))) return -1;
  return FileSystem::ftruncate(descriptor, n_bytes);
}

int FaultyFileSystem::fsync(int descriptor) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "fsync", .needs_room = true}, path_of(descriptor))) return -1;
  keep_content(descriptor);
  return 0;  // only the files of a test: the disk may take its time
}

int FaultyFileSystem::fdatasync(int descriptor) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "fdatasync", .needs_room = true}, path_of(descriptor))) return -1;
  keep_content(descriptor);
  return 0;
}

// A close that fails has closed nevertheless.
int FaultyFileSystem::close(int descriptor) {
  const std::lock_guard lock(mutex_);
  const bool failing = fails({.name = "close", .needs_room = true}, path_of(descriptor));
  const int error = errno;
  opened_.erase(descriptor);
  const int status = FileSystem::close(descriptor);
  errno = error;
  return failing ? -1 : status;
}

int FaultyFileSystem::flock(int descriptor) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "flock", .interruptible = true}, path_of(descriptor))) return -1;
  return FileSystem::flock(descriptor);
}

int FaultyFileSystem::rename(const fs::path& from, const fs::path& to) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "rename", .needs_room = true}, to)) return -1;
  const bool replaces = fs::exists(to);
  const std::string replaced = replaces ? read_bytes(to) : std::string();
  const int status = FileSystem::rename(from, to);
  if (status != 0) return status;
  if (const auto content = synced_.extract(from)) synced_[to] = content.mapped();
  changed(to, [this, from, to, replaces, replaced] {
    fs::rename(to, from);
    if (const auto content = synced_.extract(to)) synced_[from] = content.mapped();
    if (replaces) write_bytes(to, replaced);
  });
  return status;
}

int FaultyFileSystem::unlink(const fs::path& file) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "unlink"}, file)) return -1;
  const std::string content = fs::exists(file) ? read_bytes(file) : std::string();
  const int status = FileSystem::unlink(file);
  if (status == 0) changed(file, [file, content] { write_bytes(file, content); });
  return status;
}

int FaultyFileSystem::mkdir(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "mkdir", .needs_room = true}, folder)) return -1;
  const int status = FileSystem::mkdir(folder);
  if (status == 0) changed(folder, [folder] { fs::remove_all(folder); });
  return status;
}

int FaultyFileSystem::rmdir(const fs::path& folder) {
  const std::lock_guard lock(mutex_);
  if (fails({.name = "rmdir"}, folder)) return -1;
  const int status = FileSystem::rmdir(folder);
  if (status == 0) changed(folder, [folder] { fs::create_directory(folder); });
  return status;
}

void FaultyFileSystem::lose_power() {
  const std::lock_guard lock(mutex_);
  if (fault_ == Fault::power_loss)
    for (const Change& change : changes_ | std::views::reverse) change.undo();
  for (const auto& [path, synced] : synced_) {
    if (!fs::exists(path)) continue;
    const std::string content = read_bytes(path);
    const auto same = static_cast<std::size_t>(std::ranges::mismatch(content, synced).in1 - content.begin());
    const std::size_t kept = same + (content.size() - same) / 2;
    write_bytes(path,
                fault_ == Fault::torn_by_power && kept > synced.size() ? content.substr(0, kept) : synced);
  }
}

}  // namespace melgrad::test
