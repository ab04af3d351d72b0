#pragma once
// Batched products by cuBLAS (cublasLt). Under emulation plain loops stand in (vendor_blas.cu).

#include <memory>

#include "kernels/device_views.hpp"
#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

// Row-major: c [m, n] = a [m, k] b [k, n], each with the stride of its rows as it lies in memory;
// a_transposed and b_transposed: a lies as [k, m], b as [n, k].
struct GemmShape {
  int m = 0, n = 0, k = 0;
  int a_stride = 0, b_stride = 0, c_stride = 0;
  bool a_transposed = false, b_transposed = false;
  bool tf32 = false;  // inputs rounded to TF32's 10 bits
};

// Floats from one product's operand to the next one's.
struct GemmSteps {
  Index a = 0, b = 0, c = 0;
};

// A product whose algorithm is chosen once, for a shape alone and not for a number of products, without
// split sums and without a workspace: so each product has the same bits in a batch of any size.
class BatchedGemm {
 public:
  explicit BatchedGemm(const GemmShape& shape);
  ~BatchedGemm();
  BatchedGemm(BatchedGemm&&) noexcept;
  // May be captured.
  void run(int n_products, const float* a, const float* b, float* c, const GemmSteps& steps,
           cudaStream_t stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace melgrad::MELGRAD_KERNELS
