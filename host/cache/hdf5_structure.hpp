#pragma once
// The structure of HDF5 files as hdf5::Writer makes them, read without HDF5: its library (1.10.8) follows
// what a file's metadata says beyond the ends of its own memory, wherever a file made to harm says so. This
// is the part of the format that our files use: superblock 3, object headers 2, links in the header, chunks
// of whole rows in a single chunk or a fixed array, deflate and Fletcher-32. Everything else is refused by
// name.
//
// Source: HDF5 File Format Specification version 3.0 (support.hdfgroup.org); numbers are little-endian,
// offsets and lengths have 8 bytes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/cache/hdf5.hpp"

namespace melgrad::hdf5 {

using Bytes = std::span<const std::byte>;

// What an element is.
enum class ElementType { float32, float64, int64, uint64, text, other };

struct Attribute {
  ElementType type = ElementType::other;
  Bytes value;  // of a scalar
};

struct Dataset {
  ElementType type = ElementType::other;
  std::size_t n_element_bytes = 0;
  std::vector<std::uint64_t> shape;
  // Absent where an extent is 0: a dataset without values has no chunks.
  std::uint64_t rows_per_chunk = 0;
  bool is_compressed = false;
  // Of each chunk, the bytes in the file, without their checksum, which is right.
  std::vector<Bytes> chunks;
};

// Views of `file`'s bytes, which have to stay. `name`: the file's, for messages. All throw DamagedFile.
class Structure {
 public:
  Structure(Bytes file, std::string name);

  // Attributes and members of the root group.
  bool has(const std::string& member) const;
  bool has_attribute(const std::string& attribute) const;
  Attribute attribute(const std::string& attribute) const;
  Dataset dataset(const std::string& path) const;  // "weights/0"

  template <class... Args>
  [[noreturn]] void damaged(fmt::format_string<Args...> format, Args&&... args) const {
    throw DamagedFile(name_ + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  struct Message {  // of an object's header
    unsigned type = 0;
    Bytes data;
  };
  class Cursor;

  Bytes at(std::uint64_t address, std::uint64_t n_bytes, std::string_view what) const;
  Bytes sealed(std::uint64_t address, std::uint64_t n_bytes, std::string_view what) const;
  std::vector<Message> messages(std::uint64_t address) const;
  std::optional<std::uint64_t> member(const std::vector<Message>& group, const std::string& member,
                                      const std::string& path) const;
  std::uint64_t find(const std::string& path) const;
  const Message* find_attribute(const std::string& attribute) const;
  std::pair<ElementType, std::size_t> read_type(Cursor type) const;
  std::vector<std::uint64_t> read_shape(Cursor space) const;
  bool read_filters(Cursor filters, const std::string& path) const;
  void check_size(const Dataset& set, const std::string& path) const;
  void read_layout(Cursor layout, bool is_filtered, const std::string& path, Dataset& set) const;
  void read_fixed_array(std::uint64_t address, std::uint64_t n_chunks, const std::string& path,
                        Dataset& set) const;
  Bytes chunk_bytes(std::uint64_t address, std::uint64_t n_bytes, std::uint64_t skipped_filters,
                    const std::string& path) const;

  Bytes file_;
  std::string name_;
  std::vector<Message> root_;
};

// Bob Jenkins' lookup3 (2006), which HDF5 has as the checksum of metadata.
std::uint32_t lookup3(Bytes bytes);
// Fletcher's checksum (1982) of big-endian words of 16 bits, the last one padded with zeros: HDF5's of
// values.
std::uint32_t fletcher32(Bytes bytes);

}  // namespace melgrad::hdf5
