#pragma once
// Whether a device computes what it should: a small probe by the engine under test and by one that is known
// to be right, the CPU's. Done at the first use of a device in a process, for a wrong driver, a broken card
// or a kernel that was built wrong would otherwise show as a model that is a little worse.

#include <cstdint>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/core/waveform_batch.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

// Of a family's spread (a descriptor's values in one row: greatest less least). Either engine is within 1e-4
// of librosa.
inline constexpr double self_check_tolerance = 2e-4;

// Synthetic int16 clips at 16 kHz, ragged: two chords off the concert pitch, the first longer than a block of
// frames of any kernel, the second with digital silence in it and a faint end, and a clip shorter than a
// window. Their tuning is far from a tie, so that engines that round differently agree on it.
struct ProbeClips {
  static constexpr int sample_rate = 16000;
  std::vector<std::int16_t> samples;
  std::vector<Index> offsets;
  WaveformBatch batch() const { return {sample_rate, std::span<const std::int16_t>(samples), offsets}; }
};
ProbeClips probe_clips();

// The notebook's features of the probe. Throws Error that names the feature, the clip, both values and the
// tolerance, for the worst of them.
void check_features(Engine& engine, Engine& reference);

// The groups of the speech set that have kernels, of a short chord and of less than a frame. Each value
// within self_check_speech_tolerance of itself, or of 1. Throws likewise.
inline constexpr double self_check_speech_tolerance = 1e-3;
void check_speech(Engine& engine, Engine& reference);

// Training of small networks with everything that has kernels of its own: activations, solvers, dropout,
// batch_norm. Throws Error that names the network, the probability, both values and the tolerance.
inline constexpr double self_check_training_tolerance = 1e-4;
void check_training(Engine& engine, Engine& reference);

}  // namespace melgrad
