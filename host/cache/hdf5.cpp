#include "host/cache/hdf5.hpp"

#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <set>
#include <type_traits>
#include <utility>

#include "host/core/file_system.hpp"

namespace melgrad::hdf5 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr hsize_t kChunkBytes = 256 * 1024;
constexpr hsize_t kChecksumBytes = 4;         // Fletcher-32, after each chunk's values
constexpr std::size_t kGrowth = 1024 * 1024;  // of a file image in memory, bytes
constexpr std::size_t kEndOfFileField = 28;   // in superblock 3
constexpr hsize_t kMaxDeflateRatio = 1032;    // zlib cannot do better

// HDF5 prints errors by itself unless told not to, thread by thread; plugins would be foreign code.
void set_up_library() {
  thread_local const bool done = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
    return true;
  }();
  (void)done;
}

// The description of HDF5's innermost error; clears its stack.
std::string innermost_message() {
  std::string message;
  auto take_first = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
    if (n == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &message);
  H5Eclear2(H5E_DEFAULT);
  return message.empty() ? "unknown HDF5 error" : message;
}

// An identifier of HDF5's, closed by `close` when it goes.
template <herr_t (*close)(hid_t)>
class Id {
 public:
  Id() = default;
  explicit Id(hid_t id) : id_(id) {}
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Id& operator=(Id&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Id() {
    if (id_ >= 0) close(id_);
  }
  operator hid_t() const { return id_; }
  hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

using FileId = Id<H5Fclose>;
using DatasetId = Id<H5Dclose>;
using SpaceId = Id<H5Sclose>;
using TypeId = Id<H5Tclose>;
using AttributeId = Id<H5Aclose>;
using GroupId = Id<H5Gclose>;
using PropertiesId = Id<H5Pclose>;

// For calls that fail only if we use them wrongly or memory is out.
template <class Status>
Status check(Status status, std::string_view what) {
  if (status < 0) fail("HDF5 cannot {}: {}", what, innermost_message());
  return status;
}

// Strings of at most so many bytes, padded with zeros.
TypeId string_type(std::size_t n_bytes) {
  TypeId type(check(H5Tcopy(H5T_C_S1), "copy a type"));
  check(H5Tset_size(type, std::max<std::size_t>(1, n_bytes)), "set a type's size");
  check(H5Tset_strpad(type, H5T_STR_NULLPAD), "set a type's padding");
  check(H5Tset_cset(type, H5T_CSET_UTF8), "set a type's character set");
  return type;
}

std::string unpadded(const char* text, std::size_t n_bytes) {
  return std::string(text, strnlen(text, n_bytes));
}

// Types in the file and in memory.
template <class T>
std::pair<hid_t, hid_t> number_types() {
  if constexpr (std::is_same_v<T, float>) return {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT};
  if constexpr (std::is_same_v<T, double>) return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
  if constexpr (std::is_same_v<T, std::uint64_t>) return {H5T_STD_U64LE, H5T_NATIVE_UINT64};
}

void refuse_nul(std::string_view value, const std::string& name) {
  if (value.find('\0') != value.npos) fail("HDF5 {}: a string holds a NUL byte", name);
}

// Lends HDF5 the memory of a file, and keeps it when HDF5 closes the file. (H5Fget_file_image would copy it,
// and up to at least 1.10.8 its copy has a wrong checksum in the superblock.)
class FileMemory {
 public:
  explicit FileMemory(std::size_t expected_bytes) { bytes_.reserve(expected_bytes); }

  void lend_to(hid_t access) {
    H5FD_file_image_callbacks_t callbacks{allocate, copy, reallocate, release, same, leave, this};
    check(H5Pset_file_image_callbacks(access, &callbacks), "set the memory of a file");
  }
  // Closing gives space back, so only the superblock (format 3, file format specification II.A) knows where
  // the file ends.
  std::vector<std::byte> take() {
    std::uint64_t end = 0;
    assert(bytes_.size() >= kEndOfFileField + sizeof end);
    std::memcpy(&end, bytes_.data() + kEndOfFileField, sizeof end);
    assert(end <= bytes_.size());
    bytes_.resize(end);
    return std::move(bytes_);
  }

 private:
  using Op = H5FD_file_image_op_t;
  static void* allocate(std::size_t size, Op op, void* self) { return reallocate(nullptr, size, op, self); }
  static void* reallocate(void*, std::size_t size, Op, void* self) {
    auto& bytes = static_cast<FileMemory*>(self)->bytes_;
    try {
      bytes.resize(size);  // zero where it grows, so that equal content is equal bytes
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    return bytes.data();
  }
  static void* copy(void* to, const void* from, std::size_t size, Op, void*) {
    return std::memcpy(to, from, size);
  }
  static herr_t release(void*, Op, void*) { return 0; }
  static void* same(void* self) { return self; }
  static herr_t leave(void*) { return 0; }

  std::vector<std::byte> bytes_;
};

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

// HDF5 takes files of one name for one file.
std::string unique_name() {
  static std::atomic<unsigned> counter{0};
  return fmt::format("memory-{}", counter++);
}

// No time stamps; and links in the group's header, however many: HDF5 (1.10.8) crashes where a file made to
// harm damages the trees that it has for more than eight.
void set_group_properties(hid_t creation) {
  constexpr unsigned most_links = 65535;
  check(H5Pset_obj_track_times(creation, false), "switch time stamps off");
  check(H5Pset_link_phase_change(creation, most_links, most_links), "set the storage of links");
}

}  // namespace

struct Writer::State {
  FileMemory memory;
  FileId file;
  std::set<std::string> groups;

  explicit State(std::size_t expected_bytes) : memory(expected_bytes) {}

  // Where it is not there yet. (Those that HDF5 makes on the way to a dataset keep the time.)
  void make_group(const std::string& name) {
    if (!groups.insert(name).second) return;
    PropertiesId creation(check(H5Pcreate(H5P_GROUP_CREATE), "make properties"));
    set_group_properties(creation);
    GroupId id(check(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT),
                     fmt::format("make the group {}", name)));
  }

  // n_bytes: of one row.
  DatasetId dataset(const std::string& name, hid_t type, std::span<const hsize_t> shape, std::size_t n_bytes,
                    bool compress = false) {
    for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1))
      make_group(name.substr(0, slash));
    SpaceId space(
        check(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), "make a shape"));
    PropertiesId creation(check(H5Pcreate(H5P_DATASET_CREATE), "make properties"));
    check(H5Pset_obj_track_times(creation, false), "switch time stamps off");
    if (std::ranges::find(shape, hsize_t{0}) == shape.end()) {
      std::vector<hsize_t> chunk(shape.begin(), shape.end());
      chunk[0] = std::clamp<hsize_t>(kChunkBytes / n_bytes, 1, shape[0]);
      check(H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), "set chunks");
      if (compress) check(H5Pset_deflate(creation, 1), "set compression");
      check(H5Pset_fletcher32(creation), "set checksums");
    }
    const hid_t id = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    return DatasetId(check(id, fmt::format("make the dataset {}", name)));
  }

  template <class T>
  void numbers(const std::string& name, std::span<const T> values) {
    const auto [file_type, memory_type] = number_types<T>();
    const std::array<hsize_t, 1> shape{values.size()};
    const DatasetId set = dataset(name, file_type, shape, sizeof(T));
    if (!values.empty())
      check(H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write " + name);
  }

  template <class T>
  void attribute(const std::string& name, hid_t file_type, hid_t memory_type, const T* value) {
    SpaceId space(check(H5Screate(H5S_SCALAR), "make a shape"));
    AttributeId id(check(H5Acreate2(file, name.c_str(), file_type, space, H5P_DEFAULT, H5P_DEFAULT),
                         fmt::format("make the attribute {}", name)));
    check(H5Awrite(id, memory_type, value), "write the attribute " + name);
  }
};

