#pragma once
// The quality of the voice: harmonics, noise, tilt of the spectrum, and how pitch and loudness tremble from
// frame to frame.

#include <span>

#include "host/cpu/speech_contours.hpp"
#include "host/cpu/speech_kernels.hpp"

namespace melgrad {

// Fills contours.voice from power spectra of the voiced frames (40 ms, bins of 7.8 Hz, in dB). With H1, H2,
// H4 the largest level within 8 % (at least a bin) of the first, second and fourth harmonic, and A1, A2, A3
// that of 300 to 1000, 1200 to 2400 and 2400 to 3800 Hz:
//   harmonics_to_noise  10 log10(h / (1 - h)) of the autocorrelation's height h
//   cepstral_peak       100 times the cepstrum's largest value within 2 samples of the pitch period, over
//                       the line through quefrencies 24 to 249 (Hillenbrand 1994)
//   h1_h2 ... h2_h4     differences of those levels
//   others              see VoiceSpectra
// padded: see pad_for_long_frames.
void measure_voice(const SpeechKernels& kernels, LongFrames& frames, std::span<const float> padded,
                   SpeechContours& contours);

// 76 values: a summary of each measure; median and 75th percentile of jitter and shimmer (differences of
// periods and of dB between neighbouring frames) and of the second differences of semitones and of dB; then
// logarithms of three of their means.
void put_voice(const SpeechContours& contours, SpeechScratch& scratch, std::span<float> out);

}  // namespace melgrad
