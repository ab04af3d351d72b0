#pragma once
// The CUDA engine. No CUDA header is needed to include this; MELGRAD_KERNELS is the namespace, cuda or
// emulated, defined by the build.

#include <memory>

#include "host/engine/engine.hpp"

namespace melgrad::MELGRAD_KERNELS {

// On a device that list_devices() calls usable. Makes the device's context, which takes device memory and
// time; throws Error where that fails.
std::unique_ptr<Engine> make_cuda_engine(int device, bool tf32 = false);

}  // namespace melgrad::MELGRAD_KERNELS
