#include "kernels/nearest_neighbours.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cuda_handles.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

constexpr int n_threads = 256;
constexpr int n_warps = n_threads / 32;
constexpr unsigned every_lane = 0xffffffffu;

// A row of the training set and its squared distance. Of equal distances the earlier row is nearer.
struct Candidate {
  double distance;
  int row;
};
__device__ __forceinline__ bool is_nearer(const Candidate& a, const Candidate& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
}

// The nearest candidate of the warp, in every lane.
__device__ __forceinline__ Candidate nearest_of_warp(Candidate own) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const Candidate other{__shfl_xor_sync(every_lane, own.distance, step),
                          __shfl_xor_sync(every_lane, own.row, step)};
    if (is_nearer(other, own)) own = other;
  }
  return own;
}

// One block finds the neighbours of one query: sklearn.neighbors.NearestNeighbors(algorithm='brute').
//   train     [n_train, n_features], queries [gridDim.x, n_features]
//   distances [gridDim.x, n_train]: work space, (sum over features of (query - train)^2) in double
//   rows      [gridDim.x, k], nearest [gridDim.x, k]: the k smallest of them, in order
// Each warp takes training rows, its lanes their features. Then k times, all threads look for the nearest
// candidate that comes after the last one found. k <= n_train.
__global__ void nearest_neighbours(DeviceMatrix<const float> train, DeviceMatrix<const float> queries, int k,
                                   double* distances, int* rows, double* nearest) {
  SHARED_ARRAY(double, best_distance, n_warps);
  SHARED_ARRAY(int, best_row, n_warps);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const auto query_index = static_cast<Index>(blockIdx.x);
  const float* const query = queries.data + query_index * queries.stride;
  double* const own = distances + query_index * train.rows;
  for (Index row = warp; row < train.rows; row += n_warps) {
    const float* const x = train.data + row * train.stride;
    double sum = 0;
    for (Index f = lane; f < train.cols; f += 32) {
      const double difference = static_cast<double>(query[f]) - static_cast<double>(x[f]);
      sum = fma(difference, difference, sum);
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(every_lane, sum, step);
    if (lane == 0) own[row] = sum;
  }
  __syncthreads();

  const Candidate none{INFINITY, static_cast<int>(train.rows)};
  Candidate last{-1, -1};
  for (int i = 0; i < k; ++i) {
    Candidate found = none;
    for (int row = static_cast<int>(threadIdx.x); row < train.rows; row += n_threads) {
      const Candidate each{own[row], row};
      if (is_nearer(last, each) && is_nearer(each, found)) found = each;
    }
    found = nearest_of_warp(found);
    if (lane == 0) {
      best_distance[warp] = found.distance;
      best_row[warp] = found.row;
    }
    __syncthreads();
    last = none;
    for (int w = 0; w < n_warps; ++w) {
      const Candidate each{best_distance[w], best_row[w]};
      if (is_nearer(each, last)) last = each;
    }
    if (threadIdx.x == 0) {
      rows[query_index * k + i] = last.row;
      nearest[query_index * k + i] = last.distance;
    }
    __syncthreads();
  }
}

// Dense rows in device memory.
DeviceBuffer<float> uploaded(MatrixView<const float> features, const Stream& stream) {
  PinnedBuffer<float> staged(features.rows * features.cols);
  for (Index row = 0; row < features.rows; ++row)
    std::ranges::copy(features.row(row), staged.data() + row * features.cols);
  DeviceBuffer<float> uploaded(staged.size());
  copy_to_device(uploaded.span(), staged.span(), stream);
  stream.synchronize();
  return uploaded;
}

}  // namespace

Neighbours cuda_nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries, int k,
                                   const NeighbourOptions& options) {
  Neighbours found{Matrix<int>(queries.rows, k), Matrix<double>(queries.rows, k)};
  if (queries.rows == 0) return found;
  use_device(options.device);
  const Index bytes_of_query = std::max<Index>(1, train.rows * static_cast<Index>(sizeof(double)));
  const Index part =
      std::clamp<Index>(static_cast<Index>(options.workspace_bytes) / bytes_of_query, 1, queries.rows);
  DeviceBuffer<double> distances(part * train.rows), nearest(part * k);
  DeviceBuffer<int> rows(part * k);
  PinnedBuffer<double> nearest_on_host(part * k);
  PinnedBuffer<int> rows_on_host(part * k);
  const Stream stream;
  const DeviceBuffer<float> train_on_device = uploaded(train, stream);
  for (Index first = 0; first < queries.rows; first += part) {
    const Index count = std::min(part, queries.rows - first);
    const DeviceBuffer<float> queries_on_device = uploaded(queries.rows_from(first, count), stream);
    launch(nearest_neighbours, {static_cast<unsigned>(count), n_threads}, stream.get(),
           train_on_device.matrix(train.rows, train.cols), queries_on_device.matrix(count, queries.cols), k,
           distances.data(), rows.data(), nearest.data());
    copy_to_host(rows_on_host.span(), rows.span(), stream);
    copy_to_host(nearest_on_host.span(), nearest.span(), stream);
    stream.synchronize();
    for (Index i = 0; i < count * k; ++i) {
      found.rows.values[static_cast<std::size_t>(first * k + i)] = rows_on_host.data()[i];
      found.distances.values[static_cast<std::size_t>(first * k + i)] = std::sqrt(nearest_on_host.data()[i]);
    }
  }
  return found;
}

}  // namespace melgrad::MELGRAD_KERNELS
