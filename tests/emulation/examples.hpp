#pragma once
// Small kernels of every common kind, with the host code that runs them. The same source is compiled for the
// emulator (namespace emulated) and by nvcc (namespace cuda); MELGRAD_KERNELS is defined for both by CMake.
// Their tests give them integers, whose sums do not depend on the order, so that results are compared bit for
// bit.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace melgrad::MELGRAD_KERNELS::examples {

// Why no GPU can run these; empty if one can.
std::string why_no_device();

// Sums of consecutive blocks of 256 elements, the last one partial.
std::vector<float> block_sums(std::span<const float> x);

// [cols, rows] from [rows, cols], by tiles in shared memory. Padded: without bank conflicts.
std::vector<float> transpose(std::span<const float> matrix, int rows, int cols, bool padded);

// Inclusive prefix sums within each 32 elements, by shuffles.
std::vector<int> warp_scan(std::span<const int> x);
// The same through shared memory with __syncwarp.
std::vector<int> warp_scan_shared(std::span<const int> x);

// Counts of each byte value.
std::vector<unsigned> histogram(std::span<const std::uint8_t> x);

// [n, n] = a b, n a multiple of 16: tiles brought in by asynchronous copies, two stages.
std::vector<float> matmul(std::span<const float> a, std::span<const float> b, int n);

// Each row reversed, [rows, cols] with cols up to 16384: a row in dynamic shared memory, up to 64 KB with
// opt-in.
std::vector<float> reverse_rows(std::span<const float> matrix, int rows, int cols);

// 2 x + 1 in chunks: upload, compute and download overlap on two streams, ordered by events.
std::vector<float> pipeline(std::span<const float> x, int chunk);

// Each element doubled `n_times`: a graph captured from two streams and replayed.
std::vector<float> replay(std::span<const float> x, int n_times);

// For each element of x: votes and reductions of its warp, as [n, 4]: count of odd ones, any above 100,
// greatest, lanes with the same value. And through shared memory: whether all of the block are below 1000.
std::vector<unsigned> votes(std::span<const unsigned> x);

// x rounded to 16-bit floats and back.
std::vector<float> through_half(std::span<const float> x);

}  // namespace melgrad::MELGRAD_KERNELS::examples
