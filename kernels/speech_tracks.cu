// Spectra and what frames tell of them. A warp takes a frame; its lanes have the bins lane + 32 i of a row of
// |X|^2.

#include <cmath>

#include "kernels/feature_stages.cuh"
#include "kernels/speech_kernels.hpp"
#include "kernels/warp_sums.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

using TileRows = TileShape<speech::n_fft>;
constexpr std::size_t spectra_shared_bytes = static_cast<std::size_t>(TileRows::n_words) * sizeof(float);
static_assert(spectra_shared_bytes <= 48 * 1024);  // what a kernel has unasked
constexpr int bins_per_lane = speech::n_bins / 32 + 1;

constexpr int place_of(SpectralShape value) {
  return static_cast<int>(value);
}

__host__ __device__ constexpr float hz_of_bin(int bin) {
  return static_cast<float>(bin) * (static_cast<float>(speech::sample_rate) / speech::n_fft);
}

// A lane's part of a row; 0 behind the last bin.
__device__ __forceinline__ float power_at(const float* row, int i) {
  const int bin = lane_id() + 32 * i;
  return bin < speech::n_bins ? row[bin] : 0.0f;
}
__device__ __forceinline__ float total_magnitude(const float* row) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < bins_per_lane; ++i) sum += sqrtf(power_at(row, i));
  return warp_sum(sum) + 1e-9f;
}

// ---- contrast

// The first bin at or above a frequency.
constexpr int bin_at(double hz) {
  int bin = 0;
  while (bin < speech::n_bins && static_cast<double>(hz_of_bin(bin)) < hz) ++bin;
  return bin;
}

// The mean of the k greatest or, `least`, smallest |X| of bins [begin, end) of a row, at least 1e-5.
template <int begin, int end, int k>
__device__ __forceinline__ float mean_of_extremes(const float* row, bool least) {
  constexpr int n_own = (end - begin + 31) / 32;
  const float sign = least ? -1.0f : 1.0f;
  float own[n_own];
#pragma unroll
  for (int i = 0; i < n_own; ++i) {
    const int bin = begin + lane_id() + 32 * i;
    own[i] = bin < end ? sign * row[bin] : -INFINITY;
  }
  float sum = 0;
#pragma unroll
  for (int taken = 0; taken < k; ++taken) {
    float mine = own[0];
#pragma unroll
    for (int i = 1; i < n_own; ++i) mine = fmaxf(mine, own[i]);
    const float best = warp_max(mine);
    sum += sqrtf(sign * best);
    if (taken == k - 1) break;
    // One of those who have it gives it up.
    const unsigned holders = __ballot_sync(whole_warp, mine == best);
    bool gives = lane_id() == __ffs(static_cast<int>(holders)) - 1;
#pragma unroll
    for (int i = 0; i < n_own; ++i) {
      if (!gives || own[i] != best) continue;
      own[i] = -INFINITY;
      gives = false;
    }
  }
  return fmaxf(sum / static_cast<float>(k), 1e-5f);
}

template <int band>
__device__ __forceinline__ void put_band_contrast(const float* row, float* contrast) {
  constexpr int begin = bin_at(contrast_edges[band]), end = bin_at(contrast_edges[band + 1]);
  constexpr int share = (end - begin + 25) / 50, k = share < 1 ? 1 : share;  // 2 %, rounded
  const float high = mean_of_extremes<begin, end, k>(row, false);
  const float low = mean_of_extremes<begin, end, k>(row, true);
  if (lane_id() == 0) contrast[band] = 20 * log10f(high / low);
}

__device__ __noinline__ void put_contrast(const float* row, float* contrast) {
  static_assert(n_contrasts == 6);
  put_band_contrast<0>(row, contrast);
  put_band_contrast<1>(row, contrast);
  put_band_contrast<2>(row, contrast);
  put_band_contrast<3>(row, contrast);
  put_band_contrast<4>(row, contrast);
  put_band_contrast<5>(row, contrast);
}

// ---- shape

// sum of |X| and Hz of the first bins up to which 25, 50, 85 and 95 % of it lie: the number of bins whose
// cumulated sum is below.
__device__ __noinline__ void put_rolloffs(const float* row, float* shape) {
  float cumulated[bins_per_lane], before = 0;
#pragma unroll
  for (int i = 0; i < bins_per_lane; ++i) {
    float sum = sqrtf(power_at(row, i));
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const float below = __shfl_up_sync(whole_warp, sum, static_cast<unsigned>(step));
      if (lane_id() >= step) sum += below;
    }
    cumulated[i] = before + sum;
    before = __shfl_sync(whole_warp, cumulated[i], 31);
  }
  constexpr float shares[4] = {0.25f, 0.5f, 0.85f, 0.95f};
