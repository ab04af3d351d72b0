// What is computed of whole clips: tuning, the clamp of dB, means and standard deviations.

#include <cmath>

#include "kernels/feature_kernels.hpp"
#include "kernels/feature_stages.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

// ---- tuning

// Runs visit(peak) for every peak of the clip, each once, over all threads of the block.
template <class Visit>
__device__ __forceinline__ void for_each_peak(const FeatureTables& tables, const Part& part,
                                              const ClipTask& clip, const Visit& visit) {
  for (int i = warp_id(); i < clip.n_chunks * n_warps; i += n_warps) {
    const int chunk = clip.first_chunk + i / n_warps;
    const PeakList list = peak_list(tables, part, chunk, part.chunks[chunk], i % n_warps);
    const int n = *list.n;
    for (int k = lane_id(); k < n; k += 32) visit(list.peaks[k]);
  }
}

// Sum over the block, in every thread. words: [n_warps].
__device__ __forceinline__ int block_sum(int x, int* words) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(whole_warp, x, step);
  if (lane_id() == 0) words[warp_id()] = x;
  __syncthreads();
  int sum = 0;
  for (int w = 0; w < n_warps; ++w) sum += words[w];
  __syncthreads();
  return sum;
}

// Order statistics of the peaks' magnitudes: positive floats are ordered as their bits are, so digits of 8
// bits are found one after another from histograms. Counts are integers, so that any order of additions will
// do.
struct RankSearch {
  unsigned prefix;  // bits found so far, those of `mask`
  unsigned mask;
  int rank;     // wanted, among the values with that prefix
  int n_equal;  // values with that prefix
};

// Finds the next digit. counts: [256], found: [3], in shared memory.
__device__ __forceinline__ void find_digit(const FeatureTables& tables, const Part& part,
                                           const ClipTask& clip, int shift, RankSearch& search, int* counts,
                                           int* found) {
  counts[threadIdx.x] = 0;
  __syncthreads();
  for_each_peak(tables, part, clip, [&](const Peak& peak) {
    const unsigned bits = __float_as_uint(peak.magnitude);
    if ((bits & search.mask) == search.prefix) atomicAdd(&counts[bits >> shift & 255u], 1);
  });
  __syncthreads();
  if (threadIdx.x < 32) {  // each lane has 8 buckets
    int own = 0;
    for (int i = 0; i < 8; ++i) own += counts[8 * lane_id() + i];
    int end = own;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(whole_warp, end, static_cast<unsigned>(step));
      if (lane_id() >= step) end += other;
    }
    int begin = end - own;
    if (begin <= search.rank && search.rank < end) {
      int bucket = 8 * lane_id();
      while (begin + counts[bucket] <= search.rank) begin += counts[bucket++];
      found[0] = bucket;
      found[1] = begin;
      found[2] = counts[bucket];
    }
  }
  __syncthreads();
  search.prefix |= static_cast<unsigned>(found[0]) << shift;
  search.mask |= 255u << shift;
  search.rank -= found[1];
  search.n_equal = found[2];
  __syncthreads();
}

// The median of n >= 1 magnitudes; of an even number the mean of the middle two, as numpy's of float32.
__device__ __forceinline__ float median_magnitude(const FeatureTables& tables, const Part& part,
                                                  const ClipTask& clip, int n, int* counts, int* found) {
  RankSearch search{0, 0, (n - 1) / 2, 0};
  for (int shift = 24; shift >= 0; shift -= 8) find_digit(tables, part, clip, shift, search, counts, found);
  const float lower = __uint_as_float(search.prefix);
  if (n % 2 != 0 || search.rank + 1 < search.n_equal) return lower;
  unsigned* const least = reinterpret_cast<unsigned*>(found);  // of the larger ones
  if (threadIdx.x == 0) *least = 0x7fffffffu;
  __syncthreads();
  for_each_peak(tables, part, clip, [&](const Peak& peak) {
    const unsigned bits = __float_as_uint(peak.magnitude);
    if (bits > search.prefix) atomicMin(least, bits);
  });
  __syncthreads();
  const float upper = __uint_as_float(*least);
  __syncthreads();
  return __fmul_rn(__fadd_rn(lower, upper), 0.5f);
}

