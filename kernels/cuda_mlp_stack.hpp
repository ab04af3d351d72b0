#pragma once
// The CUDA engine's MlpStack. Two routes train a stack (mlp_routes.hpp says which when):
//   block  one thread block trains one model, many epochs in one launch (mlp_block.hpp)
//   stack  all models step side by side in batched products and fused kernels, an epoch as one CUDA graph
//          (mlp_steps.hpp)
// Either gives each model the same bits in a stack of any size. They agree with each other, and with the CPU
// engine, to rounding. MELGRAD_KERNELS is `cuda` under nvcc and `emulated` in the tests (kernels/launch.cuh).

#include <memory>
#include <span>

#include "host/engine/engine.hpp"
#include "host/engine/out_of_device_memory.hpp"
#include "kernels/mlp_routes.hpp"

namespace melgrad::MELGRAD_KERNELS {

// Who computes the batch normalisation of the route `stack`.
enum class NormRoute {
  automatic,  // cuDNN, in a build that has it
  own,        // kernels of our own (mlp_steps.hpp)
  vendor,     // cuDNN, or an error; all but an epoch's last minibatch, which may have fewer rows
};

struct CudaMlpOptions {
  int device = 0;
  MlpRoute route = MlpRoute::automatic;
  // Of device memory, for activations beside the parameters; 0: most of what is free. Blocks in flight and
  // models of a substack are as many as it holds.
  std::size_t workspace_bytes = 0;
  // Of one launch at most, about: a display's watchdog ends longer ones.
  double launch_seconds = 0.5;
  NormRoute norm = NormRoute::automatic;
  bool tf32 = false;  // products of the route `stack` with TF32's 10 bits
};

// Throws OutOfDeviceMemory, naming the bytes, where the models do not fit. The training set outlives the
// stack.
std::unique_ptr<MlpStack> make_cuda_mlp_stack(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                                              const CudaMlpOptions& options = {});

}  // namespace melgrad::MELGRAD_KERNELS
