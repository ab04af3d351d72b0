#pragma once
// The CUDA devices of this machine, and why none is usable where none is. No CUDA header is needed to include
// this; MELGRAD_KERNELS is the namespace, cuda or emulated, defined by the build.

#include <string>
#include <string_view>

#include "host/engine/cuda_status.hpp"

namespace melgrad::MELGRAD_KERNELS {

// The least compute capability that the kernels are built for.
inline constexpr int least_major = 7, least_minor = 5;

// Never throws. Asks the driver and makes no context, so it costs no device memory.
CudaStatus list_devices();

// The release in the text of /proc/driver/nvidia/version: "580.65.06" of "NVRM version: NVIDIA UNIX x86_64
// Kernel Module  580.65.06  Mon Jul 14"; empty where there is none.
std::string driver_release(std::string_view version_file);

}  // namespace melgrad::MELGRAD_KERNELS
