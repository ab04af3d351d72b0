#include "kernels/feature_kernels.hpp"

#include "host/core/error.hpp"
#include "kernels/feature_stages.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

constexpr std::size_t rows_shared_bytes = scratch_words(rows_at_once) * sizeof(float);
template <int n_fft>
constexpr std::size_t shared_bytes =
    static_cast<std::size_t>(TileShape<n_fft>::n_words +
                             scratch_words(stage_shape(TileShape<n_fft>::n_frames).frames)) *
    sizeof(float);

__device__ __forceinline__ TilePlace tile_place(const Part& part, int chunk_id, const ChunkTask& chunk,
                                                int first) {
  const ClipTask& clip = part.clips[chunk.clip];
  return {chunk_id,
          chunk.clip,
          chunk.first_row + first,
          chunk.first_row - clip.first_row + first,
          clip.n_frames,
          clip.first_row * part.n_track_rows,
          first == 0};
}

__device__ __forceinline__ FrameSamples tile_samples(const FeatureTables& tables, const Part& part,
                                                     const ChunkTask& chunk, int first, int n_valid) {
  return {part.samples + part.clips[chunk.clip].samples,
          chunk.first_sample + std::int64_t{first} * tables.hop_length, tables.hop_length, n_valid,
          part.is_float};
}

// Lets the next tile's samples come into the L2 cache while this one's are worked on.
__device__ __forceinline__ void prefetch_tile(const FrameSamples& next, int n_fft) {
  const std::int64_t sample_bytes = next.is_float ? 4 : 2;
  const std::int64_t n_samples = std::int64_t{next.n_valid - 1} * next.hop_length + n_fft;
  const std::byte* const begin = static_cast<const std::byte*>(next.samples) + next.first * sample_bytes;
  for (std::int64_t at = std::int64_t{threadIdx.x} * 128; at < n_samples * sample_bytes;
       at += n_threads * 128)
    prefetch_to_l2(begin + at);
}

// One block computes a chunk; two blocks share a multiprocessor.
template <int n_fft>
__global__ void __launch_bounds__(n_threads, 2)
    analyse_kernel(const __grid_constant__ FeatureTables tables, const __grid_constant__ Part part) {
  using Shape = TileShape<n_fft>;
  const int chunk_id = static_cast<int>(blockIdx.x);
  const ChunkTask& chunk = part.chunks[chunk_id];  // read again where it is needed: registers are scarce
  const bool finds_peaks = tables.peaks.first_bin < tables.peaks.end_bin;
  for (int first = 0; first < chunk.n_frames; first += Shape::n_frames) {
    transform_tile<n_fft, false>(
        tables.transform,
        tile_samples(tables, part, chunk, first, min(Shape::n_frames, chunk.n_frames - first)));
    __syncthreads();
    const int n_next = min(Shape::n_frames, chunk.n_frames - first - Shape::n_frames);
    if (n_next > 0) prefetch_tile(tile_samples(tables, part, chunk, first + Shape::n_frames, n_next), n_fft);
    const SharedRows<n_fft> tile{min(Shape::n_frames, chunk.n_frames - first)};
    sum_stage(tables, tile, first == 0, part.sums + std::int64_t{chunk_id} * tables.n_sums);
    if (finds_peaks)
      peak_stage(tables.peaks, tile, peak_list(tables, part, chunk_id, chunk, warp_id()), first == 0);
    const TilePlace place = tile_place(part, chunk_id, chunk, first);
    if (tables.rms.n_fft > 0)
      rms_stage(tables.rms, tables.n_statistics, part, tile,
                tile_samples(tables, part, chunk, first, tile.n_valid), place);
    if (part.magnitudes != nullptr) keep_magnitudes(part, Shape::n_bins, tile, place.row);
    for (int s = 0; s < tables.n_slices; ++s) mel_stage(tables, part, tables.slices[s], tile, place);
    __syncthreads();
  }
}

