#pragma once

#include <string>
#include <string_view>

namespace melgrad::fuzz {

// The bytes of an HDF5 file with the checksums of its metadata made right again, as far as they are found:
// superblock, object headers, chunk indices. Without them nearly every mutation ends at the first checksum,
// and what is behind it is never tried.
std::string with_right_checksums(std::string_view bytes);

}  // namespace melgrad::fuzz
