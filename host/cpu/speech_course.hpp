#pragma once
// How the spectrum's shape (MFCC), loudness and voice go together and change in the course of a clip.

#include <span>

#include "host/cpu/course_spectra.hpp"
#include "host/cpu/speech_contours.hpp"

namespace melgrad {

// 138 values: MFCC 0 to 19 of voiced frames, mean and std; their means over unvoiced frames less than 45 dB
// below the loudest (all unvoiced, or all, where there are fewer than 4) and over the loudest 30 %;
// percentiles 10 and 90 of MFCC 0 to 12 less their means; mean power of every second mel band of voiced
// frames over that of all bands, in dB.
void put_voiced_mfcc(const SpeechFrames& frames, const SpeechContours& contours, SpeechScratch& scratch,
                     std::span<float> out);

// 78 values: of each third of the clip the mean of MFCC 0 to 12 less that of the clip; then the std.
void put_thirds(const SpeechFrames& frames, SpeechScratch& scratch, std::span<float> out);

// 48 values, eight times (by eighth of the clip) each: pitch less the median, dB less its mean, share of
// voiced frames, alpha ratio, harmonics to noise, std of pitch. Pitch and voice lie on lines through unvoiced
// frames.
void put_eighths(const SpeechContours& contours, SpeechScratch& scratch, std::span<float> out);

// 63 values: log of the share of each band of modulation_edges_hz (slow to fast) in the power of nine tracks:
// means of eight log-mel bands each (low to high), dB.
void put_modulation(const SpeechFrames& frames, const SpeechContours& contours, CourseSpectra& spectra,
                    SpeechScratch& scratch, std::span<float> out);

// 91 values: Pearson's correlation over frames of MFCC 0 to 13, row by row above the diagonal.
void put_mfcc_correlation(const SpeechFrames& frames, SpeechScratch& scratch, std::span<float> out);

}  // namespace melgrad