// The bin of TuningPlan's histogram for a peak's residual.
__device__ __forceinline__ int tuning_bin(const float* edges, float pitch, float n_chroma) {
  const float ratio = __fdiv_rn(pitch, 27.5f);
  const auto wrap = [&](float octaves) {
    const float chroma = __fmul_rn(octaves, n_chroma);
    const float fraction = chroma - floorf(chroma);
    return fraction >= 0.5f ? fraction - 1.0f : fraction;
  };
  const float estimate = (wrap(log2f(ratio)) + 0.5f) * 100.0f, rest = estimate - floorf(estimate);
  // log2f errs by 1e-6 at most, so 1e-4 n_chroma in `estimate`: nearer to an edge the true rounding counts.
  const float margin = 2e-4f * n_chroma;
  if (rest > margin && rest < 1.0f - margin) return min(static_cast<int>(estimate), n_tuning_bins - 1);
  const float residual = wrap(static_cast<float>(log2(static_cast<double>(ratio))));
  int bin = min(max(static_cast<int>((residual + 0.5f) * 100.0f), 0), n_tuning_bins - 1);
  if (residual < edges[bin])
    --bin;
  else if (bin + 1 < n_tuning_bins && residual >= edges[bin + 1])
    ++bin;
  return bin;
}

// A block finds a clip's tuning bins.
__global__ void __launch_bounds__(n_threads)
    tune_kernel(const __grid_constant__ FeatureTables tables, const __grid_constant__ Part part) {
  SHARED_ARRAY(int, counts, 256);
  SHARED_ARRAY(int, words, n_warps);
  const ClipTask clip = part.clips[blockIdx.x];
  const int tid = static_cast<int>(threadIdx.x);
  int* const tunings = part.tunings + std::int64_t{blockIdx.x} * tables.n_tunings;

  int n = 0;
  for (int list = tid; list < clip.n_chunks * n_warps; list += n_threads)
    n += part.n_peaks[std::int64_t{clip.first_chunk} * n_warps + list];
  n = block_sum(n, words);
  if (n == 0) {  // tuning 0
    if (tid < tables.n_tunings) tunings[tid] = n_tuning_bins / 2;
    return;
  }
  const float median = median_magnitude(tables, part, clip, n, counts, words);
  for (int t = 0; t < tables.n_tunings; ++t) {
    counts[tid] = 0;
    __syncthreads();
    const float n_chroma = static_cast<float>(tables.tuning_chroma[t]);
    for_each_peak(tables, part, clip, [&](const Peak& peak) {
      if (peak.pitch > 0 && peak.magnitude >= median)
        atomicAdd(&counts[tuning_bin(tables.tuning_edges, peak.pitch, n_chroma)], 1);
    });
    __syncthreads();
    if (tid < 32) {  // the first fullest: each lane's, then the warp's
      int bin = tid;
      for (int i = tid + 32; i < n_tuning_bins; i += 32)
        if (counts[i] > counts[bin]) bin = i;
      int count = counts[bin];
#pragma unroll
      for (int step = 16; step > 0; step /= 2) {
        const int other_count = __shfl_xor_sync(whole_warp, count, step);
        const int other_bin = __shfl_xor_sync(whole_warp, bin, step);
        if (other_count > count || (other_count == count && other_bin < bin)) {
          count = other_count;
          bin = other_bin;
        }
      }
      if (tid == 0) tunings[t] = bin;
    }
    __syncthreads();
  }
}

// ---- mfcc

