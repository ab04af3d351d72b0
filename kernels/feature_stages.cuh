#pragma once
// What blocks do with the rows of spectra that a tile holds: mel banks, chroma, spectral peaks. Every stage
// is called by all of a block, is a phase of its own to the compiler (inlined into one another they spill),
// and adds in a fixed order, so that its results do not depend on how threads run.

#include <cmath>
#include <cstdint>

#include "kernels/feature_layout.hpp"

namespace melgrad::MELGRAD_KERNELS {

// The spectra of a tile's frames, n_valid of which there are, [frame][bin]; the stages' scratch.
//
// Stages find shared memory by themselves and not through a pointer, which they would not know to be one to
// shared memory: access through such pointers takes two instructions more.
template <int n_fft>
struct SharedRows {  // as transform_tile leaves them
  using Shape = TileShape<n_fft>;
  static constexpr int n_frames = Shape::n_frames, stride_of_rows = Shape::row_stride;
  static constexpr int largest_at = Shape::largest_at, n_largest = Shape::n_largest;
  static constexpr bool is_power = false;  // while chroma is computed
  int n_valid;

  __device__ __forceinline__ const float* rows() const {
    DYNAMIC_SHARED(float, shared);
    return shared;
  }
  __device__ __forceinline__ int stride() const { return stride_of_rows; }
  __device__ __forceinline__ int largest() const { return largest_at; }
  __device__ __forceinline__ float* scratch() const {
    DYNAMIC_SHARED(float, shared);
    return shared + Shape::n_words;
  }
};
struct DeviceRows {  // in device memory
  static constexpr int n_frames = 8, n_largest = 1;
  static constexpr bool is_power = true;
  const float* first;
  int row_stride;
  int n_bins;
  int n_valid;

