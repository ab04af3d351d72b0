#include <hdf5.h>
#include <zlib.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <new>
#include <numeric>
#include <optional>
#include <utility>

#include "host/cache/hdf5.hpp"
#include "host/cache/hdf5_library.hpp"
#include "host/core/file_system.hpp"

namespace melgrad::hdf5 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr std::size_t kChecksumBytes = 4;   // Fletcher-32, after each chunk's values
constexpr hsize_t kMaxDeflateRatio = 1032;  // zlib cannot do better

std::string unpadded(const char* text, std::size_t n_bytes) {
  return std::string(text, strnlen(text, n_bytes));
}

// Fletcher's checksum of big-endian words of 16 bits, the last one padded with zeros (Fletcher, 1982), as
// HDF5 has it: sums modulo 65535, which are 65535 rather than 0 where any word is not 0.
std::uint32_t fletcher32(std::span<const std::byte> bytes) {
  constexpr std::size_t block = 8192;  // bytes, whose sums stay far below 2^64
  std::uint64_t sum1 = 0, sum2 = 0;
  for (std::size_t begin = 0; begin < bytes.size(); begin += block) {
    const std::size_t end = std::min(begin + block, bytes.size());
    for (std::size_t i = begin; i < end; i += 2) {
      sum1 += std::to_integer<std::uint64_t>(bytes[i]) << 8;
      if (i + 1 < end) sum1 += std::to_integer<std::uint64_t>(bytes[i + 1]);
      sum2 += sum1;
    }
    for (std::uint64_t* sum : {&sum1, &sum2})
      while (*sum > 65535) *sum = (*sum & 65535) + (*sum >> 16);
  }
  return static_cast<std::uint32_t>(sum2 << 16 | sum1);
}

std::uint32_t little_endian_32(const std::byte* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

// HDF5's driver of files that are read from memory. The library's own one for that lets it gather metadata in
// an accumulator, which reads beyond its ends where a damaged file says so (1.10.8); here every read is
// compared with the file's size, and nothing is written.
struct FileContent {
  std::vector<std::byte> bytes;
  bool begins_with(std::string_view start) const {
    return bytes.size() >= start.size() && std::memcmp(bytes.data(), start.data(), start.size()) == 0;
  }
};
struct FileContentReference {
  const FileContent* content;
};

// An open file; HDF5 knows its first member.
struct MemoryFile {
  H5FD_t base;
  const FileContent* content;
  haddr_t end_of_allocation;

  static const MemoryFile& of(const H5FD_t* file) { return *reinterpret_cast<const MemoryFile*>(file); }
  static H5FD_t* open(const char*, unsigned, hid_t access, haddr_t) {
    const auto* reference = static_cast<const FileContentReference*>(H5Pget_driver_info(access));
    if (reference == nullptr) return nullptr;
    auto* file = new (std::nothrow) MemoryFile{{}, reference->content, 0};
    return reinterpret_cast<H5FD_t*>(file);
  }
  static herr_t close(H5FD_t* file) {
    delete reinterpret_cast<MemoryFile*>(file);
    return 0;
  }
  static herr_t query(const H5FD_t*, unsigned long* features) {
    if (features != nullptr) *features = 0;
    return 0;
  }
  static haddr_t get_eoa(const H5FD_t* file, H5FD_mem_t) { return of(file).end_of_allocation; }
  static herr_t set_eoa(H5FD_t* file, H5FD_mem_t, haddr_t end) {
    reinterpret_cast<MemoryFile*>(file)->end_of_allocation = end;
    return 0;
  }
  static haddr_t get_eof(const H5FD_t* file, H5FD_mem_t) { return of(file).content->bytes.size(); }
  static herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t n_bytes, void* out) {
    const auto& bytes = of(file).content->bytes;
    if (address > bytes.size() || n_bytes > bytes.size() - address) return -1;
    std::memcpy(out, bytes.data() + address, n_bytes);
    return 0;
  }
  static herr_t write(H5FD_t*, H5FD_mem_t, hid_t, haddr_t, std::size_t, const void*) { return -1; }
};

