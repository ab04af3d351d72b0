#include "kernels/vendor_norm.hpp"

#include <limits>

#include "host/core/error.hpp"
#include "host/engine/training_rules.hpp"

#if defined(__CUDACC__) && defined(MELGRAD_HAS_CUDNN)
#include <cudnn.h>
#else
#include <cmath>
#endif

namespace melgrad::MELGRAD_KERNELS {

#if defined(__CUDACC__) && defined(MELGRAD_HAS_CUDNN)

// cudnnBatchNormalization* have been deprecated since cuDNN 9 in favour of graphs; its graphs normalise per
// channel only, so that per activation there is no other way.

static_assert(batch_norm_epsilon >= CUDNN_BN_MIN_EPSILON);

namespace {

void check_norm(cudnnStatus_t status, std::source_location site = std::source_location::current()) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string_view path = site.file_name();
  throw Error(fmt::format("batch normalisation: cuDNN {} says {} in {}:{}", cudnnGetVersion(),
                          cudnnGetErrorString(status), path.substr(path.find_last_of('/') + 1), site.line()));
}

int as_stride(Index step) {
  if (step > std::numeric_limits<int>::max()) fail("batch normalisation: cuDNN has no stride of {}", step);
  return static_cast<int>(step);
}

class Descriptor {
 public:
  Descriptor() { check_norm(cudnnCreateTensorDescriptor(&handle_)); }
  ~Descriptor() { static_cast<void>(cudnnDestroyTensorDescriptor(handle_)); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  template <class T>
  cudnnTensorDescriptor_t of(const NormShape& shape, const NormTensor<T>& tensor) const {
    check_norm(cudnnSetTensor4dDescriptorEx(handle_, CUDNN_DATA_FLOAT, shape.n_rows, shape.n_models, 1,
                                            shape.n_units, as_stride(tensor.row_step),
                                            as_stride(tensor.model_step), shape.n_units, 1));
    return handle_;
  }
  cudnnTensorDescriptor_t of_units(const NormShape& shape) const {
    check_norm(cudnnSetTensor4dDescriptor(handle_, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, shape.n_models, 1,
                                          shape.n_units));
    return handle_;
  }

 private:
  cudnnTensorDescriptor_t handle_ = nullptr;
};

constexpr float one = 1, zero = 0;
constexpr cudnnBatchNormMode_t mode = CUDNN_BATCHNORM_PER_ACTIVATION;

}  // namespace

struct StackNorm::State {
  cudnnHandle_t library = nullptr;
  State() { check_norm(cudnnCreate(&library)); }
  ~State() { static_cast<void>(cudnnDestroy(library)); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

bool StackNorm::is_there() {
  return true;
}

StackNorm::StackNorm() : state_(std::make_unique<State>()) {}

void StackNorm::forward(const NormShape& shape, const NormTensor<const float>& x, const NormTensor<float>& y,
                        const NormUnits& units, cudaStream_t stream) const {
  const Descriptor of_x, of_y, of_units;
  check_norm(cudnnSetStream(state_->library, stream));
  check_norm(cudnnBatchNormalizationForwardTraining(
      state_->library, mode, &one, &zero, of_x.of(shape, x), x.data, of_y.of(shape, y), y.data,
      of_units.of_units(shape), units.gamma, units.beta, static_cast<double>(batch_norm_momentum),
      units.running_mean, units.running_var, static_cast<double>(batch_norm_epsilon), units.mean,
      units.inverse_std));
}

void StackNorm::backward(const NormShape& shape, const NormTensor<const float>& x,
                         const NormTensor<const float>& dy, const NormTensor<float>& dx,
                         const NormUnits& units, float* d_gamma, float* d_beta, cudaStream_t stream) const {
  const Descriptor of_x, of_dy, of_dx, of_units;
  check_norm(cudnnSetStream(state_->library, stream));
  check_norm(cudnnBatchNormalizationBackward(
      state_->library, mode, &one, &zero, &one, &zero, of_x.of(shape, x), x.data, of_dy.of(shape, dy),
      dy.data, of_dx.of(shape, dx), dx.data, of_units.of_units(shape), units.gamma, d_gamma, d_beta,
      static_cast<double>(batch_norm_epsilon), units.mean, units.inverse_std));
}

#elif defined(__CUDACC__)

struct StackNorm::State {};

bool StackNorm::is_there() {
  return false;
}
StackNorm::StackNorm() {
  fail("this build has no cuDNN");
}
void StackNorm::forward(const NormShape&, const NormTensor<const float>&, const NormTensor<float>&,
                        const NormUnits&, cudaStream_t) const {}
void StackNorm::backward(const NormShape&, const NormTensor<const float>&, const NormTensor<const float>&,
                         const NormTensor<float>&, const NormUnits&, float*, float*, cudaStream_t) const {}

#else

namespace {

// A thread takes a unit of a model. Grid (ceil(n_units / 64), n_models).
__global__ void norm_forward_kernel(NormShape shape, NormTensor<const float> x, NormTensor<float> y,
                                    NormUnits units) {
  const int unit = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const Index model = blockIdx.y, i = model * shape.n_units + unit;
  if (unit >= shape.n_units) return;
  const auto x_at = [&](int row) {
    return static_cast<double>(x.data[model * x.model_step + row * x.row_step + unit]);
  };
  double mean = 0, var = 0;
  for (int row = 0; row < shape.n_rows; ++row) mean += x_at(row) / shape.n_rows;
  for (int row = 0; row < shape.n_rows; ++row) var += (x_at(row) - mean) * (x_at(row) - mean) / shape.n_rows;
  const double inverse = 1 / std::sqrt(var + static_cast<double>(batch_norm_epsilon));
  for (int row = 0; row < shape.n_rows; ++row)
    y.data[model * y.model_step + row * y.row_step + unit] =
        static_cast<float>(static_cast<double>(units.gamma[i]) * (x_at(row) - mean) * inverse +
                           static_cast<double>(units.beta[i]));
  units.mean[i] = static_cast<float>(mean);
  units.inverse_std[i] = static_cast<float>(inverse);
  units.running_mean[i] = running_mean_after(units.running_mean[i], static_cast<float>(mean));
  units.running_var[i] = running_var_after(units.running_var[i], static_cast<float>(var), shape.n_rows);
}

__global__ void norm_backward_kernel(NormShape shape, NormTensor<const float> x, NormTensor<const float> dy,
                                     NormTensor<float> dx, NormUnits units, float* d_gamma, float* d_beta) {
  const int unit = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const Index model = blockIdx.y, i = model * shape.n_units + unit;
  if (unit >= shape.n_units) return;
  const double mean = static_cast<double>(units.mean[i]), inverse = static_cast<double>(units.inverse_std[i]);
  const auto normalised = [&](int row) {
    return (static_cast<double>(x.data[model * x.model_step + row * x.row_step + unit]) - mean) * inverse;
  };
  const auto dy_at = [&](int row) {
    return static_cast<double>(dy.data[model * dy.model_step + row * dy.row_step + unit]);
  };
  double sum = 0, product = 0;
  for (int row = 0; row < shape.n_rows; ++row) {
    sum += dy_at(row);
    product += dy_at(row) * normalised(row);
  }
  const double scale = static_cast<double>(units.gamma[i]) * inverse / shape.n_rows;
  for (int row = 0; row < shape.n_rows; ++row)
    dx.data[model * dx.model_step + row * dx.row_step + unit] =
        static_cast<float>(scale * (shape.n_rows * dy_at(row) - sum - normalised(row) * product));
  d_gamma[i] = static_cast<float>(product);
  d_beta[i] = static_cast<float>(sum);
}

LaunchShape over_units(const NormShape& shape) {
  return {{ceil_div(shape.n_units, 64), static_cast<unsigned>(shape.n_models)}, 64};
}

}  // namespace

struct StackNorm::State {};

bool StackNorm::is_there() {
  return true;
}

StackNorm::StackNorm() = default;

void StackNorm::forward(const NormShape& shape, const NormTensor<const float>& x, const NormTensor<float>& y,
                        const NormUnits& units, cudaStream_t stream) const {
  launch(norm_forward_kernel, over_units(shape), stream, shape, x, y, units);
}

void StackNorm::backward(const NormShape& shape, const NormTensor<const float>& x,
                         const NormTensor<const float>& dy, const NormTensor<float>& dx,
                         const NormUnits& units, float* d_gamma, float* d_beta, cudaStream_t stream) const {
  launch(norm_backward_kernel, over_units(shape), stream, shape, x, dy, dx, units, d_gamma, d_beta);
}

#endif

StackNorm::~StackNorm() = default;

}  // namespace melgrad::MELGRAD_KERNELS
