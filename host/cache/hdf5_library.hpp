#pragma once
// HDF5's C library as hdf5_writer.cpp and hdf5_reader.cpp, and nobody else, see it: identifiers that close
// themselves, errors with HDF5's own words, types.

#include <hdf5.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "host/core/error.hpp"

namespace melgrad::hdf5 {

// To be called before anything else, by every thread.
void set_up_library();

// The description of HDF5's innermost error; clears its stack.
std::string innermost_message();

// A new one each time: HDF5 takes files of one name for one file.
std::string unique_name();

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
TypeId string_type(std::size_t n_bytes);

// Types in the file and in memory.
template <class T>
std::pair<hid_t, hid_t> number_types() {
  if constexpr (std::is_same_v<T, float>) return {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT};
  if constexpr (std::is_same_v<T, double>) return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
  if constexpr (std::is_same_v<T, std::uint64_t>) return {H5T_STD_U64LE, H5T_NATIVE_UINT64};
}

}  // namespace melgrad::hdf5
