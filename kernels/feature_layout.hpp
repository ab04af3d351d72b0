#pragma once
// What the feature kernels read and write in device memory. A part of a batch is a number of clips; a clip's
// frames are computed in chunks, each by one block, so that a clip's sums are the same in any batch.

#include <cstdint>

#include "kernels/fft.cuh"

namespace melgrad::MELGRAD_KERNELS {

// Lanes of a warp stand for `frames` frames and `lanes_per_frame` lanes of each while banks are applied.
struct StageShape {
  int frames;           // at a time, at most 32
  int lanes_per_frame;  // 32 / frames
};
constexpr StageShape stage_shape(int tile_frames) {
  const int frames = tile_frames < 32 ? tile_frames : 32;
  return {frames, 32 / frames};
}

// Frames of a chunk, a multiple of those of a tile.
constexpr int chunk_frames(int tile_frames) {
  return tile_frames < 32 ? 32 : tile_frames;
}

// What stages put beside a tile's rows, in words: slopes of a mel slice, or sums of chroma; with 32 frames at
// a time there must be room for those of 96 chroma.
constexpr int scratch_words(int frames) {
  return frames == 32 ? 3136 : 2432;
}

// ---- mel

// dB of an mfcc are kept as 16 bits, from the slice's greatest of the frame (0xffff) down to top_db below it
// (0): what is lower still is below the clip's threshold, whatever the other frames are. 80 dB leave steps of
// 0.0012 dB, which means do not feel. Standard deviations over a few frames do: then, and for tracks, floats
// are kept.

// Bands first_band .. + n_bands of a descriptor; long banks are cut so that a slice's sums fit the scratch.
struct MelSlice {
  int first_band;
  int n_bands;
  int first_group[n_warps + 1];  // of each warp
  int norm;                      // place of the first band's norm
  bool of_magnitude;             // the bank weighs |X|, else |X|^2
  bool is_db;                    // of an mfcc: 10 log10(max(amin, x)) - ref_db
  float amin, ref_db, top_db;
  int db;  // of an mfcc: place of the first band in a frame's dB, of the slice, and the number of the mfcc
  int db_slice;
  int mfcc;
  int statistics;  // place of the first band's, or -1
  int track;       // first of its rows in a clip's tracks
};

// One interval between mel points for each of lanes_per_frame lanes.
struct MelGroup {
  int first_step;
  int n_steps;
  int interval[8];  // in the slice; -1 for a lane without one
};

// What a lane does with one bin: [n_steps][lanes_per_frame]. In a step the bins of the lanes differ modulo
// lanes_per_frame where that can be had, and so lie in different banks. Steps without a bin have zero slopes.
struct alignas(16) MelStep {
  float rising, falling;
  int place;  // of the bin in a row, in bytes
  int unused;
};

// Words of a frame's slopes in the scratch, and bands of a slice.
constexpr int mel_slice_bands(int frames) {
  return 1024 / frames;
}
constexpr int mel_slope_stride(int frames) {
  return mel_slice_bands(frames) + 32 / frames;
}
static_assert(2 * 32 * mel_slope_stride(32) <= scratch_words(32) &&
              2 * 4 * mel_slope_stride(4) <= scratch_words(4));

// ---- chroma

// A bin at or above n_wide feeds the chroma_band chroma that follow its class. What is dropped is below 4e-6
// of the bin's largest weight: two and a half semitones of a Gaussian of width 1/2.
inline constexpr int chroma_band = 5;

// Bins of one class, spread over the lanes of a frame by their remainder.
struct ChromaTask {
  int first_step;
  int n_steps;
};
// Beside the first four weights of a bin, which lie in an array of their own.
struct alignas(8) ChromaStep {
  float last_weight;
  int place;  // of the bin in a row, in bytes
};

// Of one descriptor and one tuning. Places are in the tables' common arrays.
struct ChromaBank {
  int n_wide;                   // bins [0, n_wide) feed every chroma
  int wide;                     // [n_chroma][n_wide]
  int tasks;                    // ChromaTask [n_tasks]
  int first_task[n_warps + 1];  // of each warp
  int n_tasks;
  // Chroma c is its wide sum and those at entries[entry_begin[c] .. entry_begin[c + 1]): task * chroma_band +
  // n.
  int entry_begin, entries;
};

struct ChromaStage {
  int n_chroma;
  int bank;        // place of its first bank
  int tuning;      // place of the clip's estimated tuning bin, which is added to `bank`; or -1
  int statistics;  // place
  int track;
};

// ---- rms

struct RmsStage {
  int n_fft;       // 0: is not asked for
  int statistics;  // place
  int track;
};

// ---- tuning: see TuningPlan

inline constexpr int n_tuning_bins = 100;  // TuningPlan::n_tunings

struct PeakSearch {
  int first_bin, end_bin;      // none if equal
  float hz_per_bin, hz_error;  // hz_per_bin + hz_error is TuningPlan's
  int peaks_per_frame;         // at most
  int warps;                   // that look for peaks: frame f of a tile is looked at by warp f % warps
};
struct alignas(8) Peak {
  float magnitude, pitch;
};

// ---- sums

// Of values x over frames, relative to the first of the chunk: sum of x - shift, and of its square.
struct Statistics {
  float shift, sum, sum_of_squares;
};

enum class OutputKind { mel_mean, mfcc_mean, statistics };

// A descriptor's features.
struct Output {
  OutputKind kind;
  int n_values;
  int first_feature;
  int mean, std;  // places among the functionals, or -1
  // mel_mean: bank @ the mean spectrum at `sums`. mfcc_mean: dct @ (threshold + sums / n_frames).
  int sums;
  int bands;        // mel_mean: place of its MelBand [n_values]
  int dct, n_mels;  // mfcc_mean, mfcc tracks and statistics: place of dct [n_mels][n_values]
  int mfcc;         // number of the mfcc, or -1
  int db;           // place of its first band in a frame's dB, and of its first slice
  int db_slice;
  float top_db;
  int statistics;  // place
  int track;
};
struct MelBand {
  int first_bin, n_bins;
  int weights;
};

// ---- a plan's tables

struct FeatureTables {
  TransformTables transform;
  PeakSearch peaks;

