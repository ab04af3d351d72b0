#include "host/cache/hdf5_library.hpp"

#include <atomic>

#include "host/cache/hdf5.hpp"

namespace melgrad::hdf5 {

// HDF5 prints errors by itself unless told not to, thread by thread; plugins would be foreign code.
void set_up_library() {
  thread_local const bool done = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
    return true;
  }();
  (void)done;
}

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

std::string unique_name() {
  static std::atomic<unsigned> counter{0};
  return fmt::format("memory-{}", counter++);
}

TypeId string_type(std::size_t n_bytes) {
  TypeId type(check(H5Tcopy(H5T_C_S1), "copy a type"));
  check(H5Tset_size(type, std::max<std::size_t>(1, n_bytes)), "set a type's size");
  check(H5Tset_strpad(type, H5T_STR_NULLPAD), "set a type's padding");
  check(H5Tset_cset(type, H5T_CSET_UTF8), "set a type's character set");
  return type;
}

std::string library_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace melgrad::hdf5
