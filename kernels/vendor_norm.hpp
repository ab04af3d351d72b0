#pragma once
// Batch normalisation of a stack by cuDNN, in a build that has it (MELGRAD_HAS_CUDNN). Under emulation plain
// loops stand in (vendor_norm.cu).

#include <memory>

#include "kernels/device_views.hpp"
#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

// Values [n_rows, n_units] of n_models models: to cuDNN a tensor of N = n_rows, C = n_models, H = 1,
// W = n_units, normalised per activation, that is each unit of each model over the rows.
struct NormShape {
  int n_rows = 0, n_models = 0, n_units = 0;  // n_rows >= 2
};
// Where they lie, in floats: units side by side.
template <class T>
struct NormTensor {
  T* data = nullptr;
  Index row_step = 0, model_step = 0;
};
// Of each unit, [n_models, n_units]: before and after the pass, and what it leaves for the way back.
struct NormUnits {
  const float *gamma = nullptr, *beta = nullptr;
  float *running_mean = nullptr, *running_var = nullptr;
  float *mean = nullptr, *inverse_std = nullptr;
};

class StackNorm {
 public:
  // Whether this build has one.
  static bool is_there();
  StackNorm();
  ~StackNorm();
  StackNorm(const StackNorm&) = delete;
  StackNorm& operator=(const StackNorm&) = delete;

  // Both may be captured. y = gamma (x - mean) / sqrt(var + batch_norm_epsilon) + beta with mean and biased
  // variance over the rows; the running moments move towards them by batch_norm_momentum, the unbiased
  // variance being meant, as torch does.
  void forward(const NormShape& shape, const NormTensor<const float>& x, const NormTensor<float>& y,
               const NormUnits& units, cudaStream_t stream) const;
  // dx, and the gradients of gamma and beta [n_models, n_units], of dy. No two tensors overlap.
  void backward(const NormShape& shape, const NormTensor<const float>& x, const NormTensor<const float>& dy,
                const NormTensor<float>& dx, const NormUnits& units, float* d_gamma, float* d_beta,
                cudaStream_t stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace melgrad::MELGRAD_KERNELS
