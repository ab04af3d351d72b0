#pragma once
// The route `stack`: the models of a stack step side by side, in batched products and the kernels between
// them. Every kernel leaves models alone that have stopped.

#include "kernels/launch.cuh"
#include "kernels/mlp_block.hpp"
#include "kernels/mlp_device.hpp"
#include "kernels/vendor_norm.hpp"

namespace melgrad::MELGRAD_KERNELS {

constexpr int optimiser_block = 1024;  // floats of a model that a block of optimise() takes

// Device memory of a substack of n_slots models, whose minibatches have at most `capacity` rows and are
// filled up to it with zeros. [n_slots] of everything.
struct StepMemory {
  DeviceNetwork network;
  DeviceRows rows;
  DeviceModel* models = nullptr;  // of the whole stack
  const int* queue = nullptr;     // [n_slots]: which of them
  int n_slots = 0;
  int capacity = 0;
  float* parameters = nullptr;   // [n_values]: the models' lie here meanwhile
  float* gradients = nullptr;    // [n_values]: sums over the rows of the minibatch
  float* inputs = nullptr;       // [capacity, stride of the resident matrix]
  float* outputs = nullptr;      // [capacity * n_outputs]
  float* slopes = nullptr;       // likewise, or null
  float* normalised = nullptr;   // likewise, or null without batch_norm
  float* inverse_std = nullptr;  // [n_outputs], or null
  // For cuDNN, side by side over the slots, or null. Of one layer at a time, [n_slots, fan_out] in each of
  // [4][n_slots * widest]: gamma, beta and running moments, then on the way back the gradients of gamma and
  // beta. Of all layers: mean and 1 / std of the minibatch, [2][n_slots * n_outputs].
  float* norm_units = nullptr;
  float* norm_moments = nullptr;
  float* deltas = nullptr;  // [2][capacity * widest]
  int* row_of = nullptr;    // [capacity]
  DeviceStep* steps = nullptr;
  EpochPermutation* permutations = nullptr;
  double* loss_sums = nullptr;  // of the epoch
  double* penalties = nullptr;  // [ceil(n_values / optimiser_block)] likewise
  double* scores = nullptr;
  int* n_done = nullptr;     // epochs of this run
  double* losses = nullptr;  // [n_epochs] of this run
  double* score_history = nullptr;
  Index n_epochs = 0;

  constexpr float* outputs_of(const DeviceLayer& layer) const { return outputs + layer.outputs * capacity; }
  constexpr float* normalised_of(const DeviceLayer& layer) const {
    return normalised + layer.outputs * capacity;
  }
  constexpr float* norm_units_of(int which) const {
    return norm_units + static_cast<Index>(which) * n_slots * network.widest;
  }
  constexpr float* norm_moments_of(const DeviceLayer& layer, int which) const {
    return norm_moments + n_slots * (which * network.n_outputs + layer.outputs);
  }
  constexpr float* delta_of(int index) const {
    return deltas + static_cast<Index>(index % 2) * capacity * network.widest;
  }
};

// `layers` is the host's copy. In the order of a step:
void begin_step(const StepMemory& memory, int first, cudaStream_t stream);  // rows, rates, mixup
void gather_inputs(const StepMemory& memory, int first, cudaStream_t stream);
void normalise(const StepMemory& memory, const DeviceLayer& layer, cudaStream_t stream);
void activate_outputs(const StepMemory& memory, const DeviceLayer& layer, int index, int first,
                      cudaStream_t stream);
void loss_and_gradient(const StepMemory& memory, const DeviceLayer& output, cudaStream_t stream);
// delta of hidden layer `index`, [capacity, stride], times the derivative of its activation; in place, or,
// in_outputs, in place of the layer's outputs, which are not needed any more.
void derive(const StepMemory& memory, const DeviceLayer& layer, int index, bool in_outputs,
            cudaStream_t stream);
void normalise_backward(const StepMemory& memory, const DeviceLayer& layer, int index, cudaStream_t stream);
// The same two by cuDNN, of minibatches that are full: from z in `normalised`, where it stays, to outputs;
// and from outputs, where derive() has put the gradient, to delta.
void normalise_by_vendor(const StepMemory& memory, const DeviceLayer& layer, const StackNorm& norm,
                         cudaStream_t stream);
void normalise_backward_by_vendor(const StepMemory& memory, const DeviceLayer& layer, int index,
                                  const StackNorm& norm, cudaStream_t stream);
void optimise(const StepMemory& memory, cudaStream_t stream);
// After the last step; scores are there where a model wants them.
void end_epoch(const StepMemory& memory, cudaStream_t stream);
void keep_best(const StepMemory& memory, cudaStream_t stream);

}  // namespace melgrad::MELGRAD_KERNELS
