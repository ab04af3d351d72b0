#pragma once
// Whether a file is still the one that was read, without reading it.

#include <cstdint>
#include <filesystem>

namespace melgrad {

// XXH3 of a file's inode, size and times of its last changes of content (mtime) and of anything (ctime), in
// nanoseconds; never 0. Whatever writes to a file or replaces it changes one of them: even a copy that keeps
// size and mtime (rsync --times --inplace) has a new ctime, which no program can set. Two changes within one
// tick of the file system's clock cannot be told apart, so a file that changed less than min_age_s seconds
// ago has no stamp: 0, as for a file that is not there.
std::uint64_t file_stamp(const std::filesystem::path& file, double min_age_s);

}  // namespace melgrad
