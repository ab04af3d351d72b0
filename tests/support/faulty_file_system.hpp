#pragma once
// A file system whose n-th call goes wrong, as SQLite's tests do it: let call 1 fail, then 2, 3 ... until
// none is left to fail.

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "host/core/file_system.hpp"

namespace melgrad::test {

enum class Fault {
  io_error,      // the call fails with EIO, those after it work again
  gone,          // it and every later one fails with EIO: the disk is gone
  disk_full,     // from it on whatever needs room fails with ENOSPC; of the first write, half is taken
  short_write,   // a write takes half of its bytes and says so: no error
  interrupted,   // the call fails with EINTR: no error
  power_loss,    // as gone; what was not fsynced, of content and of names, is lost (lose_power())
  torn_by_power  // as power_loss, but names are kept, and of lost content the first half
};
inline constexpr Fault all_faults[] = {Fault::io_error,     Fault::gone,        Fault::disk_full,
                                       Fault::short_write,  Fault::interrupted, Fault::power_loss,
                                       Fault::torn_by_power};
std::string to_string(Fault fault);

class FaultyFileSystem final : public FileSystem {
 public:
  // Calls count from 1, and only those that this fault can hit.
  FaultyFileSystem(Fault fault, int at) : fault_(fault), at_(at) {}

  // "fsync of x.h5.tmp-1"; empty where fewer calls were made.
  const std::string& failed_call() const { return failed_call_; }
  bool is_power_loss() const { return fault_ == Fault::power_loss || fault_ == Fault::torn_by_power; }
  void lose_power();

  int open(const std::filesystem::path& file, int flags) override;
  ssize_t read(int descriptor, std::span<std::byte> bytes) override;
  ssize_t pread(int descriptor, std::span<std::byte> bytes, std::int64_t offset) override;
  ssize_t write(int descriptor, std::span<const std::byte> bytes) override;
  ssize_t pwrite(int descriptor, std::span<const std::byte> bytes, std::int64_t offset) override;
  int ftruncate(int descriptor, std::int64_t n_bytes) override;
  int fsync(int descriptor) override;
  int fdatasync(int descriptor) override;
  int close(int descriptor) override;
  int flock(int descriptor) override;
  int rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  int unlink(const std::filesystem::path& file) override;
  int mkdir(const std::filesystem::path& folder) override;
  int rmdir(const std::filesystem::path& folder) override;

 private:
  // What a call does, as far as faults care.
  struct Kind {
    const char* name;
    bool needs_room = false;     // fails on a full disk
    bool interruptible = false;  // may fail with EINTR
    bool is_write = false;
  };
  // A change of a name, which lasts once its folder is fsynced.
  struct Change {
    std::filesystem::path folder;
    std::function<void()> undo;
  };

  bool fails(const Kind& kind, const std::filesystem::path& file);
  bool can_hit(const Kind& kind) const;
  std::span<const std::byte> taken(std::span<const std::byte> bytes) const;
  std::filesystem::path path_of(int descriptor) const;
  void keep_content(int descriptor);
  void changed(const std::filesystem::path& file, std::function<void()> undo);

  const Fault fault_;
  const int at_;
  int n_calls_ = 0;
  std::string failed_call_;
  std::map<int, std::filesystem::path> opened_;
  std::map<std::filesystem::path, std::string> synced_;  // content at the last fsync of what was written
  std::vector<Change> changes_;                          // in order, of folders not fsynced since
  std::recursive_mutex mutex_;
};

}  // namespace melgrad::test
