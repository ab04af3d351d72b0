#include "fuzz/hdf5_checksums.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "host/cache/hdf5_structure.hpp"

namespace melgrad::fuzz {
namespace {

// Structures of the file format specification, version 3, with offsets and lengths of 8 bytes.
class Repair {
 public:
  explicit Repair(std::string_view bytes) : bytes_(bytes) {}

  std::string run() {
    if (bytes_.size() > 12 && bytes_[8] >= 2) seal(0, 44);  // the superblock
    for (std::size_t at = 0; (at = next_block(at)) != bytes_.npos; at += 4) {
      const std::string_view signature = std::string_view(bytes_).substr(at, 4);
      if (signature == "OHDR") object_header(at);
      if (signature == "FAHD") fixed_array(at);
    }
    return std::move(bytes_);
  }

 private:
  std::size_t next_block(std::size_t from) const {
    std::size_t first = bytes_.npos;
    for (const char* signature : {"OHDR", "FAHD"}) first = std::min(first, bytes_.find(signature, from));
    return first;
  }
  bool holds(std::uint64_t at, std::uint64_t count) const {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }
  std::uint64_t number(std::uint64_t at, std::size_t n_bytes) const {
    std::uint64_t value = 0;
    if (holds(at, n_bytes)) std::memcpy(&value, bytes_.data() + at, n_bytes);
    return value;
  }
  // The checksum of the n_bytes at `at`, stored behind them.
  void seal(std::uint64_t at, std::uint64_t n_bytes) {
    if (!holds(at, n_bytes) || !holds(at + n_bytes, 4)) return;
    const std::uint32_t sum = hdf5::lookup3(std::as_bytes(std::span(bytes_)).subspan(at, n_bytes));
    std::memcpy(bytes_.data() + at + n_bytes, &sum, sizeof sum);
  }

  void object_header(std::uint64_t at) {
    const std::uint64_t flags = number(at + 5, 1);
    const std::uint64_t begin = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    const std::size_t size_bytes = std::size_t{1} << (flags & 3);
    const std::uint64_t messages = begin + size_bytes, end = messages + number(begin, size_bytes);
    if (end < messages || end > bytes_.size()) return;
    // Type, size, flags, and an order where the header keeps one; type 16 continues elsewhere.
    const std::uint64_t header = flags & 4 ? 6 : 4;
    for (std::uint64_t message = messages; message + header <= end;
         message += header + number(message + 1, 2)) {
      const std::uint64_t length = number(message + header + 8, 8);
      if (number(message, 1) == 16 && length > 4) seal(number(message + header, 8), length - 4);
    }
    seal(at, end - at);
  }

  // The index of chunks, and its entries, on pages or not.
  void fixed_array(std::uint64_t at) {
    seal(at, 24);
    const std::uint64_t entry_bytes = number(at + 6, 1), page = std::uint64_t{1} << (number(at + 7, 1) & 31),
                        n = number(at + 8, 8), block = number(at + 16, 8);
    if (n > bytes_.size()) return;
    if (n <= page) return seal(block, 14 + n * entry_bytes);
    const std::uint64_t prefix = 14 + ((n - 1) / page + 8) / 8;
    seal(block, prefix);
    std::uint64_t where = block + prefix + 4;
    for (std::uint64_t done = 0; done < n; done += page) {
      const std::uint64_t length = std::min(page, n - done) * entry_bytes;
      seal(where, length);
      where += length + 4;
    }
  }

  std::string bytes_;
};

}  // namespace

std::string with_right_checksums(std::string_view bytes) {
  return Repair(bytes).run();
}

}  // namespace melgrad::fuzz
