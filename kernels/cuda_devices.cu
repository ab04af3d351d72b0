#include "kernels/cuda_devices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "kernels/launch.cuh"
#include "kernels/vendor_versions.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

std::string words(cudaError_t error) {
  return fmt::format("CUDA says {} ({})", cudaGetErrorString(error), cudaGetErrorName(error));
}

std::string why_no_driver(const std::string& release) {
  if (release.empty())
    return "no NVIDIA driver is installed: libcuda.so.1 was not found; in a container, start it with --gpus "
           "all";
  return fmt::format(
      "the NVIDIA kernel module {} is loaded, but libcuda.so.1 was not found; in a container, "
      "start it with --gpus all",
      release);
}

std::string why_no_device() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return "the NVIDIA driver sees no GPU" +
         (visible ? fmt::format("; CUDA_VISIBLE_DEVICES is '{}'", visible) : std::string());
}

// Why cudaGetDeviceCount failed.
std::string why_no_count(cudaError_t error, const CudaStatus& status) {
  const cudaError plain = error;
  if (status.driver_version == 0) return why_no_driver(status.driver_release);
  if (plain == cudaErrorNoDevice) return why_no_device();
  if (plain == cudaErrorInsufficientDriver)
    return fmt::format(
        "the NVIDIA driver{} knows CUDA up to {}, and this program was built with {}: install a "
        "newer driver",
        status.driver_release.empty() ? "" : " " + status.driver_release,
        cuda_version_text(status.driver_version), cuda_version_text(status.runtime_version));
  return words(error);
}

// As nvidia-smi writes it: 8-4-4-4-12 hexadecimal digits.
std::string uuid_text(const cudaUUID_t& uuid, bool is_mig) {
  std::string text = is_mig ? "MIG" : "GPU";
  for (int i = 0; i < 16; ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

CudaDevice describe_device(int index) {
  CudaDevice device;
  device.index = index;
  cudaDeviceProp properties;
  const cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) {
    device.why_not = words(status);
    return device;
  }
  device.name = properties.name;
  device.major = properties.major;
  device.minor = properties.minor;
  device.memory_bytes = properties.totalGlobalMem;
  device.multiprocessors = properties.multiProcessorCount;
  device.is_mig = device.name.find(" MIG ") != std::string::npos;
  device.uuid = uuid_text(properties.uuid, device.is_mig);
  if (device.major * 10 + device.minor < least_major * 10 + least_minor)
    device.why_not = fmt::format("its compute capability is {}.{}, and {}.{} is the least", device.major,
                                 device.minor, least_major, least_minor);
  return device;
}

std::string read_text(const char* file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Leaves the last error where it is.
CudaStatus ask_for_devices() {
  CudaStatus status;
  const cudaError_t asked_runtime = cudaRuntimeGetVersion(&status.runtime_version);
  if (asked_runtime != cudaSuccess) status.why_not = words(asked_runtime);
  const cudaError_t asked_driver = cudaDriverGetVersion(&status.driver_version);
  if (asked_driver != cudaSuccess) status.why_not = words(asked_driver);
  status.driver_release = driver_release(read_text("/proc/driver/nvidia/version"));
  int n_devices = 0;
  const cudaError_t counted = cudaGetDeviceCount(&n_devices);
  if (counted != cudaSuccess) {
    status.why_not = why_no_count(counted, status);
    return status;
  }
  for (int i = 0; i < n_devices; ++i) status.devices.push_back(describe_device(i));
  const auto is_usable = [](const CudaDevice& device) { return device.why_not.empty(); };
  if (n_devices == 0)
    status.why_not = why_no_device();
  else if (status.why_not.empty() && std::ranges::none_of(status.devices, is_usable))
    status.why_not = "no device is usable: " + to_text(status.devices.front());
  return status;
}

}  // namespace

std::string driver_release(std::string_view version_file) {
  const std::string_view line = version_file.substr(0, version_file.find('\n'));
  for (std::size_t begin = 0; begin < line.size();) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    const bool is_release = word.find('.') != word.npos && word.find_first_not_of("0123456789.") == word.npos;
    if (is_release) return std::string(word);
    begin = end + 1;
  }
  return {};
}

CudaStatus list_devices() {
  CudaStatus status = ask_for_devices();
  status.libraries = vendor_versions();
  static_cast<void>(cudaGetLastError());  // no later launch shall find it
  return status;
}

}  // namespace melgrad::MELGRAD_KERNELS
