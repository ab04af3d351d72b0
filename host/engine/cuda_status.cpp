#include "host/engine/cuda_status.hpp"

#include <fmt/format.h>

namespace melgrad {

std::string cuda_version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string to_text(const CudaDevice& device) {
  return fmt::format("cuda:{}: {}, compute capability {}.{}, {} multiprocessors, {:.1f} GB{}", device.index,
                     device.name, device.major, device.minor, device.multiprocessors,
                     static_cast<double>(device.memory_bytes) / 1e9,
                     device.why_not.empty() ? "" : "; not usable: " + device.why_not);
}

}  // namespace melgrad