// The dB of band m of a frame, as put_decibels kept it.
__device__ __forceinline__ float kept_decibel(const FeatureTables& tables, const Part& part,
                                              const Output& output, std::int64_t row, int m) {
  const std::int64_t place = row * tables.n_db + output.db + m;
  if (tables.keeps_float_db) return static_cast<const float*>(part.db)[place];
  const float greatest =
      part.db_greatest[row * tables.n_db_slices + output.db_slice + m / tables.db_slice_bands];
  const float above = static_cast<float>(static_cast<const std::uint16_t*>(part.db)[place]);
  return greatest - output.top_db + above * (output.top_db / 65535.0f);
}

// dB above the threshold, summed over the frames of a chunk, for a thread per band. (Sums of the clamped dB
// themselves would round many equal terms one way.)
__device__ __forceinline__ void add_clamped(const FeatureTables& tables, const Part& part,
                                            const ChunkTask& chunk, const Output& output, float threshold,
                                            float* sums) {
  for (int m = static_cast<int>(threadIdx.x); m < output.n_mels; m += n_threads) {
    float sum = 0;
#pragma unroll 4
    for (int f = 0; f < chunk.n_frames; ++f)
      sum += fmaxf(kept_decibel(tables, part, output, chunk.first_row + f, m) - threshold, 0.0f);
    sums[output.sums + m] = sum;
  }
}

// Per-frame coefficients dct @ max(dB, threshold), a thread per coefficient, to statistics and tracks.
__device__ __forceinline__ void put_coefficients(const FeatureTables& tables, const Part& part,
                                                 const ChunkTask& chunk, int chunk_id, const Output& output,
                                                 float threshold) {
  const ClipTask& clip = part.clips[chunk.clip];
  const TilePlace place{chunk_id,
                        chunk.clip,
                        chunk.first_row,
                        chunk.first_row - clip.first_row,
                        clip.n_frames,
                        clip.first_row * part.n_track_rows,
                        true};
  for (int c = static_cast<int>(threadIdx.x); c < output.n_values; c += n_threads) {
    Statistics* const statistics =
        output.kind == OutputKind::statistics
            ? part.statistics + std::int64_t{chunk_id} * tables.n_statistics + output.statistics + c
            : nullptr;
    put_values(part, place, statistics, output.track + c, 0, chunk.n_frames, [&](int f) {
      const float* const dct = tables.dct + output.dct + c;
      float sum = 0;
      for (int m = 0; m < output.n_mels; ++m)
        sum = fmaf(__ldg(dct + m * output.n_values),
                   fmaxf(kept_decibel(tables, part, output, chunk.first_row + f, m), threshold), sum);
      return sum;
    });
  }
}

__device__ __forceinline__ float clamp_threshold(const FeatureTables& tables, const Part& part, int clip,
                                                 const Output& output) {
  return from_ordered_bits(part.loudest_db[clip * tables.n_mfcc + output.mfcc]) - output.top_db;
}

// A block does what is left of a chunk's mfccs. Two blocks a multiprocessor: without the 2 ptxas takes 64
// registers for its goal and spills.
__global__ void __launch_bounds__(n_threads, 2)
    clamp_kernel(const __grid_constant__ FeatureTables tables, const __grid_constant__ Part part) {
  const int chunk_id = static_cast<int>(blockIdx.x);
  const ChunkTask chunk = part.chunks[chunk_id];
  for (int i = 0; i < tables.n_outputs; ++i) {
    const Output& output = tables.outputs[i];
    if (output.mfcc < 0) continue;
    const float threshold = clamp_threshold(tables, part, chunk.clip, output);
    if (output.kind == OutputKind::mfcc_mean)
      add_clamped(tables, part, chunk, output, threshold, part.sums + std::int64_t{chunk_id} * tables.n_sums);
    if (output.kind == OutputKind::statistics || part.tracks != nullptr)
      put_coefficients(tables, part, chunk, chunk_id, output, threshold);
  }
}

// ---- features