Writer::Writer(std::size_t expected_bytes) : state_(std::make_unique<State>(expected_bytes)) {
  set_up_library();
  PropertiesId access(check(H5Pcreate(H5P_FILE_ACCESS), "make properties"));
  check(H5Pset_fapl_core(access, kGrowth, false), "make files in memory");
  state_->memory.lend_to(access);
  // From format 1.10 on all metadata that we use has checksums.
  check(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110), "set the file format");
  PropertiesId creation(check(H5Pcreate(H5P_FILE_CREATE), "make properties"));
  set_group_properties(creation);
  state_->file = FileId(
      check(H5Fcreate(unique_name().c_str(), H5F_ACC_TRUNC, creation, access), "make a file in memory"));
}

Writer::~Writer() = default;

void Writer::attribute(const std::string& name, std::string_view value) {
  refuse_nul(value, name);
  const TypeId type = string_type(value.size());
  state_->attribute(name, type, type, std::string(value).c_str());
}

void Writer::attribute(const std::string& name, std::int64_t value) {
  state_->attribute(name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void Writer::group(const std::string& name) {
  state_->make_group(name);
}

void Writer::matrix(const std::string& name, MatrixView<const float> values) {
  const std::array shape{static_cast<hsize_t>(values.rows), static_cast<hsize_t>(values.cols)};
  const DatasetId set =
      state_->dataset(name, H5T_IEEE_F32LE, shape, sizeof(float) * std::max<hsize_t>(1, shape[1]));
  if (values.rows == 0 || values.cols == 0) return;
  const std::array stored{shape[0], static_cast<hsize_t>(values.stride)};
  const std::array<hsize_t, 2> start{0, 0};
  // Rows lie `stride` apart in memory; only the first `cols` of each are selected and touched.
  SpaceId memory(check(H5Screate_simple(2, stored.data(), nullptr), "make a shape"));
  check(H5Sselect_hyperslab(memory, H5S_SELECT_SET, start.data(), nullptr, shape.data(), nullptr),
        "select rows");
  check(H5Dwrite(set, H5T_NATIVE_FLOAT, memory, H5S_ALL, H5P_DEFAULT, values.data), "write " + name);
}

void Writer::numbers(const std::string& name, std::span<const float> values) {
  state_->numbers(name, values);
}
void Writer::numbers(const std::string& name, std::span<const double> values) {
  state_->numbers(name, values);
}
void Writer::numbers(const std::string& name, std::span<const std::uint64_t> values) {
  state_->numbers(name, values);
}

void Writer::strings(const std::string& name, std::span<const std::string> values) {
  std::size_t width = 1, n_used = 0;
  for (const std::string& value : values) {
    refuse_nul(value, name);
    width = std::max(width, value.size());
    n_used += value.size();
  }
  std::string fields(width * values.size(), '\0');
  for (std::size_t i = 0; i < values.size(); ++i) values[i].copy(fields.data() + i * width, width);
  const TypeId type = string_type(width);
  const std::array<hsize_t, 1> shape{values.size()};
  const bool compress = fields.size() / 4 > n_used + values.size();
  const DatasetId set = state_->dataset(name, type, shape, width, compress);
  if (!values.empty())
    check(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, fields.data()), "write " + name);
}

std::vector<std::byte> Writer::finish() {
  check(H5Fclose(state_->file.release()), "close a file in memory");
  return state_->memory.take();
}

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

std::vector<std::string> Reader::names(const std::string& group) const {
  state_->check_links(group);
  GroupId id(state_->check_read(H5Gopen2(state_->file, group.c_str(), H5P_DEFAULT), group));
  H5G_info_t info;
  state_->check_read(H5Gget_info(id, &info), group);
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    auto read_name = [&](char* out, std::size_t size) {
      return static_cast<std::size_t>(state_->check_read(
          H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, i, out, size, H5P_DEFAULT), group));
    };
    std::string name(read_name(nullptr, 0), '\0');
    read_name(name.data(), name.size() + 1);
    names.push_back(std::move(name));
  }
  return names;
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

std::string library_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace melgrad::hdf5
