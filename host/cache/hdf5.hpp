#pragma once
// HDF5 files: made by HDF5's library, whole in memory; read without it, with suspicion.
//
// A Writer builds a file image in memory and never touches the disk: what meets a full disk is
// save_atomically's write(), whose failure leaves no half-closed HDF5 file behind. One thread at a time
// writes. A Reader reads files of a Writer and no others (hdf5_structure.hpp: why and what): it follows no
// link out of its file, checks every checksum, and compares every declared size with the size of the file
// before it allocates.
//
// Names are paths from the root, "weights/0"; groups on the way are made. Strings are UTF-8 in fixed-length
// fields padded with zeros, the longest of a column giving its width: HDF5's strings of variable length lie
// in a heap without checksum. All numbers are little-endian. Errors carry the file.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/matrix.hpp"

namespace melgrad::hdf5 {

// A file whose bytes are not what its writer wrote, or that says impossible things.
class DamagedFile : public Error {
 public:
  using Error::Error;
};

// A file that is no HDF5 file by its first bytes.
class ForeignFile : public Error {
 public:
  using Error::Error;
};

class Writer {
 public:
  // The file's size where it is known roughly saves copying.
  explicit Writer(std::size_t expected_bytes = 0);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Attributes of the root group: eight at most. Error where a value has more than 60 000 bytes; what may be
  // longer goes into strings().
  void attribute(const std::string& name, std::string_view value);
  void attribute(const std::string& name, std::int64_t value);
  // Values are stored in chunks of whole rows with Fletcher-32 checksums.
  void matrix(const std::string& name, MatrixView<const float> values);  // [rows, cols]
  void numbers(const std::string& name, std::span<const float> values);
  void numbers(const std::string& name, std::span<const double> values);
  void numbers(const std::string& name, std::span<const std::uint64_t> values);
  // No value may hold a NUL. Compressed where most of it would be padding.
  void strings(const std::string& name, std::span<const std::string> values);

  // The whole file. Equal content gives equal bytes: no time is stored. The writer is spent.
  std::vector<std::byte> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Reader {
 public:
  // Error where the file cannot be opened, ForeignFile where its first bytes are not HDF5's, DamagedFile
  // where it ends within them or is not one of a Writer's.
  explicit Reader(const std::filesystem::path& file);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const std::filesystem::path& file() const;

  // All of these throw DamagedFile where the thing is missing or of another type or shape.
  bool has(const std::string& name) const;  // a direct member of the root group
  bool has_attribute(const std::string& name) const;
  std::string string_attribute(const std::string& name) const;
  std::int64_t integer_attribute(const std::string& name) const;
  Matrix<float> matrix(const std::string& name) const;
  std::vector<float> floats(const std::string& name) const;
  std::vector<double> doubles(const std::string& name) const;
  std::vector<std::uint64_t> unsigned_integers(const std::string& name) const;
  std::vector<std::string> strings(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "1.10.8"
std::string library_version();

}  // namespace melgrad::hdf5