// Means and standard deviations of the population from the chunks' statistics, in double (Chan, Golub and
// LeVeque, "Updating formulae", 1979).
__device__ __forceinline__ void put_statistics(const FeatureTables& tables, const Part& part,
                                               const ClipTask& clip, const Output& output, int value,
                                               float* features) {
  double n = 0, mean = 0, squares = 0;
  for (int i = 0; i < clip.n_chunks; ++i) {
    const std::int64_t chunk = clip.first_chunk + i;
    const Statistics s = part.statistics[chunk * tables.n_statistics + output.statistics + value];
    const double n_more = part.chunks[chunk].n_frames, shifted = s.sum / n_more;
    const double delta = s.shift + shifted - mean;
    squares += fmax(0.0, s.sum_of_squares - shifted * s.sum) + delta * delta * n * n_more / (n + n_more);
    n += n_more;
    mean += delta * n_more / n;
  }
  if (output.mean >= 0) features[output.mean * output.n_values + value] = static_cast<float>(mean);
  if (output.std >= 0) features[output.std * output.n_values + value] = static_cast<float>(sqrt(squares / n));
}

__device__ __forceinline__ float mel_mean(const FeatureTables& tables, const ClipTask& clip,
                                          const Output& output, int value, const double* sums) {
  const MelBand band = tables.bands[output.bands + value];
  double sum = 0;
  for (int i = 0; i < band.n_bins; ++i)
    sum += tables.band_weights[band.weights + i] * sums[output.sums + band.first_bin + i];
  return static_cast<float>(sum / static_cast<double>(clip.n_frames));
}

__device__ __forceinline__ float mfcc_mean(const FeatureTables& tables, const ClipTask& clip,
                                           const Output& output, int value, const double* sums,
                                           float threshold) {
  double sum = 0;
  for (int m = 0; m < output.n_mels; ++m)
    sum += tables.dct[output.dct + m * output.n_values + value] *
           (threshold + sums[output.sums + m] / static_cast<double>(clip.n_frames));
  return static_cast<float>(sum);
}

// A block computes a clip's features.
__global__ void __launch_bounds__(n_threads)
    finish_kernel(const __grid_constant__ FeatureTables tables, const __grid_constant__ Part part) {
  const int clip_id = static_cast<int>(blockIdx.x), tid = static_cast<int>(threadIdx.x);
  const ClipTask clip = part.clips[clip_id];
  double* const sums = part.clip_sums + std::int64_t{clip_id} * tables.n_sums;
  for (int k = tid; k < tables.n_sums; k += n_threads) {
    double sum = 0;
    for (int i = 0; i < clip.n_chunks; ++i)
      sum += part.sums[std::int64_t{clip.first_chunk + i} * tables.n_sums + k];
    sums[k] = sum;
  }
  __syncthreads();
  for (int i = 0; i < tables.n_outputs; ++i) {
    const Output& output = tables.outputs[i];
    float* const features = part.features + std::int64_t{clip_id} * tables.n_features + output.first_feature;
    const float threshold = output.mfcc < 0 ? 0.0f : clamp_threshold(tables, part, clip_id, output);
    for (int value = tid; value < output.n_values; value += n_threads) {
      if (output.kind == OutputKind::mel_mean)
        features[value] = mel_mean(tables, clip, output, value, sums);
      else if (output.kind == OutputKind::mfcc_mean)
        features[value] = mfcc_mean(tables, clip, output, value, sums, threshold);
      else
        put_statistics(tables, part, clip, output, value, features);
    }
  }
}

}  // namespace

void launch_tune(const FeatureTables& tables, const Part& part, cudaStream_t stream) {
  launch(tune_kernel, {static_cast<unsigned>(part.n_clips), n_threads}, stream, tables, part);
}

void launch_clamp(const FeatureTables& tables, const Part& part, cudaStream_t stream) {
  launch(clamp_kernel, {static_cast<unsigned>(part.n_chunks), n_threads}, stream, tables, part);
}

void launch_finish(const FeatureTables& tables, const Part& part, cudaStream_t stream) {
  launch(finish_kernel, {static_cast<unsigned>(part.n_clips), n_threads}, stream, tables, part);
}

}  // namespace melgrad::MELGRAD_KERNELS
