#include "kernels/vendor_versions.hpp"

#include <fmt/format.h>

#if defined(__CUDACC__)
#include <cublasLt.h>
#include <cufft.h>
#ifdef MELGRAD_HAS_CUDNN
#include <cudnn.h>
#endif
#endif

namespace melgrad::MELGRAD_KERNELS {

#if defined(__CUDACC__)

namespace {

template <class Status>
std::string version_by(Status (*property)(libraryPropertyType, int*)) {
  int major = 0, minor = 0, patch = 0;
  static_cast<void>(property(MAJOR_VERSION, &major));
  static_cast<void>(property(MINOR_VERSION, &minor));
  static_cast<void>(property(PATCH_LEVEL, &patch));
  return fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> vendor_versions() {
  return {
      {"cuBLAS", version_by(cublasLtGetProperty)},
      {"cuFFT", version_by(cufftGetProperty)},
#ifdef MELGRAD_HAS_CUDNN
      {"cuDNN", version_by(cudnnGetProperty)},
#endif
  };
}

#else

std::vector<std::pair<std::string, std::string>> vendor_versions() {
  return {};
}

#endif

}  // namespace melgrad::MELGRAD_KERNELS