#pragma unroll
  for (int which = 0; which < 4; ++which) {
    int n_below = 0;
#pragma unroll
    for (int i = 0; i < bins_per_lane; ++i)
      n_below += __popc(__ballot_sync(whole_warp, cumulated[i] < shares[which] * before));
    if (lane_id() == 0) shape[place_of(SpectralShape::rolloff_25) + which] = hz_of_bin(n_below);
  }
}

// Of the row's spectrum, but for rolloffs and flux.
__device__ __noinline__ void put_moments(const float* row, float total, float* shape) {
  float power[bins_per_lane], weighted = 0, logs = 0;
#pragma unroll
  for (int i = 0; i < bins_per_lane; ++i) {
    power[i] = power_at(row, i);
    weighted = fmaf(sqrtf(power[i]), hz_of_bin(lane_id() + 32 * i), weighted);
    if (lane_id() + 32 * i < speech::n_bins) logs += logf(fmaxf(power[i], 1e-10f));
  }
  const float centroid = warp_sum(weighted) / total;
  float spread = 0;
#pragma unroll
  for (int i = 0; i < bins_per_lane; ++i) {
    const float gap = hz_of_bin(lane_id() + 32 * i) - centroid;
    spread = fmaf(sqrtf(power[i]) * gap, gap, spread);
  }
  spread = warp_sum(spread);
  logs = warp_sum(logs);
  // Lanes' bins of one i span 1000 Hz.
  const float below_500 = warp_sum(lane_id() < 16 ? power[0] : 0.0f), below_1000 = warp_sum(power[0]),
              below_2000 = warp_sum(power[1]), below_5000 = warp_sum(power[2] + power[3] + power[4]),
              above = warp_sum(power[5] + power[6] + power[7] + power[8]);
  if (lane_id() != 0) return;
  const float mean = (below_1000 + below_2000 + below_5000 + above) / speech::n_bins;
  const auto put = [&](SpectralShape value, float x) { shape[place_of(value)] = x; };
  put(SpectralShape::centroid, centroid);
  put(SpectralShape::bandwidth, sqrtf(spread / total));
  put(SpectralShape::flatness, logs / speech::n_bins - logf(mean + 1e-10f));
  put(SpectralShape::alpha_ratio, 10 * log10f((below_1000 + 1e-9f) / (below_2000 + below_5000 + 1e-9f)));
  put(SpectralShape::hammarberg_index, 10 * log10f((below_500 + 1e-9f) / (below_5000 + above + 1e-9f)));
}

// |m / total - that of the frame before|, 0 without one.
__device__ __noinline__ float flux_of(const float* row, float total, const float* row_before) {
  if (row_before == nullptr) return 0;
  const float scale = 1 / total, scale_before = 1 / total_magnitude(row_before);
  float squares = 0;
#pragma unroll
  for (int i = 0; i < bins_per_lane; ++i) {
    const float step = sqrtf(power_at(row, i)) * scale - sqrtf(power_at(row_before, i)) * scale_before;
    squares = fmaf(step, step, squares);
  }
  return sqrtf(warp_sum(squares));
}

__device__ __forceinline__ float sample_at(const speech::Part& part, std::int64_t i) {
  return part.is_float
             ? __ldg(static_cast<const float*>(part.samples) + i)
             : static_cast<float>(__ldg(static_cast<const std::int16_t*>(part.samples) + i)) / 32768;
}

// Of the frame's samples, without a window. row: of the frame among the part's.
__device__ __noinline__ void put_loudness_and_crossings(const speech::Part& part, std::int64_t first,
                                                        std::int64_t row, float* shape) {
  float squares = 0;
  int n_changes = 0;
  for (int i = lane_id(); i < speech::win_length; i += 32) {
    const float x = sample_at(part, first + i);
    squares = fmaf(x, x, squares);
    if (i + 1 == speech::win_length) continue;
    const unsigned differing = __float_as_uint(x) ^ __float_as_uint(sample_at(part, first + i + 1));
    n_changes += static_cast<int>(differing >> 31);
  }
  squares = warp_sum(squares);
  n_changes = warp_sum(n_changes);
  if (lane_id() != 0) return;
  part.rms_db[row] = shape[place_of(SpectralShape::rms_db)] =
      10 * log10f(squares / speech::win_length + 1e-10f);
  shape[place_of(SpectralShape::zero_crossing_rate)] =
      static_cast<float>(n_changes) / (speech::win_length - 1);
}

