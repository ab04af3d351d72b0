#include "host/cache/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "host/core/error.hpp"
#include "host/core/file_system.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".tmp-";

// Opens a temporary beside `file` that nobody else has; its mode follows the umask, as any new file's.
std::pair<Descriptor, fs::path> open_temporary(const fs::path& file) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    fs::path temporary = file;
    temporary += fmt::format("{}{}-{}", kTemporary, ::getpid(), counter++);
    Descriptor descriptor(file_system().open(temporary, O_WRONLY | O_CREAT | O_EXCL));
    if (descriptor.get() >= 0) return {std::move(descriptor), temporary};
    if (errno != EEXIST)
      fail("{}: cannot create {}: {}", file.string(), temporary.string(), errno_text(errno));
  }
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// What `file` stands for, also where that is not there yet.
fs::path follow_links(fs::path file) {
  for (int depth = 0; fs::is_symlink(file); ++depth) {
    if (depth == 40) fail("{}: too many symbolic links", file.string());
    file = folder_of(file) / fs::read_symlink(file);
  }
  return file;
}

}  // namespace

void fsync_folder(const fs::path& folder) {
  const Descriptor descriptor(file_system().open(folder, O_RDONLY | O_DIRECTORY));
  // Some network file systems refuse to fsync a folder (EINVAL); they have no such notion.
  if (descriptor.get() < 0 || (file_system().fsync(descriptor.get()) != 0 && errno != EINVAL))
    fail("{}: cannot fsync the folder: {}", folder.string(), errno_text(errno));
}

void save_atomically(const fs::path& file, std::span<const std::byte> content,
                     const std::function<void(const fs::path&)>& check) {
  const fs::path target = follow_links(file);
  auto [descriptor, temporary] = open_temporary(target);
  try {
    with_context(fmt::format("{}: cannot write {} bytes", file.string(), content.size()),
                 [&, &opened = descriptor] {
                   write_all(opened.get(), content);
                   // A full disk may show as late as here (delayed allocation, network file systems).
                   if (file_system().fsync(opened.get()) != 0 || opened.close() != 0)
                     fail("{}", errno_text(errno));
                 });
    check(temporary);
    if (file_system().rename(temporary, target) != 0)
      fail("{}: cannot rename {} to it: {}", file.string(), temporary.string(), errno_text(errno));
  } catch (...) {
    file_system().unlink(temporary);
    throw;
  }
  fsync_folder(folder_of(target));
}

void remove_leftover_temporaries(const fs::path& file) {
  const fs::path target = follow_links(file);
  const std::string begin = target.filename().string();
  std::error_code ignored;  // a folder that is not there has no leftovers
  for (const auto& entry : fs::directory_iterator(folder_of(target), ignored)) {
    const std::string name = entry.path().filename().string();
    const std::size_t marker = name.rfind(kTemporary);
    if (marker != name.npos && (begin.empty() || name.substr(0, marker) == begin)) remove_file(entry.path());
  }
}

FileLock::FileLock(const fs::path& file, const std::string& what) : file_(file) {
  for (;;) {
    Descriptor descriptor(file_system().open(file, O_RDWR | O_CREAT));
    if (descriptor.get() < 0) fail("{}: cannot create the lock file: {}", file.string(), errno_text(errno));
    if (file_system().flock(descriptor.get()) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) fail("{}: cannot lock: {}", file.string(), errno_text(errno));
      std::array<char, 32> holder{};
      const ssize_t length =
          file_system().pread(descriptor.get(), std::as_writable_bytes(std::span(holder)), 0);
      const std::string_view text(holder.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
      fail("{} is in use by another process ({}, process {})", what, file.string(),
           text.empty() ? "unknown" : text);
    }
    // The holder before us may have removed the file between our open and our lock: then try anew.
    struct stat opened {
    }, present{};
    if (::fstat(descriptor.get(), &opened) != 0 || ::stat(file.c_str(), &present) != 0 ||
        opened.st_ino != present.st_ino || opened.st_dev != present.st_dev)
      continue;
    const std::string holder = fmt::format("{}", ::getpid());
    // The number is for the message above alone: on a full disk the lock holds just the same.
    [[maybe_unused]] const bool told =
        file_system().ftruncate(descriptor.get(), 0) == 0 &&
        file_system().pwrite(descriptor.get(), std::as_bytes(std::span(holder)), 0) > 0;
    descriptor_ = descriptor.release();
    return;
  }
}

FileLock::~FileLock() {
  file_system().unlink(file_);
  file_system().close(descriptor_);
}

}  // namespace melgrad