template <int n_fft>
__global__ void __launch_bounds__(n_threads, 2)
    chroma_kernel(const __grid_constant__ FeatureTables tables, const __grid_constant__ Part part) {
  using Shape = TileShape<n_fft>;
  const int chunk_id = static_cast<int>(blockIdx.x);
  const ChunkTask& chunk = part.chunks[chunk_id];
  for (int first = 0; first < chunk.n_frames; first += Shape::n_frames) {
    const int n_valid = min(Shape::n_frames, chunk.n_frames - first);
    const TilePlace place = tile_place(part, chunk_id, chunk, first);
    if (part.magnitudes != nullptr) {
      load_magnitudes<n_fft>(part, place.row, n_valid);
      __syncthreads();
    } else {
      transform_tile<n_fft, true>(tables.transform, tile_samples(tables, part, chunk, first, n_valid));
      __syncthreads();
      const int n_next = min(Shape::n_frames, chunk.n_frames - first - Shape::n_frames);
      if (n_next > 0)
        prefetch_tile(tile_samples(tables, part, chunk, first + Shape::n_frames, n_next), n_fft);
    }
    const SharedRows<n_fft> tile{n_valid};
    for (int s = 0; s < tables.n_chroma_stages; ++s) {
      const ChromaStage& stage = tables.chroma[s];
      chroma_stage(tables, part, stage, chroma_bank_of(tables, part, stage, chunk.clip), tile, place);
    }
  }
}

// ---- spectra in device memory

// A block writes a windowed frame; grid (row_frames, chunks that the buffers hold). Frames that there are not
// are zeros.
__global__ void __launch_bounds__(n_threads)
    frames_kernel(SpectrumRows spectrum, int first_chunk, const __grid_constant__ FeatureTables tables,
                  const __grid_constant__ Part part) {
  const int f = static_cast<int>(blockIdx.x), c = static_cast<int>(blockIdx.y);
  float* const out = spectrum.frames + (std::int64_t{c} * row_frames + f) * spectrum.n_fft;
  if (f >= part.chunks[first_chunk + c].n_frames) {
    for (int i = static_cast<int>(threadIdx.x); i < spectrum.n_fft; i += n_threads) out[i] = 0;
    return;
  }
  const FrameSamples source = tile_samples(tables, part, part.chunks[first_chunk + c], f, 1);
  for (int i = static_cast<int>(threadIdx.x); i < spectrum.n_fft; i += n_threads) {
    const std::int64_t from = source.first + i;
    const float sample = source.is_float
                             ? 32768.0f * static_cast<const float*>(source.samples)[from]
                             : static_cast<float>(static_cast<const std::int16_t*>(source.samples)[from]);
    out[i] = sample * spectrum.window[i];
  }
}

// A block computes |X|^2 of a frame; grid (row_frames, n_chunks).
__global__ void __launch_bounds__(n_threads) powers_kernel(SpectrumRows spectrum, int n_bins) {
  SHARED_ARRAY(float, warp_largest, n_warps);
  const std::int64_t frame = std::int64_t{blockIdx.y} * row_frames + blockIdx.x;
  const float2* const from = spectrum.spectra + frame * n_bins;
  float* const row = spectrum.rows + frame * spectrum.row_stride;
  float largest = 0;
  for (int bin = static_cast<int>(threadIdx.x); bin < n_bins; bin += n_threads) {
    const float2 x = from[bin];
    const float power = fmaf(x.y, x.y, x.x * x.x);
    largest = fmaxf(largest, power);
    row[bin] = power;
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(whole_warp, largest, step));
  if (lane_id() == 0) warp_largest[warp_id()] = largest;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 0; w < n_warps; ++w) largest = fmaxf(largest, warp_largest[w]);
  row[n_bins] = largest;
}

__device__ __forceinline__ const float* chunk_rows(const SpectrumRows& spectrum) {
  return spectrum.rows + std::int64_t{blockIdx.x} * row_frames * spectrum.row_stride;
}

__global__ void __launch_bounds__(n_threads, 2)
    analyse_rows_kernel(SpectrumRows spectrum, int first_chunk, const __grid_constant__ FeatureTables tables,
                        const __grid_constant__ Part part) {
  const int chunk_id = first_chunk + static_cast<int>(blockIdx.x);
  const ChunkTask chunk = part.chunks[chunk_id];
  const float* const rows = chunk_rows(spectrum);
  float* const sums = part.sums + std::int64_t{chunk_id} * tables.n_sums;
  const bool finds_peaks = tables.peaks.first_bin < tables.peaks.end_bin;
  for (int first = 0; first < chunk.n_frames; first += rows_at_once) {
    const DeviceRows tile{rows + first * spectrum.row_stride, spectrum.row_stride, tables.n_bins,
                          min(rows_at_once, chunk.n_frames - first)};
    const TilePlace place = tile_place(part, chunk_id, chunk, first);
    sum_stage(tables, tile, first == 0, sums);
    if (finds_peaks)
      peak_stage(tables.peaks, tile, peak_list(tables, part, chunk_id, chunk, warp_id()), first == 0);
    if (tables.rms.n_fft > 0)
      rms_stage(tables.rms, tables.n_statistics, part, tile,
                tile_samples(tables, part, chunk, first, tile.n_valid), place);
    for (int s = 0; s < tables.n_slices; ++s) mel_stage(tables, part, tables.slices[s], tile, place);
  }
}