// ---- mel

// dB of the 64 bands of a frame; returns the loudest.
__device__ __forceinline__ float put_log_mel(const FeatureTables& tables, const float* row, float* log_mel) {
  float loudest = -INFINITY;
  for (int m = lane_id(); m < speech::n_mels; m += 32) {
    const MelBand band = tables.bands[m];
    float sum = 0;
    for (int i = 0; i < band.n_bins; ++i)
      sum = fmaf(__ldg(tables.band_weights + band.weights + i), row[band.first_bin + i], sum);
    log_mel[m] = decibel(fmaxf(sum, 1e-10f));
    loudest = fmaxf(loudest, log_mel[m]);
  }
  return warp_max(loudest);
}

__global__ void __launch_bounds__(n_threads, 2)
    speech_spectra_kernel(const __grid_constant__ speech::Tables tables,
                          const __grid_constant__ speech::Part part) {
  DYNAMIC_SHARED(float, rows);
  const speech::Chunk chunk = part.chunks[blockIdx.x];
  const speech::Clip clip = part.clips[chunk.clip];
  const int overlap = chunk.first_frame > 0 ? 1 : 0;
  const std::int64_t first =
      clip.samples + speech::padding_before + std::int64_t{chunk.first_frame - overlap} * speech::hop_length;
  transform_tile<speech::n_fft, false>(tables.features.transform,
                                       {part.samples, first - speech::transform_before, speech::hop_length,
                                        chunk.n_frames + overlap, part.is_float});
  __syncthreads();
  float loudest = -INFINITY;
  for (int f = overlap + warp_id(); f < chunk.n_frames + overlap; f += n_warps) {
    const float* const row = rows + f * TileRows::row_stride;
    const std::int64_t at = clip.first_row + chunk.first_frame - overlap + f;
    const auto track = [&](SpeechGroup group) {
      return part.tracks[static_cast<int>(group)] + at * speech::track_values(static_cast<int>(group));
    };
    float* const shape = track(SpeechGroup::shape);
    loudest = fmaxf(loudest, put_log_mel(tables.features, row, track(SpeechGroup::log_mel)));
    put_contrast(row, track(SpeechGroup::contrast));
    const float total = total_magnitude(row);
    put_rolloffs(row, shape);
    put_moments(row, total, shape);
    const float flux = flux_of(row, total, f == 0 ? nullptr : row - TileRows::row_stride);
    if (lane_id() == 0) shape[place_of(SpectralShape::flux)] = flux;
    put_loudness_and_crossings(part, first + std::int64_t{f} * speech::hop_length, at, shape);
  }
  if (lane_id() == 0 && loudest > -INFINITY) atomicMax(part.loudest + chunk.clip, ordered_bits(loudest));
}

// ---- cepstra

// log-mel at most 80 dB below the clip's maximum; the slope of the bands; mfcc = dct @ log-mel.
__global__ void __launch_bounds__(n_threads)
    speech_cepstra_kernel(const __grid_constant__ speech::Tables tables,
                          const __grid_constant__ speech::Part part) {
  SHARED_ARRAY(float, db, n_warps* speech::n_mels);
  const speech::Chunk chunk = part.chunks[blockIdx.x];
  const std::int64_t first_row = part.clips[chunk.clip].first_row + chunk.first_frame;
  const float least = from_ordered_bits(part.loudest[chunk.clip]) - 80.0f;
  float* const own = db + warp_id() * speech::n_mels;
  for (int f = warp_id(); f < chunk.n_frames; f += n_warps) {
    const std::int64_t row = first_row + f;
    float* const log_mel = part.tracks[static_cast<int>(SpeechGroup::log_mel)] + row * speech::n_mels;
    float slope = 0;
    for (int m = lane_id(); m < speech::n_mels; m += 32) {
      const float value = fmaxf(log_mel[m], least);
      log_mel[m] = value;
      own[m] = value;
      slope = fmaf(value, static_cast<float>(m) - 31.5f, slope);
    }
    slope = warp_sum(slope);
    if (lane_id() == 0)
      part.tracks[static_cast<int>(SpeechGroup::shape)][row * n_shapes + place_of(SpectralShape::slope)] =
          slope / 21840.0f;  // sum of the squares of m - 31.5
    __syncwarp();
    float* const mfcc = part.tracks[static_cast<int>(SpeechGroup::mfcc)] + row * speech::n_mfcc;
    for (int c = lane_id(); c < speech::n_mfcc; c += 32) {
      float sum = 0;
      for (int m = 0; m < speech::n_mels; ++m)
        sum = fmaf(__ldg(tables.features.dct + m * speech::n_mfcc + c), own[m], sum);
      mfcc[c] = sum;
    }
    __syncwarp();
  }
}

