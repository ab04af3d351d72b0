#include "host/cache/file_stamp.hpp"

#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>

#include <algorithm>
#include <array>

namespace melgrad {

std::uint64_t file_stamp(const std::filesystem::path& file, double min_age_s) {
  const auto nanoseconds = [](const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  timespec now{};
  struct stat status {};
  // The clock is read first: what changes after it is too young.
  if (clock_gettime(CLOCK_REALTIME, &now) != 0 || ::stat(file.c_str(), &status) != 0) return 0;
  const std::int64_t changed = nanoseconds(status.st_ctim);
  const double age_s = static_cast<double>(nanoseconds(now) - changed) * 1e-9;
  if (age_s < min_age_s) return 0;
  const std::array<std::int64_t, 4> known{static_cast<std::int64_t>(status.st_ino), status.st_size,
                                          nanoseconds(status.st_mtim), changed};
  return std::max<std::uint64_t>(1, XXH3_64bits(known.data(), sizeof known));
}

}  // namespace melgrad
