#pragma once
// From an audio file to a mono waveform at the file's own rate, through libsndfile: WAV, FLAC, Ogg, MP3, AIFF
// and whatever else it reads.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "host/audio/waveform.hpp"

namespace melgrad {

// What a file is refused for if it goes beyond.
inline constexpr int min_sample_rate = 1'000;    // Hz
inline constexpr int max_sample_rate = 768'000;  // Hz
inline constexpr int max_channels = 2;           // more are a recording of a room, whose mean is no voice
inline constexpr double max_amplitude = 4294967296.0;  // 32-bit integers stored as floats pass

struct DecodeOptions {
  double max_duration_s = 4 * 3600;  // of one clip
};

// Decodes file after file and keeps its buffers. One object a thread.
//
// Integers of up to 16 bits stay int16 (8-bit ones are shifted up, as libsndfile does) where there is one
// channel or both are identical. Everything else becomes float32, two channels by their mean, as
// librosa.load(path, sr=None, mono=True).
//
// Throws an Error whose message is a reason without the path, made to stand beside it: the file cannot be
// opened, is a folder or no regular file, is empty, is not audio, has a sample rate, number of channels or
// length beyond the limits (checked before memory is taken), has no samples, is truncated or corrupt, holds
// NaN, infinity or values beyond max_amplitude, is silent or constant. A WAV that a pipe's writer left with
// a placeholder for its length is read to its end.
class AudioDecoder {
 public:
  explicit AudioDecoder(const DecodeOptions& options = {}) : options_(options) {}
  void decode(const std::filesystem::path& file, Waveform& waveform);

 private:
  DecodeOptions options_;
  std::vector<std::int16_t> int16_frames_;  // interleaved channels
  std::vector<float> float_frames_;
};

// For a single file.
Waveform decode_audio(const std::filesystem::path& file, const DecodeOptions& options = {});

}  // namespace melgrad
