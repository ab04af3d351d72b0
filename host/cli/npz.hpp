#pragma once
// NumPy's .npz: an uncompressed zip archive of .npy files, which numpy.load reads without pickle.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

// Members are added one by one; finish() gives the file. The format's limit without zip64 is 4 GiB in all,
// and going beyond is an error.
class NpzWriter {
 public:
  // float32 [rows, cols]
  void add(const std::string& name, MatrixView<const float> values);
  // Unicode strings [n], of the longest one's length. The texts are UTF-8; an error if one is not.
  void add(const std::string& name, const std::vector<std::string>& texts);
  std::vector<std::byte> finish();

 private:
  void add_member(const std::string& name, const std::string& header, const std::string& data);

  std::string archive_;
  std::string directory_;
  std::uint16_t n_members_ = 0;
};

// CRC-32 of zip and PNG: polynomial 0x04C11DB7, reflected.
std::uint32_t crc32(const std::string& bytes);

}  // namespace melgrad
