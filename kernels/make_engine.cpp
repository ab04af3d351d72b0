// The one place that knows which engines this build has.

#include "host/cpu/cpu_engine.hpp"
#include "host/engine/cuda_status.hpp"
#include "host/engine/engine.hpp"
#include "host/engine/engine_choice.hpp"
#ifdef MELGRAD_HAS_CUDA
#include "host/core/error.hpp"
#include "kernels/cuda_devices.hpp"
#endif

namespace melgrad {

#ifdef MELGRAD_HAS_CUDA
CudaStatus cuda_status() {
  return cuda::list_devices();
}
#else
CudaStatus cuda_status() {
  CudaStatus status;
  status.why_not = "this build has no CUDA engine";
  return status;
}
#endif

MadeEngine make_engine(std::string_view device, const EngineOptions& options) {
  EngineMakers makers{
      .cpu = [&] { return make_cpu_engine(options); }, .cuda_status = cuda_status, .cuda = {}};
#ifdef MELGRAD_HAS_CUDA
  makers.cuda = [](int) -> std::unique_ptr<Engine> { fail("the CUDA engine is not in this build yet"); };
#endif
  return choose_engine(device, makers);
}

}  // namespace melgrad
