#pragma once
// One run of the route `stack`: the models of a substack are packed side by side, an epoch is captured as a
// CUDA graph and launched again and again, and the models go back to where they were.

#include <span>
#include <vector>

#include "kernels/cuda_handles.hpp"
#include "kernels/mlp_models.hpp"
#include "kernels/mlp_steps.hpp"
#include "kernels/vendor_blas.hpp"

namespace melgrad::MELGRAD_KERNELS {

// The products of a network over minibatches of `capacity` rows.
class StackProducts {
 public:
  StackProducts(const NetworkLayout& layout, int input_stride, int capacity, bool tf32);
  // To z [capacity, stride] of the first slot; those of the others lie as the outputs do.
  void forward(const StepMemory& memory, const NetworkLayout& layout, int index, float* z,
               cudaStream_t stream) const;
  // delta of the layer below
  void backward_inputs(const StepMemory& memory, const NetworkLayout& layout, int index,
                       cudaStream_t stream) const;
  void backward_weights(const StepMemory& memory, const NetworkLayout& layout, int index,
                        cudaStream_t stream) const;

 private:
  std::vector<BatchedGemm> forward_, backward_inputs_, backward_weights_;  // [n_layers]
};

class StackRun {
 public:
  // Models `queue` of one batch size and number of minibatches; an epoch of at most n_epochs. norm: cuDNN's,
  // or null.
  StackRun(DeviceModels& models, std::span<const int> queue, const StackProducts& products,
           const StackNorm* norm, int capacity, int n_epochs, const Stream& stream);
  // Trains n_epochs epochs; afterwards the models are downloaded, and losses and scores [queue, n_epochs].
  void train(const Stream& stream);
  std::span<const double> losses() const { return host_losses_.span(); }
  std::span<const double> scores() const { return host_scores_.span(); }
  // Of device memory for each model.
  static double bytes_of_model(const NetworkLayout& layout, int input_stride, int capacity, bool by_vendor);

 private:
  void pack(const Stream& stream);
  void unpack(const Stream& stream);
  void put_epoch(const Stream& stream) const;
  void put_step(int first, bool is_last, const Stream& stream) const;

  DeviceModels& models_;
  std::vector<int> queue_;
  const StackProducts& products_;
  const StackNorm* norm_;
  std::vector<DeviceModel> homes_;  // the models' own pointers
  bool has_scores_ = false;
  DeviceBuffer<int> device_queue_, row_of_, n_done_;
  DeviceBuffer<float> parameters_, gradients_, inputs_, outputs_, slopes_, normalised_, inverse_std_, deltas_;
  DeviceBuffer<float> norm_units_, norm_moments_;
  DeviceBuffer<int> scoring_rows_;
  DeviceBuffer<DeviceStep> steps_;
  DeviceBuffer<EpochPermutation> permutations_;
  DeviceBuffer<double> loss_sums_, penalties_, scores_, losses_, score_history_;
  PinnedBuffer<double> host_losses_, host_scores_;
  StepMemory memory_;
};

}  // namespace melgrad::MELGRAD_KERNELS
