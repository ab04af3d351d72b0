#pragma once
// The group `prosody` of the `speech` set: pitch, loudness and timing of a clip.

#include <span>

#include "host/cpu/speech_contours.hpp"
#include "host/cpu/speech_frames.hpp"

namespace melgrad {

// values [57], in the order of value_names(SpeechGroup::prosody). A frame is voiced here if its periodicity
// is over 0.5 and its loudness within 30 dB of the loudest; if fewer than 5 are, the 5 most periodic ones
// count. Over voiced frames: log2 f0 (mean, std, percentiles 2, 10, 25, 50, 75, 90, 98, ranges between the
// outer two pairs, slope per second; of steps between neighbours below 0.2 mean, std, mean size, percentiles
// 5, 25, 75, 95); periodicity (mean, std; the mean over all frames); their share; runs of them (per second;
// mean, std and longest in seconds); means of quarters of f0; loudness in dB (mean, std, largest, correlation
// with f0). Over all frames: shares within 10, 20 and 30 dB of the loudest; means of fifths less the mean;
// the autocorrelation of loudness after 50, 100, 150, 200, 300 and 400 ms (0 up to 41 frames). Then the
// length of the clip in seconds, of the recording, of the silence before and after; the mean f0 less the
// first, the last less the mean; and where among the voiced frames f0 and loudness have their first maximum,
// in [0, 1).
void put_prosody(const SpeechFrames& frames, const RoughPitch& pitch, const SpeechContours& contours,
                 SpeechScratch& scratch, std::span<float> values);

}  // namespace melgrad
