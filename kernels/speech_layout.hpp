#pragma once
// What the kernels of the speech set read and write in device memory. A part of a batch is a number of clips
// without the silence around them; their frames are computed in chunks, each by one block.

#include <cstdint>

#include "host/features/pitch_tables.hpp"
#include "host/features/spectral_shape.hpp"
#include "host/features/speech_groups.hpp"
#include "host/features/speech_trim.hpp"
#include "kernels/feature_layout.hpp"

namespace melgrad::MELGRAD_KERNELS::speech {

inline constexpr int sample_rate = 16000, n_fft = 512;
inline constexpr int win_length = static_cast<int>(SampleBlocks::size * SampleBlocks::in_frame);
inline constexpr int hop_length = static_cast<int>(SampleBlocks::size * SampleBlocks::in_hop);
inline constexpr int n_bins = n_fft / 2 + 1;
inline constexpr int n_mels = 64, n_mfcc = 40;
// A tile of the transform has 32 frames, the first of which is the chunk before's last, for the flux.
inline constexpr int chunk_frames = TileShape<n_fft>::n_frames - 1;

// The transform reads n_fft samples with the frame in the middle, the pitch long_win_length around it: so far
// they reach over the ends of a clip, where there are zeros. The pitch has two frames behind the last one,
// for the median of five.
inline constexpr int transform_before = (n_fft - win_length) / 2;
inline constexpr int pitch_before = (long_win_length - win_length) / 2;
inline constexpr int frames_behind = 2;
inline constexpr int padding_before = 128, padding_behind = 640;
static_assert(transform_before <= padding_before && pitch_before <= padding_before);
static_assert(frames_behind * hop_length + long_win_length - pitch_before - win_length <= padding_behind);

// Groups of statistics over frames, of which each frame has so many values, [frame][value]; prosody follows.
inline constexpr int n_tracks = static_cast<int>(SpeechGroup::prosody);
inline constexpr int n_groups = n_tracks + 1;
constexpr int track_values(int group) {
  switch (static_cast<SpeechGroup>(group)) {
    case SpeechGroup::log_mel:
      return n_mels;
    case SpeechGroup::contrast:
      return static_cast<int>(n_contrasts);
    case SpeechGroup::shape:
    case SpeechGroup::shape_delta:
      return static_cast<int>(n_shapes);
    default:
      return n_mfcc;
  }
}

struct Clip {
  std::int64_t samples;    // place of the first zero before it, in samples
  std::int64_t first_row;  // of its frames among the part's
  int n_frames;
  bool has_smooth_pitch;           // more than 5 frames of 40 ms begin in it
  double full_s, lead_s, trail_s;  // of the recording, of the silence before and behind
};
struct Chunk {
  int clip;
  int first_frame;
  int n_frames;   // at most chunk_frames
  int n_pitches;  // n_frames, and frames_behind more in a clip's last chunk
};

struct Tables {
  FeatureTables features;     // transform; bands and band_weights of 64 mel bands; dct [64][40]
  const float* pitch_window;  // [long_win_length]; these three as in PitchTables
  const float* lag_weights;   // [n_lags]
  const float* lag_costs;     // [n_lags]
  const double* log_f0;       // [n_lags] log2 of sample_rate / lag
};

struct Part {
  const void* samples;
  bool is_float;
  const Clip* clips;
  const Chunk* chunks;
  int n_clips, n_chunks;
  float* tracks[n_tracks];  // [n_rows][track_values], by SpeechGroup
  float* rms_db;            // [n_rows], as in the shape
  unsigned* loudest;        // [n_clips] of log-mel, as ordered_bits(); 0 at first
  int* lags;                // [n_rows + frames_behind * n_clips], see pitch_row
  float* periodicity;       // likewise: the autocorrelation there
  int* smooth_lags;         // [n_rows] median of five
  int* voiced;              // [n_rows]: of each clip its voiced frames
  float* features;          // [n_clips][n_features]
  int n_features;
  int first_feature[n_groups];  // by SpeechGroup; -1: not asked for

  bool wants(SpeechGroup group) const { return first_feature[static_cast<int>(group)] >= 0; }
};

// Of a clip's first frame among all frames that have a pitch.
constexpr std::int64_t pitch_row(const Clip& clip, int index) {
  return clip.first_row + std::int64_t{frames_behind} * index;
}

}  // namespace melgrad::MELGRAD_KERNELS::speech
