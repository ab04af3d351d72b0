#include "host/cli/npz.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "host/audio/utf8.hpp"
#include "host/core/error.hpp"

namespace melgrad {
namespace {

// Numbers in zip and .npy files are little-endian.
void append_u16(std::string& bytes, std::size_t value) {
  for (int shift : {0, 8}) bytes += static_cast<char>(value >> shift & 0xff);
}
void append_u32(std::string& bytes, std::size_t value) {
  for (int shift : {0, 8, 16, 24}) bytes += static_cast<char>(value >> shift & 0xff);
}

// Format 1.0: magic, version, length, a Python dictionary, padding so that the data begins at a multiple
// of 64. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
std::string npy_header(const std::string& type, const std::string& shape) {
  std::string dictionary =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  constexpr std::size_t before = 10;  // bytes before the dictionary
  dictionary.append(63 - (before + dictionary.size()) % 64, ' ');
  dictionary += '\n';
  std::string header = "\x93NUMPY";
  header += '\1';
  header += '\0';
  append_u16(header, dictionary.size());
  return header + dictionary;
}

// A byte of well-formed UTF-8 that does not begin with the bits 10 begins a code point.
std::vector<std::uint32_t> code_points(const std::string& text) {
  if (!is_utf8(text)) fail("'{}' is not UTF-8", as_utf8(text));
  std::vector<std::uint32_t> points;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80)
      points.back() = points.back() << 6 | (byte & 0x3Fu);
    else
      points.push_back(byte < 0x80   ? byte
                       : byte < 0xE0 ? byte & 0x1Fu
                       : byte < 0xF0 ? byte & 0x0Fu
                                     : byte & 0x07u);
  }
  return points;
}

}  // namespace

std::uint32_t crc32(const std::string& bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      entries[i] = i;
      for (int bit = 0; bit < 8; ++bit)
        entries[i] = entries[i] >> 1 ^ ((entries[i] & 1) != 0 ? 0xEDB88320u : 0);
    }
    return entries;
  }();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~crc;
}

void NpzWriter::add(const std::string& name, MatrixView<const float> values) {
  std::string data;
  data.reserve(static_cast<std::size_t>(values.rows * values.cols) * sizeof(float));
  for (Index row = 0; row < values.rows; ++row)
    for (const float value : values.row(row)) {
      std::uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      append_u32(data, bits);
    }
  add_member(name, npy_header("<f4", fmt::format("{}, {}", values.rows, values.cols)), data);
}

void NpzWriter::add(const std::string& name, const std::vector<std::string>& texts) {
  std::vector<std::vector<std::uint32_t>> all;
  std::size_t length = 1;  // NumPy has no '<U0' in files
  for (const std::string& text : texts) {
    all.push_back(code_points(text));
    length = std::max(length, all.back().size());
  }
  std::string data;
  data.reserve(all.size() * length * 4);
  for (auto& points : all) {
    points.resize(length);  // padded with NULs, which NumPy strips
    for (const std::uint32_t point : points) append_u32(data, point);
  }
  add_member(name, npy_header(fmt::format("<U{}", length), fmt::format("{},", texts.size())), data);
}

// A local header and the data; the central directory repeats the header with the place of the member.
void NpzWriter::add_member(const std::string& name, const std::string& header, const std::string& data) {
  const std::string content = header + data;
  const std::string file_name = name + ".npy";
  std::string common;
  append_u16(common, 20);      // version needed: 2.0
  append_u16(common, 0);       // flags
  append_u16(common, 0);       // stored, not compressed
  append_u16(common, 0);       // time 00:00
  append_u16(common, 0x0021);  // date 1980-01-01, so that equal content gives equal bytes
  append_u32(common, crc32(content));
  append_u32(common, content.size());  // compressed
  append_u32(common, content.size());  // uncompressed
  append_u16(common, file_name.size());
  append_u16(common, 0);  // extra field

  directory_ += "PK\1\2";
  append_u16(directory_, 20);  // version made by
  directory_ += common;
  append_u16(directory_, 0);  // comment
  append_u16(directory_, 0);  // disk
  append_u16(directory_, 0);  // internal attributes
  append_u32(directory_, 0);  // external attributes
  append_u32(directory_, archive_.size());
  directory_ += file_name;

  archive_ += "PK\3\4" + common + file_name + content;
  ++n_members_;
  constexpr std::size_t limit = std::numeric_limits<std::uint32_t>::max();
  if (archive_.size() + directory_.size() > limit - 1024)
    fail("the archive would have {} bytes at '{}'; the limit is {}: export to .csv instead", archive_.size(),
         name, limit);
}

std::vector<std::byte> NpzWriter::finish() {
  const std::size_t directory_at = archive_.size();
  archive_ += directory_;
  archive_ += "PK\5\6";
  append_u16(archive_, 0);  // this disk
  append_u16(archive_, 0);  // disk of the directory
  append_u16(archive_, n_members_);
  append_u16(archive_, n_members_);
  append_u32(archive_, directory_.size());
  append_u32(archive_, directory_at);
  append_u16(archive_, 0);  // comment
  std::vector<std::byte> bytes(archive_.size());
  std::memcpy(bytes.data(), archive_.data(), archive_.size());
  return bytes;
}

}  // namespace melgrad
