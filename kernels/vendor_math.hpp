#pragma once
// What NVIDIA's libraries do for us. Under emulation plain loops stand in (vendor_math.cu).

#include <memory>

#include "kernels/device_views.hpp"
#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

// Forward transforms of `batch` rows of n real floats: out[row][k] = sum over i of in[row][i] exp(-2 pi i k /
// n), k <= n / 2. cuFFT; all that it needs is allocated here.
class RealFft {
 public:
  RealFft(int n, int batch);
  ~RealFft();
  RealFft(const RealFft&) = delete;
  RealFft& operator=(const RealFft&) = delete;
  // in [batch, n], out [batch, n / 2 + 1]; `in` may be overwritten.
  void execute(float* in, float2* out, cudaStream_t stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace melgrad::MELGRAD_KERNELS
