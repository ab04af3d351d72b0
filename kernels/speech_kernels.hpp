#pragma once
// The kernels of the speech set (host/features/speech_groups.hpp) on a stream, for a part of a batch. In this
// order:
//
//   spectra      a block per chunk of frames: the transform; log-mel, contrast, shape
//   cepstra      a block per chunk: the clamp of log-mel 80 dB below the clip's maximum, its slope, mfcc
//   deltas       a block per chunk: slopes of a track over time
//   statistics   a block per clip: mean and standard deviation of every track that is asked for
//   pitch        a block per frame: the best lag of its autocorrelation
//   prosody      a block per clip: its 57 values of pitch, loudness and timing
//
// Spectra stay in shared memory; tracks, 216 floats a frame, lie in device memory.

#include "kernels/speech_layout.hpp"

namespace melgrad::MELGRAD_KERNELS {

void launch_speech_spectra(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream);
void launch_speech_cepstra(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream);
// From the track of one group to that of another.
void launch_speech_deltas(const speech::Part& part, SpeechGroup from, SpeechGroup to, cudaStream_t stream);
void launch_speech_statistics(const speech::Part& part, cudaStream_t stream);
void launch_speech_pitch(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream);
void launch_speech_prosody(const speech::Tables& tables, const speech::Part& part, cudaStream_t stream);

}  // namespace melgrad::MELGRAD_KERNELS
