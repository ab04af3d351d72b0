#pragma once
// NVIDIA's libraries that this program uses, for people.

#include <string>
#include <utility>
#include <vector>

#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

// ("cuFFT", "12.0.0") and so on, as they are loaded; none under emulation.
std::vector<std::pair<std::string, std::string>> vendor_versions();

}  // namespace melgrad::MELGRAD_KERNELS