__global__ void __launch_bounds__(n_threads, 2)
    chroma_rows_kernel(SpectrumRows spectrum, int first_chunk, const __grid_constant__ FeatureTables tables,
                       const __grid_constant__ Part part) {
  const int chunk_id = first_chunk + static_cast<int>(blockIdx.x);
  const ChunkTask chunk = part.chunks[chunk_id];
  const float* const rows = chunk_rows(spectrum);
  for (int first = 0; first < chunk.n_frames; first += rows_at_once) {
    const DeviceRows tile{rows + first * spectrum.row_stride, spectrum.row_stride, tables.n_bins,
                          min(rows_at_once, chunk.n_frames - first)};
    const TilePlace place = tile_place(part, chunk_id, chunk, first);
    for (int s = 0; s < tables.n_chroma_stages; ++s) {
      const ChromaStage& stage = tables.chroma[s];
      chroma_stage(tables, part, stage, chroma_bank_of(tables, part, stage, chunk.clip), tile, place);
    }
  }
}

// Calls run with n_fft as a constant.
template <class Run>
void with_n_fft(int n_fft, const Run& run) {
  switch (n_fft) {
    case 256:
      return run(std::integral_constant<int, 256>());
    case 512:
      return run(std::integral_constant<int, 512>());
    case 1024:
      return run(std::integral_constant<int, 1024>());
    case 2048:
      return run(std::integral_constant<int, 2048>());
    case 4096:
      return run(std::integral_constant<int, 4096>());
    default:
      fail("n_fft {} is not a power of two in [256, 4096]", n_fft);
  }
}

}  // namespace

void prepare_feature_kernels(int n_fft) {
  with_n_fft(n_fft, [](auto n) {
    constexpr int bytes = static_cast<int>(shared_bytes<n()>);
    check(cudaFuncSetAttribute(analyse_kernel<n()>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
          "analyse_kernel");
    check(cudaFuncSetAttribute(chroma_kernel<n()>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
          "chroma_kernel");
  });
}

void launch_analyse(int n_fft, const FeatureTables& tables, const Part& part, cudaStream_t stream) {
  with_n_fft(n_fft, [&](auto n) {
    launch(analyse_kernel<n()>, {static_cast<unsigned>(part.n_chunks), n_threads, shared_bytes<n()>}, stream,
           tables, part);
  });
}

void launch_chroma(int n_fft, const FeatureTables& tables, const Part& part, cudaStream_t stream) {
  with_n_fft(n_fft, [&](auto n) {
    launch(chroma_kernel<n()>, {static_cast<unsigned>(part.n_chunks), n_threads, shared_bytes<n()>}, stream,
           tables, part);
  });
}

void launch_frames(const SpectrumRows& spectrum, int first_chunk, int n_chunks, const FeatureTables& tables,
                   const Part& part, cudaStream_t stream) {
  launch(frames_kernel, {{row_frames, static_cast<unsigned>(n_chunks)}, n_threads}, stream, spectrum,
         first_chunk, tables, part);
}

void launch_powers(const SpectrumRows& spectrum, int n_chunks, const FeatureTables& tables,
                   cudaStream_t stream) {
  launch(powers_kernel, {{row_frames, static_cast<unsigned>(n_chunks)}, n_threads}, stream, spectrum,
         tables.n_bins);
}

void launch_analyse_rows(const SpectrumRows& spectrum, int first_chunk, int n_chunks,
                         const FeatureTables& tables, const Part& part, cudaStream_t stream) {
  launch(analyse_rows_kernel, {static_cast<unsigned>(n_chunks), n_threads, rows_shared_bytes}, stream,
         spectrum, first_chunk, tables, part);
}

void launch_chroma_rows(const SpectrumRows& spectrum, int first_chunk, int n_chunks,
                        const FeatureTables& tables, const Part& part, cudaStream_t stream) {
  launch(chroma_rows_kernel, {static_cast<unsigned>(n_chunks), n_threads, rows_shared_bytes}, stream,
         spectrum, first_chunk, tables, part);
}

}  // namespace melgrad::MELGRAD_KERNELS
