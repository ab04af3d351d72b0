// The runtime's functions about devices, versions and errors.

#include "runtime_calls.hpp"

namespace melgrad::emulated {

using namespace emulation;

// ---- device

cudaError_t cudaGetDeviceCount(int* count, Site site) {
  return runtime_call("cudaGetDeviceCount", site, [&](Session& session) {
    const DriverModel& driver = session.options().driver;
    *count = 0;
    // A driver serves every runtime of its own major version, and older ones.
    if (driver.version / 1000 < driver.runtime_version / 1000) return cudaErrorInsufficientDriver;
    *count = session.n_devices();
    return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
  });
}
cudaError_t cudaGetDevice(int* device, Site site) {
  return runtime_call("cudaGetDevice", site, [&](Session& session) {
    *device = session.current_device();
    return cudaSuccess;
  });
}
cudaError_t cudaSetDevice(int device, Site site) {
  return runtime_call("cudaSetDevice", site, [&](Session& session) {
    if (device < 0 || device >= session.n_devices()) return cudaErrorInvalidDevice;
    session.current_device() = device;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device, Site site) {
  return runtime_call("cudaGetDeviceProperties", site, [&](Session& session) {
    if (device < 0 || device >= session.n_devices()) return cudaErrorInvalidDevice;
    const DeviceModel& model = session.device_model(device);
    *properties = {};
    model.name.copy(properties->name, sizeof(properties->name) - 1);
    for (int i = 0; i < 16; ++i) properties->uuid.bytes[i] = static_cast<char>(16 * device + i);
    properties->totalGlobalMem = model.memory;
    properties->sharedMemPerBlock = model.shared_per_block;
    properties->sharedMemPerBlockOptin = model.shared_per_block_optin;
    properties->sharedMemPerMultiprocessor = model.shared_per_multiprocessor;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = static_cast<int>(model.max_threads_per_block);
    properties->maxThreadsPerMultiProcessor = model.max_threads_per_multiprocessor;
    properties->maxBlocksPerMultiProcessor = model.max_blocks_per_multiprocessor;
    properties->multiProcessorCount = model.multiprocessors;
    properties->major = model.major;
    properties->minor = model.minor;
    properties->l2CacheSize = 32 << 20;
    properties->memoryBusWidth = 384;
    properties->asyncEngineCount = 2;
    properties->concurrentKernels = 1;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device, Site site) {
  return runtime_call("cudaDeviceGetAttribute", site, [&](Session& session) {
    if (device < 0 || device >= session.n_devices()) return cudaErrorInvalidDevice;
    const DeviceModel& model = session.device_model(device);
    switch (attribute) {
      case cudaDevAttrMaxThreadsPerBlock:
        *value = static_cast<int>(model.max_threads_per_block);
        break;
      case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = static_cast<int>(model.shared_per_block);
        break;
      case cudaDevAttrMultiProcessorCount:
        *value = model.multiprocessors;
        break;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = model.max_threads_per_multiprocessor;
        break;
      case cudaDevAttrComputeCapabilityMajor:
        *value = model.major;
        break;
      case cudaDevAttrComputeCapabilityMinor:
        *value = model.minor;
        break;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(model.shared_per_multiprocessor);
        break;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(model.shared_per_block_optin);
        break;
      default:
        return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaDriverGetVersion(int* version, Site site) {
  return runtime_call("cudaDriverGetVersion", site, [&](Session& session) {
    *version = session.options().driver.version;
    return cudaSuccess;
  });
}
cudaError_t cudaRuntimeGetVersion(int* version, Site site) {
  return runtime_call("cudaRuntimeGetVersion", site, [&](Session& session) {
    *version = session.options().driver.runtime_version;
    return cudaSuccess;
  });
}

// ---- errors

const char* cudaGetErrorName(cudaError error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorUnknown:
      return "cudaErrorUnknown";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    case cudaErrorUnknown:
      return "unknown error";
  }
  return "unrecognized error code";
}

// These two are often called only to clear or to show: nobody must look at them.
cudaError_t cudaGetLastError(Site) {
  Session& session = Session::current();
  return static_cast<cudaError>(session.is_dead() ? cudaErrorLaunchFailure : session.take_last_error(true));
}
cudaError_t cudaPeekAtLastError(Site) {
  Session& session = Session::current();
  return static_cast<cudaError>(session.is_dead() ? cudaErrorLaunchFailure : session.take_last_error(false));
}

}  // namespace melgrad::emulated
