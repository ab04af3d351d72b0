#include "kernels/vendor_math.hpp"

#include "kernels/cuda_handles.hpp"

#if defined(__CUDACC__)
#include <cufft.h>
#else
#include <cmath>
#include <numbers>
#endif

namespace melgrad::MELGRAD_KERNELS {

#if defined(__CUDACC__)

namespace {

void check_fft(cufftResult status, const char* what,
               std::source_location site = std::source_location::current()) {
  if (status == CUFFT_SUCCESS) return;
  const std::string_view path = site.file_name();
  const std::string message = fmt::format("{}: cuFFT says error {} in {}:{}", what, static_cast<int>(status),
                                          path.substr(path.find_last_of('/') + 1), site.line());
  if (status == CUFFT_ALLOC_FAILED) throw OutOfDeviceMemory(message);
  throw Error(message);
}

}  // namespace

struct RealFft::State {
  cufftHandle plan = 0;
  ~State() {
    if (plan != 0) static_cast<void>(cufftDestroy(plan));
  }
};

RealFft::RealFft(int n, int batch) : state_(std::make_unique<State>()) {
  check_fft(cufftPlan1d(&state_->plan, n, CUFFT_R2C, batch), "plan of a transform");
}

void RealFft::execute(float* in, float2* out, cudaStream_t stream) {
  check_fft(cufftSetStream(state_->plan, stream), "transform");
  check_fft(cufftExecR2C(state_->plan, in, out), "transform");
}

#else

namespace {

// A thread transforms a row: for each factor of n, DFTs of that length over the values n / factor apart
// (Stockham), in double. work: [batch][2][n] complex.
__global__ void real_fft_kernel(const float* in, int n, const double2* roots, double2* work, float2* out,
                                int batch) {
  const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (row >= batch) return;
  double2 *from = work + static_cast<std::int64_t>(row) * 2 * n, *to = from + n;
  bool is_silent = true;
  for (int i = 0; i < n; ++i) {
    const float x = in[static_cast<std::int64_t>(row) * n + i];
    is_silent = is_silent && x == 0;
    from[i] = make_double2(static_cast<double>(x), 0);
  }
  for (int rest = n, stride = 1, factor = 2; rest > 1 && !is_silent; rest /= factor, stride *= factor) {
    for (factor = 2; rest % factor != 0; ++factor) {
    }
    const int m = rest / factor;
    for (int p = 0; p < m; ++p)
      for (int q = 0; q < stride; ++q)
        for (int k = 0; k < factor; ++k) {
          double2 sum = make_double2(0, 0);
          for (int j = 0; j < factor; ++j) {
            const double2 x = from[q + stride * (p + m * j)];
            const std::int64_t turn = (static_cast<std::int64_t>(j) * k * (n / factor) +
                                       static_cast<std::int64_t>(p) * k * stride) %
                                      n;
            const double2 w = roots[turn];
            sum.x += x.x * w.x - x.y * w.y;
            sum.y += x.x * w.y + x.y * w.x;
          }
          to[q + stride * (factor * p + k)] = sum;
        }
    double2* const swap = from;
    from = to;
    to = swap;
  }
  for (int k = 0; k <= n / 2; ++k)
    out[static_cast<std::int64_t>(row) * (n / 2 + 1) + k] =
        make_float2(static_cast<float>(from[k].x), static_cast<float>(from[k].y));
}

}  // namespace

struct RealFft::State {
  int n, batch;
  DeviceBuffer<double2> roots;  // exp(-2 pi i k / n)
  DeviceBuffer<double2> work;
};

RealFft::RealFft(int n, int batch)
    : state_(new State{n, batch, DeviceBuffer<double2>(n), DeviceBuffer<double2>(Index{2} * n * batch)}) {
  std::vector<double2> roots(static_cast<std::size_t>(n));
  for (std::size_t k = 0; k < roots.size(); ++k) {
    const double angle = -2 * std::numbers::pi * static_cast<double>(k) / n;
    roots[k] = make_double2(std::cos(angle), std::sin(angle));
  }
  check(
      cudaMemcpy(state_->roots.data(), roots.data(), roots.size() * sizeof(double2), cudaMemcpyHostToDevice));
}

void RealFft::execute(float* in, float2* out, cudaStream_t stream) {
  launch(real_fft_kernel, {ceil_div(state_->batch, 64), 64}, stream, in, state_->n, state_->roots.data(),
         state_->work.data(), out, state_->batch);
}

#endif

RealFft::~RealFft() = default;

}  // namespace melgrad::MELGRAD_KERNELS
