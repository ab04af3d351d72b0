#pragma once
// What there is of CUDA on this machine, for people and for the choice of an engine.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace melgrad {

struct CudaDevice {
  int index = 0;  // "cuda:0"
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::uint64_t memory_bytes = 0;
  int multiprocessors = 0;
  std::string uuid;     // "GPU-..." or "MIG-...", as nvidia-smi -L shows it
  bool is_mig = false;  // a slice of a GPU
  std::string why_not;  // why melgrad cannot use it; empty if it can
};

struct CudaStatus {
  std::vector<CudaDevice> devices;
  int driver_version = 0;      // the newest CUDA that the driver knows, 13000 for 13.0; 0: no driver
  std::string driver_release;  // "580.65.06"; empty where it cannot be known
  int runtime_version = 0;     // the CUDA that this program was built with; 0: built without
  std::vector<std::pair<std::string, std::string>> libraries;  // "cuFFT", "12.0.0"
  std::string why_not;                                         // empty if a device is usable
};

// Never throws. Defined in kernels/make_engine.cpp.
CudaStatus cuda_status();

// 12080 -> "12.8"
std::string cuda_version_text(int version);
// "cuda:0: NVIDIA H100, compute capability 9.0, 132 multiprocessors, 80.0 GB"
std::string to_text(const CudaDevice& device);

}  // namespace melgrad
