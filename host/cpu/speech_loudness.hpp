#pragma once
// The course of loudness, and the rhythm of voice and pause.

#include <span>

#include "host/cpu/speech_contours.hpp"
#include "host/cpu/speech_kernels.hpp"

namespace melgrad {

// 62 values: 33 of loudness (sum over mel bands of power^0.3) and dB, coefficients 1 to 13 of the DCT of dB,
// 16 of rhythm.
void put_loudness(const SpeechKernels& kernels, const SpeechFrames& frames, const SpeechContours& contours,
                  SpeechScratch& scratch, std::span<float> out);

}  // namespace melgrad
