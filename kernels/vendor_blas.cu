#include "kernels/vendor_blas.hpp"

#include "host/core/error.hpp"

#if defined(__CUDACC__)
#include <cublasLt.h>
#endif

namespace melgrad::MELGRAD_KERNELS {

#if defined(__CUDACC__)

namespace {

// Products that the algorithm is chosen for: enough that tiles need not be split to fill a GPU.
constexpr int typical_products = 64;

void check_blas(cublasStatus_t status, std::source_location site = std::source_location::current()) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string_view path = site.file_name();
  throw Error(fmt::format("batched product: cuBLAS says {} in {}:{}", cublasLtGetStatusString(status),
                          path.substr(path.find_last_of('/') + 1), site.line()));
}

template <class T, cublasStatus_t (*destroy)(T)>
struct Owner {
  T handle = nullptr;
  ~Owner() {
    if (handle != nullptr) static_cast<void>(destroy(handle));
  }
};
using Layout = Owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;

}  // namespace

struct BatchedGemm::State {
  GemmShape shape;
  Owner<cublasLtHandle_t, cublasLtDestroy> library;
  Owner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> product;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm{};

  // Of a row-major matrix, which is its transpose to cuBLAS.
  static void lay_out(Layout& layout, int rows, int cols, int stride) {
    check_blas(cublasLtMatrixLayoutCreate(&layout.handle, CUDA_R_32F, static_cast<std::uint64_t>(cols),
                                          static_cast<std::uint64_t>(rows), stride));
  }
  static void set_batch(const Layout& layout, int n_products, std::int64_t step) {
    check_blas(cublasLtMatrixLayoutSetAttribute(layout.handle, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                &n_products, sizeof n_products));
    check_blas(cublasLtMatrixLayoutSetAttribute(layout.handle, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                &step, sizeof step));
  }
};

BatchedGemm::BatchedGemm(const GemmShape& shape) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.shape = shape;
  check_blas(cublasLtCreate(&s.library.handle));
  check_blas(cublasLtMatmulDescCreate(
      &s.product.handle, shape.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
  // c^T = b^T a^T, so b comes first.
  const cublasOperation_t first = shape.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second = shape.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  check_blas(
      cublasLtMatmulDescSetAttribute(s.product.handle, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
  check_blas(
      cublasLtMatmulDescSetAttribute(s.product.handle, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
  State::lay_out(s.a, shape.a_transposed ? shape.k : shape.m, shape.a_transposed ? shape.m : shape.k,
                 shape.a_stride);
  State::lay_out(s.b, shape.b_transposed ? shape.n : shape.k, shape.b_transposed ? shape.k : shape.n,
                 shape.b_stride);
  State::lay_out(s.c, shape.m, shape.n, shape.c_stride);
  for (const Layout* layout : {&s.a, &s.b, &s.c}) State::set_batch(*layout, typical_products, 1 << 20);
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(cublasLtMatmulPreferenceCreate(&preference));
  const Owner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> owner{preference};
  const std::uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
  check_blas(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                  &no_reduction, sizeof no_reduction));
  const std::uint32_t alignment = 16;
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    check_blas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &alignment, sizeof alignment));
  cublasLtMatmulHeuristicResult_t found{};
  int n_found = 0;
  check_blas(cublasLtMatmulAlgoGetHeuristic(s.library.handle, s.product.handle, s.b.handle, s.a.handle,
                                            s.c.handle, s.c.handle, preference, 1, &found, &n_found));
  if (n_found == 0)
    throw Error(
        fmt::format("cuBLAS has no product for [{}, {}] x [{}, {}]", shape.m, shape.k, shape.k, shape.n));
  s.algorithm = found.algo;
}

void BatchedGemm::run(int n_products, const float* a, const float* b, float* c, const GemmSteps& steps,
                      cudaStream_t stream) const {
  const State& s = *state_;
  State::set_batch(s.a, n_products, steps.a);
  State::set_batch(s.b, n_products, steps.b);
  State::set_batch(s.c, n_products, steps.c);
  const float one = 1, zero = 0;
  check_blas(cublasLtMatmul(s.library.handle, s.product.handle, &one, b, s.b.handle, a, s.a.handle, &zero, c,
                            s.c.handle, c, s.c.handle, &s.algorithm, nullptr, 0, stream));
}

#else

namespace {

// A thread computes one output. Grid (ceil(m n / 256), products).
__global__ void gemm_kernel(GemmShape shape, const float* a, const float* b, float* c, GemmSteps steps) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= shape.m * shape.n) return;
  const int row = i / shape.n, col = i % shape.n;
  const Index product = blockIdx.y;
  const float* from_a = a + product * steps.a + row * Index{shape.a_transposed ? 1 : shape.a_stride};
  const float* from_b = b + product * steps.b + col * Index{shape.b_transposed ? shape.b_stride : 1};
  const Index a_step = shape.a_transposed ? shape.a_stride : 1,
              b_step = shape.b_transposed ? 1 : shape.b_stride;
  float sum = 0;
  for (int k = 0; k < shape.k; ++k) sum = std::fma(from_a[k * a_step], from_b[k * b_step], sum);
  c[product * steps.c + row * Index{shape.c_stride} + col] = sum;
}

}  // namespace

struct BatchedGemm::State {
  GemmShape shape;
};

BatchedGemm::BatchedGemm(const GemmShape& shape) : state_(std::make_unique<State>(State{shape})) {}

void BatchedGemm::run(int n_products, const float* a, const float* b, float* c, const GemmSteps& steps,
                      cudaStream_t stream) const {
  const GemmShape& shape = state_->shape;
  launch(gemm_kernel, {{ceil_div(shape.m * shape.n, 256), static_cast<unsigned>(n_products)}, 256}, stream,
         shape, a, b, c, steps);
}

#endif

BatchedGemm::~BatchedGemm() = default;
BatchedGemm::BatchedGemm(BatchedGemm&&) noexcept = default;

}  // namespace melgrad::MELGRAD_KERNELS
