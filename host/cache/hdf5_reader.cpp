#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "host/cache/hdf5.hpp"
#include "host/cache/hdf5_library.hpp"
#include "host/core/file_system.hpp"

namespace melgrad::hdf5 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr hsize_t kChecksumBytes = 4;       // Fletcher-32, after each chunk's values
constexpr hsize_t kMaxDeflateRatio = 1032;  // zlib cannot do better

std::string unpadded(const char* text, std::size_t n_bytes) {
  return std::string(text, strnlen(text, n_bytes));
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

  // A dataset of the given type class and shape [rank] whose elements, element_bytes each (0: any, and set
  // to what they have), fit into the file.
  DatasetId open(const std::string& name, H5T_class_t type_class, std::size_t& element_bytes,
                 std::span<hsize_t> shape) const {
    check_links(name);
    DatasetId set(check_read(H5Dopen2(file, name.c_str(), H5P_DEFAULT), name));
    TypeId type(check_read(H5Dget_type(set), name));
    const std::size_t stored_bytes = check_type(type, type_class, name);
    if (element_bytes != 0 && stored_bytes != element_bytes)
      damaged("{} is not of the type it should be", name);
    element_bytes = stored_bytes;
    PropertiesId creation(check_read(H5Dget_create_plist(set), name));
    if (H5Pget_layout(creation) == H5D_VIRTUAL || H5Pget_external_count(creation) != 0)
      damaged("{} keeps its values in another file", name);
    SpaceId space(check_read(H5Dget_space(set), name));
    const int rank = check_read(H5Sget_simple_extent_ndims(space), name);
    if (static_cast<std::size_t>(rank) != shape.size())
      damaged("{} has {} dimensions instead of {}", name, rank, shape.size());
    check_read(H5Sget_simple_extent_dims(space, shape.data(), nullptr), name);
    check_size(name, element_bytes, shape, creation);
    if (H5Pget_layout(creation) == H5D_CHUNKED) check_chunks(name, set, shape, creation);
    return set;
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

  // HDF5 allocates what a chunk is said to take, as values and as bytes in the file, before it reads one.
  void check_chunks(const std::string& name, hid_t set, std::span<const hsize_t> shape,
                    hid_t creation) const {
    std::vector<hsize_t> extents(shape.size());
    check_read(H5Pget_chunk(creation, static_cast<int>(extents.size()), extents.data()), name);
    if (std::ranges::count(shape, hsize_t{0}) != 0) return;
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
      if (extents[axis] > shape[axis])
        damaged("{} has [{}] values in chunks of [{}]", name, fmt::join(shape, ", "),
                fmt::join(extents, ", "));
    const SpaceId space(check_read(H5Dget_space(set), name));
    hsize_t n_chunks = 0;
    check_read(H5Dget_num_chunks(set, space, &n_chunks), name);
    for (hsize_t i = 0; i < n_chunks; ++i) {
      hsize_t n_chunk_bytes = 0;
      check_read(H5Dget_chunk_info(set, space, i, nullptr, nullptr, nullptr, &n_chunk_bytes), name);
      if (n_chunk_bytes <= kChecksumBytes || n_chunk_bytes > content.bytes.size())
        damaged("{} declares a chunk of {} bytes, checksum included, in a file of {} bytes", name,
                n_chunk_bytes, content.bytes.size());
    }
  }

  template <class T>
  std::vector<T> numbers(const std::string& name) const {
    std::array<hsize_t, 1> shape{};
    std::size_t n_value_bytes = sizeof(T);
    const DatasetId set = open(name, std::is_integral_v<T> ? H5T_INTEGER : H5T_FLOAT, n_value_bytes, shape);
    std::vector<T> values(shape[0]);
    if (!values.empty())
      check_read(H5Dread(set, number_types<T>().second, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), name);
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
  std::array<hsize_t, 2> shape{};
  std::size_t n_value_bytes = sizeof(float);
  const DatasetId set = state_->open(name, H5T_FLOAT, n_value_bytes, shape);
  Matrix<float> values(static_cast<Index>(shape[0]), static_cast<Index>(shape[1]));
  if (!values.values.empty())
    state_->check_read(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.values.data()),
                       name);
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
  std::array<hsize_t, 1> shape{};
  std::size_t width = 0;
  const DatasetId set = state_->open(name, H5T_STRING, width, shape);
  std::string fields(shape[0] * width, '\0');
  if (shape[0] > 0)
    state_->check_read(H5Dread(set, string_type(width), H5S_ALL, H5S_ALL, H5P_DEFAULT, fields.data()), name);
  std::vector<std::string> values;
  values.reserve(shape[0]);
  for (std::size_t i = 0; i < shape[0]; ++i) values.push_back(unpadded(fields.data() + i * width, width));
  return values;
}

}  // namespace melgrad::hdf5
