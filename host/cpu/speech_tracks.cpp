#include "host/cpu/speech_tracks.hpp"

#include <algorithm>
#include <cstddef>

#include "host/cpu/speech_frames.hpp"

namespace melgrad {
namespace {

static_assert(SampleBlocks::size * SampleBlocks::in_frame == SpeechFrames::win_length);
static_assert(SampleBlocks::size * SampleBlocks::in_hop == SpeechFrames::hop_length);

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// librosa.feature.delta: the slope of a line through 9 frames around each (scipy.signal.savgol_filter(9, 1,
// deriv=1, mode='interp'): within four frames of an end, that of the last 9). 0 where there are 9 frames or
// fewer.
void compute_slopes(const SpeechTables& tables, const TrackRows& tracks, TrackRows& slopes) {
  const Index n_values = tracks.view().rows, n_frames = tracks.view().cols;
  slopes.require(n_values, n_frames, tables.kernels.lanes);
  for (Index value = 0; value < n_values; ++value)
    if (n_frames > 9)
      tables.kernels.slopes(tracks.row(value), n_frames, slopes.row(value));
    else
      std::fill_n(slopes.row(value), n_frames, 0.0f);
}

}  // namespace

SpeechTables::SpeechTables(const FeaturePlan& plan_)
    : plan(plan_),
      kernels(speech_track_kernels()),
      fft(make_lane_fft(plan.speech->window, plan.spec.stft.hop_length, kernels.lanes, kernels.fft_columns,
                        false)) {}

Index SpeechTracks::samples_behind(const SpeechTables& tables) {
  return (tables.kernels.lanes + 4) * SpeechFrames::hop_length;
}

void SpeechTracks::compute(const SpeechTables& tables, const SampleBlocks& blocks, Index first_block,
                           Index n_samples) {
  const SpeechPlan& plan = *tables.plan.speech;
  const Index n_frames = tables.plan.n_frames(n_samples), n_bins = tables.plan.n_bins;
  const Index lanes = tables.kernels.lanes, n_mels = plan.mel.n_mels, n_mfcc = plan.dct.rows;
  mel.require(n_mels, n_frames, lanes);
  log_mel.require(n_mels, n_frames, lanes);
  mfcc.require(n_mfcc, n_frames, lanes);
  contrast.require(n_contrasts, n_frames, lanes);
  shape.require(n_shapes, n_frames, lanes);
  scratch_.tile.require(at(tables.fft.layout.n_rows * tables.fft.layout.pitch));
  scratch_.fft.require(tables.fft.scratch_size());
  scratch_.power.require(at(n_bins * lanes));
  scratch_.magnitude.require(at(n_bins * lanes));
  scratch_.relative.require(at(n_bins * 2 * lanes));
  scratch_.bands.require(at(n_mels * lanes));
  scratch_.coefficients.require(at(n_mfcc * lanes));
  const TrackTask task{.plan = &plan,
                       .fft = &tables.fft,
                       .samples = blocks.samples + first_block * SampleBlocks::size,
                       .n_frames = n_frames,
                       .mel = &mel,
                       .log_mel = &log_mel,
                       .mfcc = &mfcc,
                       .contrast = &contrast,
                       .shape = &shape};
  tables.kernels.analyse(task, scratch_);
  float* const rms_db = shape.row(static_cast<Index>(SpectralShape::rms_db));
  float* const zero_crossing_rate = shape.row(static_cast<Index>(SpectralShape::zero_crossing_rate));
  for (Index frame = 0; frame < n_frames; ++frame) {
    const Index block = first_block + frame * SampleBlocks::in_hop;
    rms_db[frame] = static_cast<float>(frame_db(blocks.mean_square(block)));
    zero_crossing_rate[frame] = static_cast<float>(blocks.zero_crossing_rate(block));
  }
  compute_slopes(tables, mfcc, mfcc_slopes);
  compute_slopes(tables, mfcc_slopes, mfcc_curvatures);
  compute_slopes(tables, shape, shape_slopes);
}

void put_mean_and_std(const SpeechTrackKernels& kernels, const TrackRows& tracks, float* statistics) {
  const Index n_values = tracks.view().rows, n_frames = tracks.view().cols;
  for (Index value = 0; value < n_values; ++value)
    kernels.mean_and_std(tracks.row(value), n_frames, statistics[value], statistics[n_values + value]);
}

}  // namespace melgrad