  __device__ __forceinline__ const float* rows() const { return first; }
  __device__ __forceinline__ int stride() const { return row_stride; }
  __device__ __forceinline__ int largest() const { return n_bins; }
  __device__ __forceinline__ float* scratch() const {
    DYNAMIC_SHARED(float, shared);
    return shared;
  }
};

// Where the frames of a tile are in the results.
struct TilePlace {
  int chunk, clip;
  std::int64_t row;    // of the first frame among the part's
  std::int64_t frame;  // of the first frame in its clip
  std::int64_t n_clip_frames;
  std::int64_t track;  // place of the clip's tracks
  bool is_first;       // of the chunk: statistics begin
};

__device__ __forceinline__ int lane_id() {
  return static_cast<int>(threadIdx.x) % 32;
}
__device__ __forceinline__ int warp_id() {
  return static_cast<int>(threadIdx.x) / 32;
}

// 10 log10(x) of a normal x > 0, within 2e-6 dB and 2e-7 of the value.
__device__ __forceinline__ float decibel(float x) {
  return 3.0102999566398120f * __log2f(x);
}

// The value `bytes` behind a pointer: banks have their places in bytes.
__device__ __forceinline__ float value_at(const float* from, int bytes) {
  return *reinterpret_cast<const float*>(reinterpret_cast<const char*>(from) + bytes);
}

// Unsigned integers in the order of the floats, all above 0, so that a maximum over threads is an atomic one,
// which is the same in any order.
__device__ __forceinline__ unsigned ordered_bits(float x) {
  const unsigned bits = __float_as_uint(x);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float from_ordered_bits(unsigned bits) {
  return __uint_as_float((bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits);
}

// Adds a frame's value; `begins` with the first frame of a chunk.
__device__ __forceinline__ void add_value(Statistics& s, float value, bool begins) {
  if (begins) s = {value, 0, 0};
  const float x = value - s.shift;
  s.sum += x;
  s.sum_of_squares = fmaf(x, x, s.sum_of_squares);
}

// Thread `value` of the block puts its descriptor value of the frames [0, n) of the stage, value_of(frame).
template <class ValueOf>
__device__ __forceinline__ void put_values(const Part& part, const TilePlace& place, Statistics* statistics,
                                           int track_row, int first_frame, int n, const ValueOf& value_of) {
  Statistics s = {0, 0, 0};
  const bool continues = !(place.is_first && first_frame == 0);
  if (statistics != nullptr && continues && n > 0) s = *statistics;
  float* const track = part.tracks == nullptr
                           ? nullptr
                           : part.tracks + place.track + std::int64_t{track_row} * place.n_clip_frames +
                                 place.frame + first_frame;
  for (int f = 0; f < n; ++f) {
    const float value = value_of(f);
    add_value(s, value, !continues && f == 0);
    if (track != nullptr) track[f] = value;
  }
  if (statistics != nullptr && n > 0) *statistics = s;
}

// ---- sums of spectra

// Adds the tile's |X|^2 and |X| to the chunk's sums, in bins of which the mean is wanted.
template <class Rows>
__device__ __noinline__ void sum_stage(const FeatureTables& tables, const Rows tile, bool begins,
                                       float* sums) {
  const float* const rows = tile.rows();
  for (int bin = static_cast<int>(threadIdx.x); bin < tables.n_power_sums; bin += n_threads) {
    float sum = begins ? 0.0f : sums[bin];
#pragma unroll 8
    for (int f = 0; f < tile.n_valid; ++f) sum += rows[f * tile.stride() + bin];
    sums[bin] = sum;
  }
  sums += tables.n_power_sums;
  for (int bin = static_cast<int>(threadIdx.x); bin < tables.n_magnitude_sums; bin += n_threads) {
    float sum = begins ? 0.0f : sums[bin];
#pragma unroll 8
    for (int f = 0; f < tile.n_valid; ++f) sum += fast_sqrt(rows[f * tile.stride() + bin]);
    sums[bin] = sum;
  }
}

// ---- rms

// sqrt(mean of x^2) of each of the tile's frames, of the samples without a window, to statistics and tracks:
// a warp for each frame.
template <class Rows>
__device__ __noinline__ void rms_stage(const RmsStage& stage, int n_statistics, const Part& part,
                                       const Rows tile, const FrameSamples source, const TilePlace& place) {
  float* const rms = tile.scratch();  // [n_frames]
  for (int f = warp_id(); f < tile.n_valid; f += n_warps) {
    const std::int64_t first = source.first + std::int64_t{f} * source.hop_length;
    const float* const floats = static_cast<const float*>(source.samples) + first;
    const std::int16_t* const ints = static_cast<const std::int16_t*>(source.samples) + first;
    float sum = 0;
#pragma unroll 4
    for (int i = lane_id(); i < stage.n_fft; i += 32) {
      const float x = source.is_float ? __ldg(floats + i) : static_cast<float>(__ldg(ints + i)) / 32768;
      sum = fmaf(x, x, sum);
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(whole_warp, sum, step);
    if (lane_id() == 0) rms[f] = sqrtf(sum / static_cast<float>(stage.n_fft));
  }
  __syncthreads();
  if (threadIdx.x == 0)
    put_values(part, place, part.statistics + std::int64_t{place.chunk} * n_statistics + stage.statistics,
               stage.track, 0, tile.n_valid, [&](int f) { return rms[f]; });
  __syncthreads();
}

// ---- mel

// Slopes of a slice's intervals, for `frames` frames from first_frame on: rise[f][i] = sum of x rising over
// the bins of interval i, and fall after all of them. lane = (frame, one of several intervals side by side).
template <int frames, bool is_root>
__device__ __forceinline__ void mel_slopes(const FeatureTables& tables, const MelSlice& slice,
                                           const float* rows, int stride, float* scratch) {
  constexpr StageShape shape{frames, 32 / frames};
  constexpr int pitch = mel_slope_stride(frames);
  const int f = lane_id() / shape.lanes_per_frame, j = lane_id() % shape.lanes_per_frame;
  const float* const row = rows + f * stride;
  float* const out = scratch + f * pitch;
  const MelStep* const steps = tables.steps + j;
  const MelGroup* group = tables.groups + slice.first_group[warp_id()];
  const MelGroup* const end = tables.groups + slice.first_group[warp_id() + 1];
  for (; group < end; ++group) {
    const MelStep* step = steps + group->first_step * shape.lanes_per_frame;
    float rise = 0, fall = 0;
#pragma unroll 4
    for (int s = group->n_steps; s > 0; --s, step += shape.lanes_per_frame) {
      const float4 w = __ldg(reinterpret_cast<const float4*>(step));  // rising, falling, place
      float x = value_at(row, __float_as_int(w.z));
      if (is_root) x = fast_sqrt(x);
      rise = fmaf(x, w.x, rise);
      fall = fmaf(x, w.y, fall);
    }
    const int interval = __ldg(&group->interval[j]);
    if (interval < 0) continue;
    out[interval] = rise;
    out[frames * pitch + interval] = fall;
  }
}

// The dB of a slice's bands of n frames, a warp for each; returns the greatest of the warp's.
template <int frames, class Band>
__device__ __forceinline__ float put_decibels(const FeatureTables& tables, const Part& part,
                                              const MelSlice& slice, std::int64_t row, int n,
                                              const Band& band) {
  constexpr int n_own = mel_slice_bands(frames) / 32;
  const float amin = slice.amin, ref_db = slice.ref_db, top_db = slice.top_db;
  const int n_bands = slice.n_bands;
  float loudest = -INFINITY;
  for (int f = warp_id(); f < n; f += n_warps) {
    float values[n_own], greatest = -INFINITY;
#pragma unroll
    for (int i = 0; i < n_own; ++i) {
      const int m = lane_id() + 32 * i;
      values[i] = m < n_bands ? decibel(fmaxf(amin, band(f, m))) - ref_db : -INFINITY;
      greatest = fmaxf(greatest, values[i]);
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2)
      greatest = fmaxf(greatest, __shfl_xor_sync(whole_warp, greatest, step));
    loudest = fmaxf(loudest, greatest);
    const float scale = top_db > 0 ? __fdividef(65535.0f, top_db) : 0.0f;
    const std::int64_t place = (row + f) * tables.n_db + slice.db;
#pragma unroll
    for (int i = 0; i < n_own; ++i) {
      const int m = lane_id() + 32 * i;
      const float above = fmaxf(values[i] - greatest + top_db, 0.0f) * scale;
      if (m >= n_bands) continue;
      if (tables.keeps_float_db)
        static_cast<float*>(part.db)[place + m] = values[i];
      else
        static_cast<std::uint16_t*>(part.db)[place + m] =
            static_cast<std::uint16_t>(min(__float2int_rn(above), 65535));
    }
    if (lane_id() == 0) part.db_greatest[(row + f) * tables.n_db_slices + slice.db_slice] = greatest;
  }
  return loudest;
}

// A slice of a mel bank of the tile's frames: dB to part.db and their maximum to part.loudest_db, or values
// to statistics and tracks.
template <class Rows>
__device__ __noinline__ void mel_stage(const FeatureTables& tables, const Part& part, const MelSlice& slice,
                                       const Rows tile, const TilePlace& place) {
  constexpr int tile_frames = Rows::n_frames, frames = stage_shape(tile_frames).frames;
  float* const scratch = tile.scratch();
  constexpr int pitch = mel_slope_stride(frames);
  for (int first = 0; first < tile_frames; first += frames) {
    if (slice.of_magnitude)
      mel_slopes<frames, true>(tables, slice, tile.rows() + first * tile.stride(), tile.stride(), scratch);
    else
      mel_slopes<frames, false>(tables, slice, tile.rows() + first * tile.stride(), tile.stride(), scratch);
    __syncthreads();
    const int n = min(frames, tile.n_valid - first);
    // Band m is what rises in interval m and falls in the next.
    const float* const norms = tables.norms + slice.norm;
    const auto band = [&](int f, int m) {
      const float* const slopes = scratch + f * pitch + m;
      return (slopes[0] + slopes[frames * pitch + 1]) * __ldg(norms + m);
    };
    if (slice.is_db) {
      const float loudest = put_decibels<frames>(tables, part, slice, place.row + first, n, band);
      if (lane_id() == 0 && n > warp_id())
        atomicMax(part.loudest_db + place.clip * tables.n_mfcc + slice.mfcc, ordered_bits(loudest));
    } else {
      const int m = static_cast<int>(threadIdx.x);
      if (m < slice.n_bands) {
        Statistics* const statistics =
            slice.statistics < 0
                ? nullptr
                : part.statistics + std::int64_t{place.chunk} * tables.n_statistics + slice.statistics + m;
        put_values(part, place, statistics, slice.track + m, first, n, [&](int f) { return band(f, m); });
      }
    }
    __syncthreads();
  }
}

// ---- peaks

// The largest |X|^2 of a frame.
template <class Rows>
__device__ __forceinline__ float largest_of(const Rows& tile, const float* row) {
  const float largest = row[tile.largest()];
  return Rows::n_largest == 2 ? fmaxf(largest, row[tile.largest() + 1]) : largest;
}

// Where a warp puts the peaks of its frames of a chunk, and their number.
struct PeakList {
  Peak* peaks;
  int* n;
};
__device__ __forceinline__ PeakList peak_list(const FeatureTables& tables, const Part& part, int chunk_id,
                                              const ChunkTask& chunk, int warp) {
  // Frames of the warps before: as evenly as frames in turns are.
  const int n_each = chunk.n_frames / tables.peaks.warps, rest = chunk.n_frames % tables.peaks.warps;
  const std::int64_t row = chunk.first_row + min(warp, tables.peaks.warps) * n_each + min(warp, rest);
  return {part.peaks + row * tables.peaks.peaks_per_frame,
          part.n_peaks + std::int64_t{chunk_id} * n_warps + warp};
}

// Appends the peaks of one frame's |X|^2 to a warp's list, which has n; returns the new n. largest: of |X|^2.
// Magnitudes are roots rounded as IEEE says: nearly silent frames have flat spectra, in which rounding
// decides.
__device__ __forceinline__ int add_peaks(const PeakSearch& search, const float* row, float largest,
                                         Peak* peaks, int n) {
  const float reference = sqrtf(largest) * 0.1f;
  const int end = search.end_bin;
  const float hz_per_bin = search.hz_per_bin, hz_error = search.hz_error;
  // Lanes 1 to 30 look at a bin each, lanes 0 and 31 only bring the neighbours.
  for (int first = search.first_bin; first < end; first += 30) {
    const int k = first - 1 + lane_id();
    const float at = k <= end ? sqrtf(row[k]) : 0.0f;
    const float below = __shfl_up_sync(whole_warp, at, 1), above = __shfl_down_sync(whole_warp, at, 1);
    const bool is_peak =
        lane_id() >= 1 && lane_id() <= 30 && k < end && at > reference && at > below && at >= above;
    const unsigned votes = __ballot_sync(whole_warp, is_peak);
    if (is_peak) {
      const float curvature = __fadd_rn(__fadd_rn(above, below), -__fmul_rn(2.0f, at));
      const float slope = __fmul_rn(__fadd_rn(above, -below), 0.5f);
      const float shift = fabsf(slope) < fabsf(curvature) ? -__fdiv_rn(slope, curvature) : 0.0f;
      // (k + shift) hz_per_bin, rounded once to all intents: the product with k is exact in two floats.
      const float bin = static_cast<float>(k), hz = bin * hz_per_bin;
      const float error = fmaf(bin, hz_per_bin, -hz);
      const float rest = fmaf(shift, hz_per_bin, fmaf(bin + shift, hz_error, error));
      const int place = n + __popc(votes & ((1u << lane_id()) - 1));
      peaks[place] = {__fadd_rn(at, __fmul_rn(__fmul_rn(slope, 0.5f), shift)), hz + rest};
    }
    n += __popc(votes);
  }
  return n;
}

// The warp's frames of the tile: every eighth. The number of peaks is kept beside them, not in a register,
// which would be one too many around the transform.
template <class Rows>
__device__ __noinline__ void peak_stage(const PeakSearch& search, const Rows tile, const PeakList list,
                                        bool begins) {
  int n = begins ? 0 : *list.n;
  for (int f = warp_id(); f < tile.n_valid; f += n_warps) {
    const float* const row = tile.rows() + f * tile.stride();
    n = add_peaks(search, row, largest_of(tile, row), list.peaks, n);
  }
  __syncwarp();
  if (lane_id() == 0) *list.n = n;
  __syncwarp();
}

// ---- magnitudes kept as 16 bits: roots of |X| over the frame's largest, which leave an error of 1.5e-5
// sqrt(|X| / largest) of it. Bins 2 i and 2 i + 1 are in word i.

__device__ __forceinline__ std::uint32_t sixteen_bits(float x) {
  return static_cast<std::uint32_t>(min(__float2int_rn(x), 65535));
}

template <class Rows>
__device__ __noinline__ void keep_magnitudes(const Part& part, int n_bins, const Rows tile,
                                             std::int64_t first_row) {
  for (int f = warp_id(); f < tile.n_valid; f += n_warps) {
    const float* const row = tile.rows() + f * tile.stride();
    const float largest = largest_of(tile, row);
    const float scale = largest > 0 ? 65535.0f / sqrtf(sqrtf(largest)) : 0.0f;
    std::uint32_t* const out = part.magnitudes + (first_row + f) * part.magnitude_words;
    for (int i = lane_id(); i < part.magnitude_words; i += 32) {
      const float low = 2 * i < n_bins ? fast_sqrt(fast_sqrt(row[2 * i])) : 0.0f;
      const float high = 2 * i + 1 < n_bins ? fast_sqrt(fast_sqrt(row[2 * i + 1])) : 0.0f;
      out[i] = sixteen_bits(low * scale) | sixteen_bits(high * scale) << 16;
    }
  }
}

// rows[frame][bin] = |X|, but for a factor of its frame: chroma is relative to the frame's maximum.
template <int n_fft>
__device__ __noinline__ void load_magnitudes(const Part& part, std::int64_t first_row, int n_valid) {
  using Shape = TileShape<n_fft>;
  constexpr int n_bins = Shape::n_bins;
  DYNAMIC_SHARED(float, rows);
  for (int f = warp_id(); f < Shape::n_frames; f += n_warps) {
    float* const row = rows + f * Shape::row_stride;
    const std::uint32_t* const from = part.magnitudes + (first_row + f) * part.magnitude_words;
    for (int i = lane_id(); 2 * i < n_bins; i += 32) {
      const std::uint32_t word = f < n_valid ? __ldg(from + i) : 0;
      const float low = static_cast<float>(word & 0xffffu), high = static_cast<float>(word >> 16);
      row[2 * i] = low * low;
      if (2 * i + 1 < n_bins) row[2 * i + 1] = high * high;
    }
  }
}

// ---- chroma

// Sum over the lanes that stand for one frame.
template <int lanes>
__device__ __forceinline__ float add_lanes(float x) {
#pragma unroll
  for (int step = lanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(whole_warp, x, step);
  return x;
}

// The bank applied to rows of |X|: wide[c][f] for the bins that feed all chroma, classes[task][n][f] for
// those that feed a band.
template <int frames, bool is_root>
__device__ __forceinline__ void chroma_sums(const FeatureTables& tables, const ChromaBank& bank, int n_chroma,
                                            const float* rows, int stride, float* wide, float* classes) {
  constexpr int lanes = 32 / frames;
  const int f = lane_id() / lanes, j = lane_id() % lanes;
  const float* const row = rows + f * stride;
  for (int c = warp_id(); c < n_chroma; c += n_warps) {
    const float* const wide_weights = tables.chroma_wide + bank.wide + c * bank.n_wide;
    float sum = 0;
#pragma unroll 4
    for (int bin = j; bin < bank.n_wide; bin += lanes)
      sum = fmaf(is_root ? fast_sqrt(row[bin]) : row[bin], __ldg(wide_weights + bin), sum);
    sum = add_lanes<lanes>(sum);
    if (j == 0) wide[c * frames + f] = sum;
  }
  const ChromaTask* const tasks = tables.chroma_tasks + bank.tasks;
  const float4* const weights = tables.chroma_weights + j;
  const ChromaStep* const steps = tables.chroma_steps + j;
  const int end = bank.first_task[warp_id() + 1];
  for (int t = bank.first_task[warp_id()]; t < end; ++t) {
    const ChromaTask task = tasks[t];
    const float4* weight = weights + std::int64_t{task.first_step} * lanes;
    const ChromaStep* step = steps + std::int64_t{task.first_step} * lanes;
    float sum[chroma_band] = {};
#pragma unroll 4
    for (int s = task.n_steps; s > 0; --s, weight += lanes, step += lanes) {
      const float4 w = __ldg(weight);
      const float2 last = __ldg(reinterpret_cast<const float2*>(step));  // weight, place
      float x = value_at(row, __float_as_int(last.y));
      if (is_root) x = fast_sqrt(x);
      sum[0] = fmaf(x, w.x, sum[0]);
      sum[1] = fmaf(x, w.y, sum[1]);
      sum[2] = fmaf(x, w.z, sum[2]);
      sum[3] = fmaf(x, w.w, sum[3]);
      sum[4] = fmaf(x, last.x, sum[4]);
    }
#pragma unroll
    for (int n = 0; n < chroma_band; ++n) {
      sum[n] = add_lanes<lanes>(sum[n]);
      if (j == 0) classes[(t * chroma_band + n) * frames + f] = sum[n];
    }
  }
}

__device__ __forceinline__ const ChromaBank& chroma_bank_of(const FeatureTables& tables, const Part& part,
                                                            const ChromaStage& stage, int clip) {
  const int tuning = stage.tuning < 0 ? 0 : part.tunings[clip * tables.n_tunings + stage.tuning];
  return tables.chroma_banks[stage.bank + tuning];
}

// Chroma of the tile's frames to statistics and tracks.
template <class Rows>
__device__ __noinline__ void chroma_stage(const FeatureTables& tables, const Part& part,
                                          const ChromaStage& stage, const ChromaBank& bank, const Rows tile,
                                          const TilePlace& place) {
  constexpr int tile_frames = Rows::n_frames, frames = stage_shape(tile_frames).frames;
  float* const scratch = tile.scratch();
  const int tid = static_cast<int>(threadIdx.x), n_chroma = stage.n_chroma;
  float* const wide = scratch;                    // [n_chroma][frames]
  float* const scale = wide + n_chroma * frames;  // [frames]
  float* const classes = scale + frames;          // [n_tasks][chroma_band][frames]
  for (int first = 0; first < tile_frames; first += frames) {
    chroma_sums<frames, Rows::is_power>(tables, bank, n_chroma, tile.rows() + first * tile.stride(),
                                        tile.stride(), wide, classes);
    __syncthreads();
    const int* const entry_begin = tables.chroma_entry_begin + bank.entry_begin;
    const int* const entries = tables.chroma_entries + bank.entries;
    for (int e = tid; e < n_chroma * frames; e += n_threads) {
      const int c = e / frames, f = e % frames;
      float sum = wide[e];
      const int end = __ldg(entry_begin + c + 1);
#pragma unroll 2
      for (int i = __ldg(entry_begin + c); i < end; ++i) sum += value_at(classes + f, __ldg(entries + i));
      wide[e] = sum;
    }
    __syncthreads();
    if (tid < frames) {
      float largest = 0;
      for (int c = 0; c < n_chroma; ++c) largest = fmaxf(largest, wide[c * frames + tid]);
      scale[tid] = largest < 1.17549435e-38f ? 1.0f : __fdiv_rn(1.0f, largest);
    }
    __syncthreads();
    if (tid < n_chroma) {
      Statistics* const statistics =
          part.statistics + std::int64_t{place.chunk} * tables.n_statistics + stage.statistics + tid;
      put_values(part, place, statistics, stage.track + tid, first, min(frames, tile.n_valid - first),
                 [&](int f) { return wide[tid * frames + f] * scale[f]; });
    }
    __syncthreads();
  }
}

}  // namespace melgrad::MELGRAD_KERNELS
