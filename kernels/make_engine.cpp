// The one place that knows which engines this build has.

#include "host/engine/engine.hpp"

#include "host/core/error.hpp"
#include "host/cpu/cpu_engine.hpp"

namespace melgrad {

CudaStatus cuda_status() {
  return {{}, "this build has no CUDA engine"};
}

MadeEngine make_engine(std::string_view device, const EngineOptions& options) {
  if (device == "cpu") return {make_cpu_engine(options), {}};
  const CudaStatus cuda = cuda_status();
  if (device == "auto") return {make_cpu_engine(options), fmt::format("cpu, because {}", cuda.why_not)};
  if (device.starts_with("cuda")) fail("--device {}: {}", device, cuda.why_not);
  fail_usage("--device {}: not one of auto, cpu, cuda, cuda:N", device);
}

}  // namespace melgrad
