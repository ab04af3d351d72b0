#pragma once
// The course of the pitch.

#include <span>

#include "host/cpu/course_spectra.hpp"
#include "host/cpu/speech_contours.hpp"

namespace melgrad {

// 60 values: 8 of the pitch itself and 34 of it relative to the clip's median, in semitones; coefficients 1
// to 11 of the DCT of the contour; its modulation in seven bands.
void put_pitch(const SpeechFrames& frames, const SpeechContours& contours, CourseSpectra& spectra,
               SpeechScratch& scratch, std::span<float> out);

}  // namespace melgrad