hid_t memory_driver() {
  static const hid_t driver = [] {
    constexpr H5FD_mem_t one_kind[] = H5FD_FLMAP_SINGLE;
    H5FD_class_t calls{};
#if H5_VERSION_GE(1, 13, 0)
    calls.version = H5FD_CLASS_VERSION;
    calls.value = 600;  // of those that are nobody's
#endif
    calls.name = "melgrad_memory";
    calls.maxaddr = static_cast<haddr_t>(PTRDIFF_MAX);
    calls.fc_degree = H5F_CLOSE_WEAK;
    calls.fapl_size = sizeof(FileContentReference);
    calls.open = MemoryFile::open;
    calls.close = MemoryFile::close;
    calls.query = MemoryFile::query;
    calls.get_eoa = MemoryFile::get_eoa;
    calls.set_eoa = MemoryFile::set_eoa;
    calls.get_eof = MemoryFile::get_eof;
    calls.read = MemoryFile::read;
    calls.write = MemoryFile::write;
    std::ranges::copy(one_kind, calls.fl_map);
    return check(H5FDregister(&calls), "register a driver");
  }();
  return driver;
}

}  // namespace

struct Reader::State {
  fs::path path;
  FileContent content;
  FileId file;

  explicit State(const fs::path& file_path)
      : path(file_path), content{with_context(path.string(), [&] { return read_file(path); })} {}