// ---- deltas

// librosa.feature.delta: the slope of a line through 9 frames; within 4 frames of an end that of the last 9;
// 0 of 9 frames or fewer.
__global__ void __launch_bounds__(n_threads)
    speech_deltas_kernel(const __grid_constant__ speech::Part part, int from, int to) {
  constexpr int reach = 4;
  const speech::Chunk chunk = part.chunks[blockIdx.x];
  const speech::Clip clip = part.clips[chunk.clip];
  const int n_values = speech::track_values(from);
  const float* const x = part.tracks[from] + clip.first_row * n_values;
  float* const slopes = part.tracks[to] + clip.first_row * n_values;
  for (int i = static_cast<int>(threadIdx.x); i < chunk.n_frames * n_values; i += n_threads) {
    const std::int64_t t = chunk.first_frame + i / n_values;
    const int value = i % n_values;
    float sum = 0;
    if (clip.n_frames > 2 * reach + 1) {
      const std::int64_t last = clip.n_frames - 1 - reach, middle = t < reach ? reach : t > last ? last : t;
#pragma unroll
      for (int k = 1; k <= reach; ++k)
        sum = fmaf(static_cast<float>(k),
                   x[(middle + k) * n_values + value] - x[(middle - k) * n_values + value], sum);
    }
    slopes[t * n_values + value] = sum / 60.0f;  // 2 (1 + 4 + 9 + 16)
  }
}

// ---- statistics

// Mean and standard deviation of the population over a clip's frames, in double; a thread for each value.
__global__ void __launch_bounds__(n_threads)
    speech_statistics_kernel(const __grid_constant__ speech::Part part) {
  const speech::Clip clip = part.clips[blockIdx.x];
  float* const features = part.features + std::int64_t{blockIdx.x} * part.n_features;
  int value = static_cast<int>(threadIdx.x);
  for (int group = 0; group < speech::n_tracks; value -= speech::track_values(group++)) {
    const int n_values = speech::track_values(group), first = part.first_feature[group];
    if (first < 0 || value < 0 || value >= n_values) continue;
    const float* const x = part.tracks[group] + clip.first_row * n_values + value;
    double sum = 0, squares = 0;
    for (std::int64_t t = 0; t < clip.n_frames; ++t) sum += x[t * n_values];
    const double mean = sum / clip.n_frames;
    for (std::int64_t t = 0; t < clip.n_frames; ++t) {
      const double gap = x[t * n_values] - mean;
      squares += gap * gap;
    }
    features[first + value] = static_cast<float>(mean);
    features[first + n_values + value] = static_cast<float>(sqrt(squares / clip.n_frames));
  }
}

}  // namespace

void launch_speech_spectra(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream) {
  launch(speech_spectra_kernel, {static_cast<unsigned>(part.n_chunks), n_threads, spectra_shared_bytes},
         stream, tables, part);
}
void launch_speech_cepstra(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream) {
  launch(speech_cepstra_kernel, {static_cast<unsigned>(part.n_chunks), n_threads}, stream, tables, part);
}
void launch_speech_deltas(const speech::Part& part, SpeechGroup from, SpeechGroup to, cudaStream_t stream) {
  launch(speech_deltas_kernel, {static_cast<unsigned>(part.n_chunks), n_threads}, stream, part,
         static_cast<int>(from), static_cast<int>(to));
}
void launch_speech_statistics(const speech::Part& part, cudaStream_t stream) {
  launch(speech_statistics_kernel, {static_cast<unsigned>(part.n_clips), n_threads}, stream, part);
}

}  // namespace melgrad::MELGRAD_KERNELS