  const MelSlice* slices;
  int n_slices;
  const MelGroup* groups;
  const MelStep* steps;
  const float* norms;
  const MelBand* bands;
  const float* band_weights;
  const float* dct;

  RmsStage rms;

  const ChromaStage* chroma;
  int n_chroma_stages;
  const ChromaBank* chroma_banks;
  const ChromaTask* chroma_tasks;
  const float4* chroma_weights;
  const ChromaStep* chroma_steps;
  const float* chroma_wide;
  const int* chroma_entry_begin;
  const int* chroma_entries;
  const int* tuning_chroma;   // [n_tunings] n_chroma of each estimate that a clip needs
  const float* tuning_edges;  // [101] the least floats at or above TuningPlan's
  int n_tunings;

  const Output* outputs;
  int n_outputs;
  int n_features;

  int n_bins;
  int n_power_sums, n_magnitude_sums;  // bins whose |X|^2 and |X| are summed: places 0 and n_power_sums
  int n_sums;                          // with the bands of mfccs
  int n_statistics;
  int n_mfcc;       // descriptors
  int n_db;         // bands of all mfccs
  int n_db_slices;  // slices of all mfccs, of db_slice_bands bands each
  int db_slice_bands;
  bool keeps_float_db;
  int hop_length;
};

// ---- a part of a batch

struct ChunkTask {
  std::int64_t first_sample;  // of its first frame, from the begin of the clip's padded samples
  std::int64_t first_row;     // of its first frame among the part's frames
  int n_frames;
  int clip;
};
struct ClipTask {
  std::int64_t samples;  // place in the part's bytes
  std::int64_t n_frames;
  std::int64_t first_row;
  int first_chunk, n_chunks;
};

struct Part {
  const std::byte* samples;
  const ChunkTask* chunks;
  const ClipTask* clips;
  int n_chunks, n_clips;
  bool is_float;
  // What chunks leave.
  float* sums;                // [n_chunks][n_sums]
  Statistics* statistics;     // [n_chunks][n_statistics]
  void* db;                   // [n_rows][n_db], 16 bits or, if keeps_float_db, floats
  float* db_greatest;         // [n_rows][n_db_slices]
  Peak* peaks;                // [n_rows][peaks_per_frame], a chunk's as lists of its warps
  int* n_peaks;               // [n_chunks][n_warps]
  std::uint32_t* magnitudes;  // [n_rows][magnitude_words]: 16 bits each of two bins; or null
  int magnitude_words;
  // Of clips.
  unsigned* loudest_db;  // [n_clips][n_mfcc], as ordered_bits(); 0 at first
  double* clip_sums;     // [n_clips][n_sums]
  int* tunings;          // [n_clips][n_tunings]
  float* features;       // [n_clips][n_features]
  float* tracks;         // clip by clip [n_track_rows][n_frames]; or null
  int n_track_rows;      // values of all descriptors in a frame
};

}  // namespace melgrad::MELGRAD_KERNELS
