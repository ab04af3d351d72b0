// The one place that knows which engines this build has.

#include "host/cpu/cpu_engine.hpp"
#include "host/engine/cuda_status.hpp"
#include "host/engine/engine.hpp"
#include "host/engine/engine_choice.hpp"
#ifdef MELGRAD_HAS_CUDA
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "host/engine/self_check.hpp"
#include "host/engine/speech_division.hpp"
#include "kernels/cuda_devices.hpp"
#include "kernels/cuda_engine.hpp"
#endif

namespace melgrad {

#ifdef MELGRAD_HAS_CUDA
namespace {

// Once for each device in a process.
void prove(Engine& engine, Engine& reference) {
  static std::mutex mutex;
  static std::set<std::string> proven;
  const std::lock_guard lock(mutex);
  if (proven.contains(std::string(engine.name()))) return;
  check_features(engine, reference);
  check_speech(engine, reference);
  check_training(engine, reference);
  proven.emplace(engine.name());
}

std::unique_ptr<Engine> make_checked_cuda_engine(int device, const EngineOptions& options) {
  std::unique_ptr<Engine> engine = cuda::make_cuda_engine(device, options.tf32);
  std::unique_ptr<Engine> cpu = make_cpu_engine(options);
  prove(*engine, *cpu);
  return make_divided_engine(std::move(engine), std::move(cpu));
}

}  // namespace

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
  makers.cuda = [&](int index) { return make_checked_cuda_engine(index, options); };
#endif
  return choose_engine(device, makers);
}

}  // namespace melgrad
