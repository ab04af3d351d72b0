#include "host/cache/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".tmp-";

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

// An open descriptor; close errors matter only to who asks.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }
  int close() { return ::close(std::exchange(descriptor_, -1)); }

 private:
  int descriptor_;
};

// Opens a temporary beside `file` that nobody else has; its mode follows the umask, as any new file's.
std::pair<int, fs::path> open_temporary(const fs::path& file) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    fs::path temporary = file;
    temporary += fmt::format("{}{}-{}", kTemporary, ::getpid(), counter++);
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return {descriptor, temporary};
    if (errno != EEXIST)
      fail("{}: cannot create {}: {}", file.string(), temporary.string(), errno_text(errno));
  }
}

void write_all(int descriptor, std::span<const std::byte> content, const fs::path& file) {
  for (auto rest = content; !rest.empty();) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("{}: cannot write {} bytes: {}", file.string(), content.size(), errno_text(errno));
    rest = rest.subspan(static_cast<std::size_t>(written));
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
  Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some network file systems refuse to fsync a folder (EINVAL); they have no such notion.
  if (descriptor.get() < 0 || (::fsync(descriptor.get()) != 0 && errno != EINVAL))
    fail("{}: cannot fsync the folder: {}", folder.string(), errno_text(errno));
}

void save_atomically(const fs::path& file, std::span<const std::byte> content,
                     const std::function<void(const fs::path&)>& check) {
  const fs::path target = follow_links(file);
  auto [raw_descriptor, temporary] = open_temporary(target);
  Descriptor descriptor(raw_descriptor);
  try {
    write_all(descriptor.get(), content, file);
    // A full disk may show as late as here (delayed allocation, network file systems).
    if (::fsync(descriptor.get()) != 0 || descriptor.close() != 0)
      fail("{}: cannot write {} bytes: {}", file.string(), content.size(), errno_text(errno));
    check(temporary);
    if (::rename(temporary.c_str(), target.c_str()) != 0)
      fail("{}: cannot rename {} to it: {}", file.string(), temporary.string(), errno_text(errno));
  } catch (...) {
    ::unlink(temporary.c_str());
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
    if (marker != name.npos && (begin.empty() || name.substr(0, marker) == begin)) fs::remove(entry.path());
  }
}

FileLock::FileLock(const fs::path& file, const std::string& what) : file_(file) {
  for (;;) {
    Descriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (descriptor.get() < 0) fail("{}: cannot create the lock file: {}", file.string(), errno_text(errno));
    if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) fail("{}: cannot lock: {}", file.string(), errno_text(errno));
      std::array<char, 32> holder{};
      const ssize_t length = ::pread(descriptor.get(), holder.data(), holder.size(), 0);
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
    [[maybe_unused]] const bool told = ::ftruncate(descriptor.get(), 0) == 0 &&
                                       ::pwrite(descriptor.get(), holder.data(), holder.size(), 0) > 0;
    descriptor_ = descriptor.release();
    return;
  }
}

FileLock::~FileLock() {
  ::unlink(file_.c_str());
  ::close(descriptor_);
}

}  // namespace melgrad
