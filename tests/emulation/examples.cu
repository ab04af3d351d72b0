#include "kernels/launch.cuh"
//
#include "examples.hpp"
#include "kernels/cuda_handles.hpp"

#include <algorithm>
#include <array>

namespace melgrad::MELGRAD_KERNELS::examples {
namespace {

constexpr unsigned whole_warp = 0xffffffffu;

// ---- kernels

// sums[b] = sum of x[256 b .. 256 b + 256) below n. 256 threads.
__global__ void block_sums_kernel(const float* x, int n, float* sums) {
  SHARED_ARRAY(float, warp_sums, 8);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  float sum = i < n ? x[i] : 0.0f;
  for (int step = 16; step > 0; step /= 2)
    sum += __shfl_down_sync(whole_warp, sum, static_cast<unsigned>(step));
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  sum = threadIdx.x < 8 ? warp_sums[threadIdx.x] : 0.0f;
  for (int step = 4; step > 0; step /= 2)
    sum += __shfl_down_sync(whole_warp, sum, static_cast<unsigned>(step));
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// A block moves a tile of 32 x 32; 32 x 8 threads. pitch 33: rows of the tile begin in different banks.
template <int pitch>
__global__ void transpose_kernel(const float* in, int rows, int cols, float* out) {
  SHARED_ARRAY(float, tile, 32 * pitch);
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y);
  const int row0 = static_cast<int>(blockIdx.y) * 32, col0 = static_cast<int>(blockIdx.x) * 32;
  for (int i = y; i < 32; i += 8)
    if (row0 + i < rows && col0 + x < cols) tile[i * pitch + x] = in[(row0 + i) * cols + col0 + x];
  __syncthreads();
  for (int i = y; i < 32; i += 8)
    if (col0 + i < cols && row0 + x < rows) out[(col0 + i) * rows + row0 + x] = tile[x * pitch + i];
}

// Whole warps; n a multiple of 32.
__global__ void warp_scan_kernel(const int* x, int n, int* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  int sum = x[i];
  const unsigned lane = threadIdx.x % 32;
  for (unsigned step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(whole_warp, sum, step);
    if (lane >= step) sum += other;
  }
  out[i] = sum;
}

// 128 threads.
__global__ void warp_scan_shared_kernel(const int* x, int n, int* out) {
  SHARED_ARRAY(int, sums, 128);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const unsigned lane = threadIdx.x % 32;
  sums[threadIdx.x] = x[i];
  __syncwarp();
  for (unsigned step = 1; step < 32; step *= 2) {
    const int other = lane >= step ? sums[threadIdx.x - step] : 0;
    __syncwarp();
    sums[threadIdx.x] += other;
    __syncwarp();
  }
  out[i] = sums[threadIdx.x];
}

// 256 threads; counts are 0 before.
__global__ void histogram_kernel(const std::uint8_t* x, int n, unsigned* counts) {
  SHARED_ARRAY(unsigned, block_counts, 256);
  block_counts[threadIdx.x] = 0;
  __syncthreads();
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < n;
       i += static_cast<int>(gridDim.x * blockDim.x))
    atomicAdd(&block_counts[x[i]], 1u);
  __syncthreads();
  atomicAdd(&counts[threadIdx.x], block_counts[threadIdx.x]);
}

// c = a b, all [n, n]; a block computes 16 x 16 with as many threads, while the next tiles are on their way.
__global__ void matmul_kernel(const float* a, const float* b, int n, float* c) {
  SHARED_ARRAY(float, a_tiles, 2 * 256);
  SHARED_ARRAY(float, b_tiles, 2 * 256);
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y), here = y * 16 + x;
  const int row = static_cast<int>(blockIdx.y) * 16 + y, col = static_cast<int>(blockIdx.x) * 16 + x;
  const auto fetch = [&](int k0, int stage) {
    __pipeline_memcpy_async(&a_tiles[stage * 256 + here], &a[row * n + k0 + x], sizeof(float));
    __pipeline_memcpy_async(&b_tiles[stage * 256 + here], &b[(k0 + y) * n + col], sizeof(float));
    __pipeline_commit();
  };
  fetch(0, 0);
  float sum = 0;
  for (int k0 = 0, stage = 0; k0 < n; k0 += 16, stage ^= 1) {
    if (k0 + 16 < n) {
      fetch(k0 + 16, stage ^ 1);
      __pipeline_wait_prior(1);
    } else {
      __pipeline_wait_prior(0);
    }
    __syncthreads();
    for (int k = 0; k < 16; ++k) sum += a_tiles[stage * 256 + y * 16 + k] * b_tiles[stage * 256 + k * 16 + x];
    __syncthreads();  // before this stage is fetched into again
  }
  c[row * n + col] = sum;
}