  template <class... Args>
  [[noreturn]] void damaged(fmt::format_string<Args...> format, Args&&... args) const {
    throw DamagedFile(path.string() + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  template <class Status>
  Status check_read(Status status, std::string_view what) const {
    if (status < 0) damaged("cannot read {}: {}", what, innermost_message());
    return status;
  }

  // A path whose every step is a plain link within this file.
  void check_links(const std::string& name) const {
    for (std::size_t end = 0; end != name.npos && name != "/";) {
      end = name.find('/', end + 1);
      const std::string step = name.substr(0, end);
      H5L_info_t info;
      check_read(H5Lget_info(file, step.c_str(), &info, H5P_DEFAULT), step);
      if (info.type != H5L_TYPE_HARD) damaged("{} is a link to elsewhere, which is not followed", step);
    }
  }

  // A dataset of numbers of the given type, or (none) of strings of one length, and of the given rank: its
  // shape and the bytes of an element, which fit into the file.
  struct Dataset {
    std::string name;
    DatasetId id;
    PropertiesId creation;
    std::vector<hsize_t> shape;
    std::size_t n_element_bytes;
  };
  Dataset open(const std::string& name, std::optional<hid_t> number_type, std::size_t rank) const {
    check_links(name);
    DatasetId id(check_read(H5Dopen2(file, name.c_str(), H5P_DEFAULT), name));
    TypeId type(check_read(H5Dget_type(id), name));
    if (number_type && H5Tequal(type, *number_type) <= 0) damaged("{} is not of the type it should be", name);
    const std::size_t n_element_bytes =
        check_type(type, number_type ? H5Tget_class(*number_type) : H5T_STRING, name);
    PropertiesId creation(check_read(H5Dget_create_plist(id), name));
    if (H5Pget_layout(creation) == H5D_VIRTUAL || H5Pget_external_count(creation) != 0)
      damaged("{} keeps its values in another file", name);
    SpaceId space(check_read(H5Dget_space(id), name));
    const int stored_rank = check_read(H5Sget_simple_extent_ndims(space), name);
    if (static_cast<std::size_t>(stored_rank) != rank)
      damaged("{} has {} dimensions instead of {}", name, stored_rank, rank);
    std::vector<hsize_t> shape(rank);
    check_read(H5Sget_simple_extent_dims(space, shape.data(), nullptr), name);
    check_size(name, n_element_bytes, shape, creation);
    return {name, std::move(id), std::move(creation), std::move(shape), n_element_bytes};
  }

  // The size of a number or of a fixed-length string, in bytes.
  std::size_t check_type(hid_t type, H5T_class_t type_class, const std::string& name) const {
    if (H5Tget_class(type) != type_class || H5Tis_variable_str(type) > 0)
      damaged("{} is not of the type it should be", name);
    const std::size_t n_type_bytes = H5Tget_size(type);
    if (n_type_bytes == 0) damaged("cannot read the type of {}: {}", name, innermost_message());
    return n_type_bytes;
  }

  void check_size(const std::string& name, std::size_t element_bytes, std::span<const hsize_t> shape,
                  hid_t creation) const {
    const hsize_t ratio = check_read(H5Pget_nfilters(creation), name) > 1 ? kMaxDeflateRatio : 1;
    hsize_t room = content.bytes.size() * ratio / element_bytes;
    for (const hsize_t extent : shape) {
      if (extent == 0) return;
      room /= extent;
    }
    if (room == 0)
      damaged("{} declares [{}] values of {} bytes, more than the file's {} bytes can hold", name,
              fmt::join(shape, ", "), element_bytes, content.bytes.size());
  }

  // Whether chunks are compressed; they have checksums, and nothing else was done to them.
  bool check_filters(const Dataset& set) const {
    const int n_filters = check_read(H5Pget_nfilters(set.creation), set.name);
    std::vector<H5Z_filter_t> filters;
    for (int i = 0; i < n_filters; ++i) {
      unsigned flags = 0, config = 0;
      std::size_t n_values = 0;
      filters.push_back(H5Pget_filter2(set.creation, static_cast<unsigned>(i), &flags, &n_values, nullptr, 0,
                                       nullptr, &config));
    }
    const bool is_compressed = filters == std::vector{H5Z_FILTER_DEFLATE, H5Z_FILTER_FLETCHER32};
    if (!is_compressed && filters != std::vector{H5Z_FILTER_FLETCHER32})
      damaged("{} is stored through the filters [{}], not with checksums, compressed or not", set.name,
              fmt::join(filters, ", "));
    return is_compressed;
  }

  // The values, as they lie in the file: its shape's of n_element_bytes each. HDF5 finds the chunks and does
  // not touch them: it trusts one to have, unpacked, the bytes that its shape says, and reads beyond its end
  // where a file made to harm says otherwise (1.10.8).
  void read_chunks(const Dataset& set, std::byte* values) const {
    static_assert(std::endian::native == std::endian::little);
    const auto& [name, id, creation, shape, n_element_bytes] = set;
    if (std::ranges::count(shape, hsize_t{0}) != 0) return;
    if (H5Pget_layout(creation) != H5D_CHUNKED) damaged("{} is not stored in chunks", name);
    std::vector<hsize_t> chunk(shape.size());  // whole rows
    check_read(H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), name);
    if (chunk[0] == 0 || chunk[0] > shape[0] ||
        !std::equal(chunk.begin() + 1, chunk.end(), shape.begin() + 1))
      damaged("{} has [{}] values in chunks of [{}]", name, fmt::join(shape, ", "), fmt::join(chunk, ", "));
    const bool is_compressed = check_filters(set);
    const std::size_t n_row_bytes =
        std::accumulate(shape.begin() + 1, shape.end(), n_element_bytes, std::multiplies<std::size_t>());
    std::vector<std::byte> unpacked(is_compressed ? chunk[0] * n_row_bytes : 0);
    std::vector<hsize_t> offset(shape.size(), 0);
    for (hsize_t& row = offset[0]; row < shape[0]; row += chunk[0]) {
      std::span<const std::byte> bytes = chunk_bytes(set, offset);
      if (is_compressed) {
        uLongf n_unpacked = unpacked.size();
        const int status = uncompress(reinterpret_cast<Bytef*>(unpacked.data()), &n_unpacked,
                                      reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
        if (status != Z_OK) damaged("{}: its values from row {} on cannot be unpacked", name, row);
        bytes = std::span(unpacked).first(n_unpacked);
      }
      if (bytes.size() != chunk[0] * n_row_bytes)
        damaged("{} has {} bytes from row {} on instead of {}", name, bytes.size(), row,
                chunk[0] * n_row_bytes);
      const hsize_t n_rows = std::min(chunk[0], shape[0] - row);
      std::memcpy(values + row * n_row_bytes, bytes.data(), n_rows * n_row_bytes);
    }
  }

  // The bytes in the file of the chunk at `offset`, without their checksum, which is right.
  std::span<const std::byte> chunk_bytes(const Dataset& set, const std::vector<hsize_t>& offset) const {
    unsigned skipped_filters = 0;
    haddr_t address = 0;
    hsize_t n_bytes = 0;
    check_read(H5Dget_chunk_info_by_coord(set.id, offset.data(), &skipped_filters, &address, &n_bytes),
               set.name);
    const std::size_t n_file_bytes = content.bytes.size();
    if (skipped_filters != 0) damaged("{} has a chunk that was not put through its filters", set.name);
    if (n_bytes <= kChecksumBytes || n_bytes > n_file_bytes || address > n_file_bytes - n_bytes)
      damaged("{} declares a chunk of {} bytes at {}, checksum included, in a file of {} bytes", set.name,
              n_bytes, address, n_file_bytes);
    const auto bytes = std::span(content.bytes).subspan(address, n_bytes - kChecksumBytes);
    if (fletcher32(bytes) != little_endian_32(bytes.data() + bytes.size()))
      damaged("cannot read {}: the values from row {} on do not match their checksum", set.name, offset[0]);
    return bytes;
  }

  template <class T>
  std::vector<T> numbers(const std::string& name) const {
    const Dataset set = open(name, number_types<T>().first, 1);
    std::vector<T> values(set.shape[0]);
    read_chunks(set, reinterpret_cast<std::byte*>(values.data()));
    return values;
  }

  // A scalar attribute, and the bytes of its value.
  std::pair<AttributeId, std::size_t> open_attribute(const std::string& name, H5T_class_t type_class) const {
    AttributeId id(check_read(H5Aopen(file, name.c_str(), H5P_DEFAULT), "the attribute " + name));
    TypeId type(check_read(H5Aget_type(id), name));
    SpaceId space(check_read(H5Aget_space(id), name));
    const std::size_t n_value_bytes = check_type(type, type_class, "the attribute " + name);
    if (H5Sget_simple_extent_type(space) != H5S_SCALAR || n_value_bytes > content.bytes.size())
      damaged("the attribute {} is not one value", name);
    return {std::move(id), n_value_bytes};
  }
};

Reader::Reader(const fs::path& file) : state_(std::make_unique<State>(file)) {
  set_up_library();
  const FileContent& content = state_->content;
  const std::size_t n_first = std::min(kSignature.size(), content.bytes.size());
  if (!content.begins_with(kSignature.substr(0, n_first)))
    throw ForeignFile(file.string() + ": not an HDF5 file");
  if (n_first < kSignature.size()) state_->damaged("it ends after {} bytes", n_first);
  PropertiesId access(check(H5Pcreate(H5P_FILE_ACCESS), "make properties"));
  const FileContentReference reference{&content};
  check(H5Pset_driver(access, memory_driver(), &reference), "read files in memory");
  state_->file =
      FileId(state_->check_read(H5Fopen(unique_name().c_str(), H5F_ACC_RDONLY, access), "the file"));
}

Reader::~Reader() = default;

const fs::path& Reader::file() const {
  return state_->path;
}

bool Reader::has(const std::string& name) const {
  return state_->check_read(H5Lexists(state_->file, name.c_str(), H5P_DEFAULT), "the root group") > 0;
}

bool Reader::has_attribute(const std::string& name) const {
  return state_->check_read(H5Aexists(state_->file, name.c_str()), "the attributes") > 0;
}

std::string Reader::string_attribute(const std::string& name) const {
  const auto [id, n_value_bytes] = state_->open_attribute(name, H5T_STRING);
  std::string text(n_value_bytes, '\0');
  state_->check_read(H5Aread(id, string_type(n_value_bytes), text.data()), "the attribute " + name);
  return unpadded(text.data(), text.size());
}

std::int64_t Reader::integer_attribute(const std::string& name) const {
  const auto [id, n_value_bytes] = state_->open_attribute(name, H5T_INTEGER);
  std::int64_t value = 0;
  state_->check_read(H5Aread(id, H5T_NATIVE_INT64, &value), "the attribute " + name);
  return value;
}

Matrix<float> Reader::matrix(const std::string& name) const {
  const State::Dataset set = state_->open(name, number_types<float>().first, 2);
  Matrix<float> values(static_cast<Index>(set.shape[0]), static_cast<Index>(set.shape[1]));
  state_->read_chunks(set, reinterpret_cast<std::byte*>(values.values.data()));
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
  const State::Dataset set = state_->open(name, std::nullopt, 1);
  const std::size_t n = set.shape[0], width = set.n_element_bytes;
  std::string fields(n * width, '\0');
  state_->read_chunks(set, reinterpret_cast<std::byte*>(fields.data()));
  std::vector<std::string> values;
  values.reserve(n);
  for (std::size_t i = 0; i < n; ++i) values.push_back(unpadded(fields.data() + i * width, width));
  return values;
}

}  // namespace melgrad::hdf5
