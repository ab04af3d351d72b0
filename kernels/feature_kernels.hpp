#pragma once
// The feature kernels of a part of a batch, on a stream: from samples to features or tracks. In this order:
//
//   analyse   a block per chunk: spectra; sums of |X|^2 and |X|, rms, mel values, dB, spectral peaks
//   tune      a block per clip: the tuning that its peaks vote for
//   clamp     a block per chunk: mfcc of dB not below the clip's maximum less top_db
//   chroma    a block per chunk: spectra again, or kept magnitudes; chroma of the clip's tuning
//   finish    a block per clip: chunks added in order; banks and DCTs of means
//
// Bytes and operations decide what is stored and what is computed again. With n_fft 2048, hop 512 and int16,
// a frame is 1024 new bytes of samples. Kept for the second pass: its dB (128 bands, 512 bytes, against some
// 200 instructions of a warp to apply the bank again; about equal in time on a board with HBM, and spectra
// would be needed for it where there is no chroma), and its peaks (8 bytes each). Not kept: the spectrum,
// 4100 bytes; transforming again takes 1024 bytes from memory and about 2000 instructions. See
// chroma_route().

#include "kernels/feature_layout.hpp"

namespace melgrad::MELGRAD_KERNELS {

// Asks for the shared memory that the kernels of n_fft need: once per device and n_fft, before a launch.
void prepare_feature_kernels(int n_fft);

// Spectra by the fused transform; n_fft is a power of two in [256, 4096].
void launch_analyse(int n_fft, const FeatureTables& tables, const Part& part, cudaStream_t stream);
void launch_chroma(int n_fft, const FeatureTables& tables, const Part& part, cudaStream_t stream);

// Spectra in device memory, of chunks [first_chunk, first_chunk + n_chunks) of the part: |X|^2
// [row_frames][row_stride] each, with the largest of a frame behind its bins.
inline constexpr int row_frames = 32;   // of a chunk
inline constexpr int rows_at_once = 8;  // of a stage: DeviceRows::n_frames
struct SpectrumRows {
  int n_fft;
  int row_stride;         // at least n_bins + 1
  const float* window;    // [n_fft], over 32768
  float* frames;          // [n_chunks][row_frames][n_fft]
  const float2* spectra;  // [n_chunks][row_frames][n_bins]
  float* rows;
};
constexpr int spectrum_row_stride(int n_bins) {
  return (n_bins + 1 + 31) / 32 * 32 + 4;
}
void launch_frames(const SpectrumRows& spectrum, int first_chunk, int n_chunks, const FeatureTables& tables,
                   const Part& part, cudaStream_t stream);
void launch_powers(const SpectrumRows& spectrum, int n_chunks, const FeatureTables& tables,
                   cudaStream_t stream);
void launch_analyse_rows(const SpectrumRows& spectrum, int first_chunk, int n_chunks,
                         const FeatureTables& tables, const Part& part, cudaStream_t stream);
void launch_chroma_rows(const SpectrumRows& spectrum, int first_chunk, int n_chunks,
                        const FeatureTables& tables, const Part& part, cudaStream_t stream);

void launch_tune(const FeatureTables& tables, const Part& part, cudaStream_t stream);
void launch_clamp(const FeatureTables& tables, const Part& part, cudaStream_t stream);
void launch_finish(const FeatureTables& tables, const Part& part, cudaStream_t stream);

}  // namespace melgrad::MELGRAD_KERNELS