// A block reverses one row of `cols` elements, which lies in dynamic shared memory meanwhile.
__global__ void reverse_rows_kernel(const float* in, int cols, float* out) {
  DYNAMIC_SHARED(float, row);
  const float* from = in + static_cast<std::int64_t>(blockIdx.x) * cols;
  float* to = out + static_cast<std::int64_t>(blockIdx.x) * cols;
  for (int i = static_cast<int>(threadIdx.x); i < cols; i += static_cast<int>(blockDim.x)) row[i] = from[i];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < cols; i += static_cast<int>(blockDim.x))
    to[i] = row[cols - 1 - i];
}

// x = scale x + shift.
__global__ void scale_kernel(float* x, int n, float scale, float shift) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] = scale * x[i] + shift;
}

// sum[i] = a[i] + b[i].
__global__ void add_kernel(const float* a, const float* b, int n, float* sum) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) sum[i] = a[i] + b[i];
}

// See votes(). Whole warps of blocks of 64 threads; one 16-byte store a thread.
__global__ void votes_kernel(const unsigned* x, uint4* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, value = x[i];
  const int n_odd = __popc(__ballot_sync(whole_warp, value % 2 == 1));
  const int any = __any_sync(whole_warp, value > 100);
  const int all = __syncthreads_and(value < 1000);
  // __reduce_max_sync needs sm_80; a butterfly does it everywhere.
  unsigned greatest = value;
  for (int step = 16; step > 0; step /= 2)
    greatest = max(greatest, __shfl_xor_sync(whole_warp, greatest, step));
  const unsigned same = __match_any_sync(whole_warp, value);
  out[i] = make_uint4(static_cast<unsigned>(n_odd) | static_cast<unsigned>(all) << 31,
                      static_cast<unsigned>(any), greatest, same);
}

__global__ void through_half_kernel(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] = __half2float(__float2half_rn(x[i]));
}

// ---- host code: upload, one kernel, download

template <class T>
class Job {
 public:
  explicit Job(std::span<const T> values) : pinned_(Index(values.size())), device_(Index(values.size())) {
    std::copy(values.begin(), values.end(), pinned_.data());
    copy_to_device(device_.span(), pinned_.span(), stream_);
  }
  // `n` elements of 0.
  explicit Job(Index n) : pinned_(n), device_(n) {
    check(cudaMemsetAsync(device_.data(), 0, static_cast<std::size_t>(n) * sizeof(T), stream_.get()));
  }
  T* device() const { return device_.data(); }
  const Stream& stream() const { return stream_; }
  std::vector<T> download() {
    copy_to_host(pinned_.span(), DeviceSpan<const T>(device_.span()), stream_);
    stream_.synchronize();
    return {pinned_.data(), pinned_.data() + pinned_.size()};
  }

 private:
  PinnedBuffer<T> pinned_;
  DeviceBuffer<T> device_;
  Stream stream_;
};

// The output's stream comes after the input's upload.
template <class In, class Out>
void follow(const Job<In>& input, const Job<Out>& output) {
  const Event uploaded;
  uploaded.record(input.stream());
  uploaded.hold(output.stream());
}

int size_of(const auto& values) {
  return static_cast<int>(values.size());
}

}  // namespace

std::string why_no_device() {
  int n_devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&n_devices);
  if (status == cudaSuccess) return n_devices > 0 ? "" : "no CUDA device";
  static_cast<void>(cudaGetLastError());
  return cudaGetErrorString(status);
}

std::vector<float> block_sums(std::span<const float> x) {
  const int n = size_of(x);
  Job<float> in(x), out(Index{ceil_div(n, 256)});
  follow(in, out);
  launch(block_sums_kernel, {ceil_div(n, 256), 256}, out.stream().get(), in.device(), n, out.device());
  return out.download();
}

std::vector<float> transpose(std::span<const float> matrix, int rows, int cols, bool padded) {
  Job<float> in(matrix), out(Index(matrix.size()));
  follow(in, out);
  const LaunchShape shape({ceil_div(cols, 32), ceil_div(rows, 32)}, {32, 8});
  launch(padded ? transpose_kernel<33> : transpose_kernel<32>, shape, out.stream().get(), in.device(), rows,
         cols, out.device());
  return out.download();
}

std::vector<int> warp_scan(std::span<const int> x) {
  Job<int> in(x), out(Index(x.size()));
  follow(in, out);
  launch(warp_scan_kernel, {ceil_div(size_of(x), 128), 128}, out.stream().get(), in.device(), size_of(x),
         out.device());
  return out.download();
}

std::vector<int> warp_scan_shared(std::span<const int> x) {
  Job<int> in(x), out(Index(x.size()));
  follow(in, out);
  launch(warp_scan_shared_kernel, {ceil_div(size_of(x), 128), 128}, out.stream().get(), in.device(),
         size_of(x), out.device());
  return out.download();
}

std::vector<unsigned> histogram(std::span<const std::uint8_t> x) {
  Job<std::uint8_t> in(x);
  Job<unsigned> out(256);
  follow(in, out);
  launch(histogram_kernel, {4, 256}, out.stream().get(), in.device(), size_of(x), out.device());
  return out.download();
}

