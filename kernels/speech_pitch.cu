// The most periodic lag of each frame.

#include <cmath>

#include "kernels/feature_stages.cuh"
#include "kernels/speech_kernels.hpp"
#include "kernels/warp_sums.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

// Sum over the block, in every thread. words: [n_warps].
__device__ __forceinline__ float block_sum(float x, float* words) {
  x = warp_sum(x);
  __syncthreads();  // words have been read
  if (lane_id() == 0) words[warp_id()] = x;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int w = 0; w < n_warps; ++w) sum += words[w];
  return sum;
}

// A block takes the 40 ms around a frame, a thread a lag: see PitchTables.
__global__ void __launch_bounds__(n_threads)
    speech_pitch_kernel(const __grid_constant__ speech::Tables tables,
                        const __grid_constant__ speech::Part part) {
  static_assert(n_lags - first_lag <= n_threads);
  SHARED_ARRAY(float4, fours, long_win_length / 4);
  float* const x = reinterpret_cast<float*>(fours);
  SHARED_ARRAY(float, words, n_warps);
  SHARED_ARRAY(int, lags, n_warps);
  constexpr int most = speech::chunk_frames + speech::frames_behind;
  const speech::Chunk chunk = part.chunks[static_cast<int>(blockIdx.x) / most];
  const int f = static_cast<int>(blockIdx.x) % most;
  if (f >= chunk.n_pitches) return;
  const speech::Clip& clip = part.clips[chunk.clip];
  const int tid = static_cast<int>(threadIdx.x), frame = chunk.first_frame + f;
  const std::int64_t first =
      clip.samples + speech::padding_before - speech::pitch_before + std::int64_t{frame} * speech::hop_length;
  float sum = 0;
  for (int i = tid; i < long_win_length; i += n_threads) {
    const float sample =
        part.is_float ? static_cast<const float*>(part.samples)[first + i]
                      : static_cast<float>(static_cast<const std::int16_t*>(part.samples)[first + i]) / 32768;
    x[i] = sample * __ldg(tables.pitch_window + i);
    sum += x[i];
  }
  const float mean = block_sum(sum, words) / long_win_length;
  float squares = 0;
  for (int i = tid; i < long_win_length; i += n_threads) {
    x[i] -= mean;
    squares = fmaf(x[i], x[i], squares);
  }
  const float scale = 1 / (block_sum(squares, words) + 1e-12f);

  const int own_lag = first_lag + tid;
  float own_r = 0, gain = -INFINITY;
  if (own_lag < n_lags) {
    float sums[4] = {};
    int j = 0;
    for (; own_lag + j + 4 <= long_win_length; j += 4) {
      const float4 early = fours[j / 4];
      const float* const late = x + own_lag + j;
      sums[0] = fmaf(late[0], early.x, sums[0]);
      sums[1] = fmaf(late[1], early.y, sums[1]);
      sums[2] = fmaf(late[2], early.z, sums[2]);
      sums[3] = fmaf(late[3], early.w, sums[3]);
    }
    for (; own_lag + j < long_win_length; ++j) sums[0] = fmaf(x[own_lag + j], x[j], sums[0]);
    own_r = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * scale * __ldg(tables.lag_weights + own_lag);
    gain = own_r - __ldg(tables.lag_costs + own_lag);
  }
  // The largest gain, the shortest lag of equals.
  int lag = own_lag;
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(whole_warp, gain, step);
    const int other_lag = __shfl_xor_sync(whole_warp, lag, step);
    if (other > gain || (other == gain && other_lag < lag)) {
      gain = other;
      lag = other_lag;
    }
  }
  __syncthreads();  // words have been read
  if (lane_id() == 0) {
    words[warp_id()] = gain;
    lags[warp_id()] = lag;
  }
  __syncthreads();
  int best = 0;
  for (int w = 1; w < n_warps; ++w)
    if (words[w] > words[best]) best = w;  // lags rise with the warps
  if (own_lag != lags[best]) return;
  const std::int64_t at = speech::pitch_row(clip, chunk.clip) + frame;
  part.lags[at] = own_lag;
  part.periodicity[at] = own_r;
}

}  // namespace

void launch_speech_pitch(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream) {
  constexpr unsigned most = speech::chunk_frames + speech::frames_behind;
  launch(speech_pitch_kernel, {static_cast<unsigned>(part.n_chunks) * most, n_threads}, stream, tables, part);
}

}  // namespace melgrad::MELGRAD_KERNELS
