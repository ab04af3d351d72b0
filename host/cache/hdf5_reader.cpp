#include <zlib.h>

#include <bit>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "host/cache/hdf5.hpp"
#include "host/cache/hdf5_structure.hpp"
#include "host/core/file_system.hpp"

namespace melgrad::hdf5 {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";

std::string unpadded(const char* text, std::size_t n_bytes) {
  return std::string(text, strnlen(text, n_bytes));
}

template <class T>
constexpr ElementType type_of() {
  if constexpr (std::is_same_v<T, float>) return ElementType::float32;
  if constexpr (std::is_same_v<T, double>) return ElementType::float64;
  if constexpr (std::is_same_v<T, std::uint64_t>) return ElementType::uint64;
}

}  // namespace

struct Reader::State {
  std::filesystem::path path;
  std::vector<std::byte> content;
  std::optional<Structure> structure;

  Dataset open(const std::string& name, ElementType type, std::size_t rank) const {
    Dataset set = structure->dataset(name);
    if (set.type != type) structure->damaged("{} is not of the type it should be", name);
    if (set.shape.size() != rank)
      structure->damaged("{} has {} dimensions instead of {}", name, set.shape.size(), rank);
    return set;
  }

  Bytes attribute(const std::string& name, ElementType type) const {
    const Attribute attribute = structure->attribute(name);
    if (attribute.type != type) structure->damaged("the attribute {} is not of the type it should be", name);
    return attribute.value;
  }

  // `values`: as many as the set's shape says.
  void read(const std::string& name, const Dataset& set, void* values) const {
    static_assert(std::endian::native == std::endian::little);
    if (set.chunks.empty()) return;
    const std::size_t n_row_bytes =
        std::accumulate(set.shape.begin() + 1, set.shape.end(), set.n_element_bytes, std::multiplies<>());
    const std::size_t n_chunk_bytes = set.rows_per_chunk * n_row_bytes;
    std::vector<std::byte> unpacked(set.is_compressed ? n_chunk_bytes : 0);
    std::size_t row = 0;
    for (Bytes bytes : set.chunks) {
      if (set.is_compressed) {
        uLongf n_unpacked = unpacked.size();
        const int status = uncompress(reinterpret_cast<Bytef*>(unpacked.data()), &n_unpacked,
                                      reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
        if (status != Z_OK) structure->damaged("{}: its values from row {} on cannot be unpacked", name, row);
        bytes = Bytes(unpacked).first(n_unpacked);
      }
      if (bytes.size() != n_chunk_bytes)
        structure->damaged("{} has {} bytes from row {} on instead of {}", name, bytes.size(), row,
                           n_chunk_bytes);
      const std::size_t n_rows = std::min<std::size_t>(set.rows_per_chunk, set.shape[0] - row);
      std::memcpy(static_cast<std::byte*>(values) + row * n_row_bytes, bytes.data(), n_rows * n_row_bytes);
      row += n_rows;
    }
  }

  template <class T>
  std::vector<T> numbers(const std::string& name) const {
    const Dataset set = open(name, type_of<T>(), 1);
    std::vector<T> values(set.shape[0]);
    read(name, set, values.data());
    return values;
  }
};

Reader::Reader(const std::filesystem::path& file) : state_(std::make_unique<State>()) {
  state_->path = file;
  state_->content = with_context(file.string(), [&] { return read_file(file); });
  const auto& content = state_->content;
  const std::string_view begin(reinterpret_cast<const char*>(content.data()),
                               std::min(kSignature.size(), content.size()));
  if (!kSignature.starts_with(begin)) throw ForeignFile(file.string() + ": not an HDF5 file");
  state_->structure.emplace(content, file.string());
}

Reader::~Reader() = default;

const std::filesystem::path& Reader::file() const {
  return state_->path;
}

bool Reader::has(const std::string& name) const {
  return state_->structure->has(name);
}

bool Reader::has_attribute(const std::string& name) const {
  return state_->structure->has_attribute(name);
}

std::string Reader::string_attribute(const std::string& name) const {
  const Bytes value = state_->attribute(name, ElementType::text);
  return unpadded(reinterpret_cast<const char*>(value.data()), value.size());
}

std::int64_t Reader::integer_attribute(const std::string& name) const {
  std::int64_t value = 0;
  std::memcpy(&value, state_->attribute(name, ElementType::int64).data(), sizeof value);
  return value;
}

Matrix<float> Reader::matrix(const std::string& name) const {
  const Dataset set = state_->open(name, ElementType::float32, 2);
  Matrix<float> values(static_cast<Index>(set.shape[0]), static_cast<Index>(set.shape[1]));
  state_->read(name, set, values.values.data());
  return values;
}

std::vector<float> Reader::floats(const std::string& name) const {
  return state_->numbers<float>(name);
}
std::vector<double> Reader::doubles(const std::string& name) const {
  return state_->numbers<double>(name);
}
std::vector<std::uint64_t> Reader::unsigned_integers(const std::string& name) const {
  return state_->numbers<std::uint64_t>(name);
}

std::vector<std::string> Reader::strings(const std::string& name) const {
  const Dataset set = state_->open(name, ElementType::text, 1);
  const std::size_t n = set.shape[0], width = set.n_element_bytes;
  std::string fields(n * width, '\0');
  state_->read(name, set, fields.data());
  std::vector<std::string> values;
  values.reserve(n);
  for (std::size_t i = 0; i < n; ++i) values.push_back(unpadded(fields.data() + i * width, width));
  return values;
}

}  // namespace melgrad::hdf5
