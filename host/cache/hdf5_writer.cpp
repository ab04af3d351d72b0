#include <hdf5.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <new>
#include <set>
#include <utility>

#include "host/cache/hdf5.hpp"

namespace melgrad::hdf5 {
namespace {

// HDF5 prints errors by itself unless told not to, thread by thread; plugins would be foreign code.
void set_up_library() {
  thread_local const bool done = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
    return true;
  }();
  (void)done;
}

// The description of the innermost error; clears their stack.
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

// A new one each time: HDF5 takes files of one name for one file.
std::string unique_name() {
  static std::atomic<unsigned> counter{0};
  return fmt::format("memory-{}", counter++);
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

// Types in the file and in memory.
template <class T>
std::pair<hid_t, hid_t> number_types() {
  if constexpr (std::is_same_v<T, float>) return {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT};
  if constexpr (std::is_same_v<T, double>) return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
  if constexpr (std::is_same_v<T, std::uint64_t>) return {H5T_STD_U64LE, H5T_NATIVE_UINT64};
}

// Strings of at most so many bytes, padded with zeros.
TypeId string_type(std::size_t n_bytes) {
  TypeId type(check(H5Tcopy(H5T_C_S1), "copy a type"));
  check(H5Tset_size(type, std::max<std::size_t>(1, n_bytes)), "set a type's size");
  check(H5Tset_strpad(type, H5T_STR_NULLPAD), "set a type's padding");
  check(H5Tset_cset(type, H5T_CSET_UTF8), "set a type's character set");
  return type;
}

constexpr hsize_t kChunkBytes = 256 * 1024;
constexpr std::size_t kGrowth = 1024 * 1024;  // of a file image in memory, bytes
constexpr std::size_t kEndOfFileField = 28;   // in superblock 3

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
  int n_attributes = 0;

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
    ++n_attributes;
    assert(n_attributes <= 8);  // HDF5 lays more into a heap
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
  constexpr std::size_t longest =
      60'000;  // HDF5 lays what exceeds 64 KB into a heap, which nobody here reads
  if (value.size() > longest)
    fail("the attribute {} has {} bytes, more than {}", name, value.size(), longest);
  const TypeId type = string_type(value.size());
  state_->attribute(name, type, type, std::string(value).c_str());
}

void Writer::attribute(const std::string& name, std::int64_t value) {
  state_->attribute(name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
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

std::string library_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace melgrad::hdf5
