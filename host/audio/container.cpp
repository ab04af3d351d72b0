#include "host/audio/container.hpp"

#include <unistd.h>

#include <cstring>
#include <string_view>

namespace melgrad {
namespace {

// SoX writes 0x7ffff000, arecord 0x80000000, FFmpeg 0xffffffff where they cannot know the length.
constexpr std::uint64_t smallest_placeholder = 0x7ffff000;

using Bytes = unsigned char[32];

// Fills `bytes` from `offset` on; false where the file has fewer than `count`.
bool read_at(int file_descriptor, std::int64_t offset, std::size_t count, Bytes& bytes) {
  return pread(file_descriptor, bytes, count, offset) == static_cast<ssize_t>(count);
}

std::uint64_t number(const unsigned char* bytes, int n_bytes, bool big_endian) {
  std::uint64_t value = 0;
  for (int i = 0; i < n_bytes; ++i) value = value << 8 | bytes[big_endian ? i : n_bytes - 1 - i];
  return value;
}

bool is(const unsigned char* bytes, std::string_view marker) {
  return std::memcmp(bytes, marker.data(), marker.size()) == 0;
}

// How a family of files writes its chunks: a name, a size, the content.
struct ChunkLayout {
  std::int64_t first;  // offset of the first chunk
  int name_bytes;      // 4, or 16 of a GUID that begins with the name
  int size_bytes;      // of the size field
  bool big_endian;
  bool counts_itself;     // the size includes name and size
  unsigned alignment;     // chunks begin at multiples of this
  const char* data_name;  // of the chunk with the samples
  int data_prologue;      // bytes of its content before the samples
};

std::optional<ChunkLayout> chunk_layout(const unsigned char* head) {
  const bool wave = is(head + 8, "WAVE");
  if (wave && (is(head, "RIFF") || is(head, "RF64")))
    return ChunkLayout{12, 4, 4, false, false, 2, "data", 0};
  if (wave && is(head, "RIFX")) return ChunkLayout{12, 4, 4, true, false, 2, "data", 0};
  if (is(head, "FORM") && (is(head + 8, "AIFF") || is(head + 8, "AIFC")))
    return ChunkLayout{12, 4, 4, true, false, 2, "SSND", 8};                       // offset and block size
  if (is(head, "caff")) return ChunkLayout{8, 4, 8, true, false, 1, "data", 4};    // edit count
  if (is(head, "riff")) return ChunkLayout{40, 16, 8, false, true, 8, "data", 0};  // Wave64
  return {};
}

std::optional<DeclaredData> walk_chunks(int file_descriptor, const ChunkLayout& layout) {
  std::uint64_t long_size = 0;  // of RF64's data chunk
  std::int64_t position = layout.first;
  const auto header_bytes = static_cast<std::uint64_t>(layout.name_bytes + layout.size_bytes);
  Bytes bytes;
  // A header of more chunks than this is no header.
  for (int n_chunks = 0; n_chunks < 10'000; ++n_chunks) {
    if (!read_at(file_descriptor, position, header_bytes, bytes)) return {};
    std::uint64_t size = number(bytes + layout.name_bytes, layout.size_bytes, layout.big_endian);
    const bool is_data = is(bytes, layout.data_name), is_ds64 = is(bytes, "ds64");
    position += static_cast<std::int64_t>(header_bytes);
    if (is_ds64 && read_at(file_descriptor, position, 16, bytes)) long_size = number(bytes + 8, 8, false);
    if (is_data && size == 0xffffffff && long_size > 0)
      size = long_size;
    else if (is_data && (size == 0 || (layout.size_bytes == 4 && size >= smallest_placeholder)))
      return {};
    if (layout.counts_itself) {
      if (size < header_bytes) return {};
      size -= header_bytes;
    }
    if (size > static_cast<std::uint64_t>(INT64_MAX - position) - layout.alignment) return {};
    if (is_data) {
      const auto n_bytes = static_cast<std::int64_t>(size) - layout.data_prologue;
      if (n_bytes < 0) return {};
      return DeclaredData{position + layout.data_prologue, n_bytes};
    }
    const std::uint64_t odd_bytes = size % layout.alignment;
    position += static_cast<std::int64_t>(odd_bytes == 0 ? size : size - odd_bytes + layout.alignment);
  }
  return {};
}

}  // namespace

std::optional<DeclaredData> declared_data(int file_descriptor) {
  Bytes head;
  if (!read_at(file_descriptor, 0, 12, head)) return {};
  if (const auto layout = chunk_layout(head)) return walk_chunks(file_descriptor, *layout);
  const bool big_endian = is(head, ".snd");
  if (big_endian || is(head, "dns.")) {  // AU: magic, offset of the samples, their bytes
    const auto offset = number(head + 4, 4, big_endian), n_bytes = number(head + 8, 4, big_endian);
    if (n_bytes == 0 || n_bytes >= smallest_placeholder) return {};
    return DeclaredData{static_cast<std::int64_t>(offset), static_cast<std::int64_t>(n_bytes)};
  }
  return {};
}

}  // namespace melgrad