std::vector<float> matmul(std::span<const float> a, std::span<const float> b, int n) {
  Job<float> left(a), right(b), out(Index{n} * n);
  follow(left, out);
  follow(right, out);
  const unsigned n_tiles = static_cast<unsigned>(n) / 16;
  launch(matmul_kernel, {{n_tiles, n_tiles}, {16, 16}}, out.stream().get(), left.device(), right.device(), n,
         out.device());
  return out.download();
}

std::vector<float> reverse_rows(std::span<const float> matrix, int rows, int cols) {
  Job<float> in(matrix), out(Index(matrix.size()));
  follow(in, out);
  const std::size_t bytes = static_cast<std::size_t>(cols) * sizeof(float);
  check(cudaFuncSetAttribute(reverse_rows_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10));
  launch(reverse_rows_kernel, {static_cast<unsigned>(rows), 256, bytes}, out.stream().get(), in.device(),
         cols, out.device());
  return out.download();
}

// Two slots of pinned and device memory; chunk i uses slot i % 2. One stream copies, the other computes.
std::vector<float> pipeline(std::span<const float> x, int chunk) {
  struct Slot {
    PinnedBuffer<float> in, out;
    DeviceBuffer<float> device;
    Event uploaded, computed, downloaded;
    Index count = 0;
  };
  const auto make_slot = [&] {
    return Slot{PinnedBuffer<float>(chunk),
                PinnedBuffer<float>(chunk),
                DeviceBuffer<float>(chunk),
                Event(),
                Event(),
                Event()};
  };
  std::array<Slot, 2> slots{make_slot(), make_slot()};
  const Stream copies, kernels;
  std::vector<float> result;
  const auto collect = [&](Slot& slot) {
    if (slot.count == 0) return;
    slot.downloaded.synchronize();
    result.insert(result.end(), slot.out.data(), slot.out.data() + slot.count);
    slot.count = 0;
  };
  std::size_t next = 0;
  for (std::size_t begin = 0; begin < x.size(); begin += static_cast<std::size_t>(chunk), next ^= 1) {
    Slot& slot = slots[next];
    collect(slot);
    const std::size_t count = std::min(static_cast<std::size_t>(chunk), x.size() - begin);
    slot.count = Index(count);
    std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(begin), count, slot.in.data());
    const DeviceSpan<float> on_device = slot.device.span().part(0, slot.count);
    copy_to_device(on_device, slot.in.span().first(count), copies);
    slot.uploaded.record(copies);
    slot.uploaded.hold(kernels);
    launch(scale_kernel, {ceil_div(slot.count, 128), 128}, kernels.get(), on_device.data,
           static_cast<int>(count), 2.0f, 1.0f);
    slot.computed.record(kernels);
    slot.computed.hold(copies);
    copy_to_host(slot.out.span().first(count), DeviceSpan<const float>(on_device), copies);
    slot.downloaded.record(copies);
  }
  collect(slots[next]);
  collect(slots[next ^ 1]);
  kernels.synchronize();
  copies.synchronize();
  return result;
}

// The graph: copy = 1 x + 0 on a second stream, beside x = 1 x + 0 on the first; joined; x = x + copy.
std::vector<float> replay(std::span<const float> x, int n_times) {
  const int n = size_of(x);
  const DeviceBuffer<float> copy(n);
  Job<float> job(x);
  const Event forked, joined;
  const Stream side;
  const LaunchShape shape(ceil_div(n, 128), 128);
  const ExecutableGraph graph = ExecutableGraph::capture(job.stream(), [&] {
    check(cudaMemcpyAsync(copy.data(), job.device(), static_cast<std::size_t>(n) * sizeof(float),
                          cudaMemcpyDeviceToDevice, job.stream().get()));
    forked.record(job.stream());
    forked.hold(side);
    launch(scale_kernel, shape, side.get(), copy.data(), n, 1.0f, 0.0f);
    launch(scale_kernel, shape, job.stream().get(), job.device(), n, 1.0f, 0.0f);
    joined.record(side);
    joined.hold(job.stream());
    launch(add_kernel, shape, job.stream().get(), job.device(), copy.data(), n, job.device());
  });
  for (int i = 0; i < n_times; ++i) graph.launch(job.stream());
  return job.download();
}

std::vector<unsigned> votes(std::span<const unsigned> x) {
  Job<unsigned> in(x), out(Index(x.size()) * 4);
  follow(in, out);
  launch(votes_kernel, {ceil_div(size_of(x), 64), 64}, out.stream().get(), in.device(),
         reinterpret_cast<uint4*>(out.device()));
  return out.download();
}

std::vector<float> through_half(std::span<const float> x) {
  Job<float> job(x);
  launch(through_half_kernel, {ceil_div(size_of(x), 128), 128}, job.stream().get(), job.device(), size_of(x));
  return job.download();
}

}  // namespace melgrad::MELGRAD_KERNELS::examples
