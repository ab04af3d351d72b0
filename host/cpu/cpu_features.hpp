#pragma once
// The CPU engine's FeatureExtractor: several frames at once, one in each SIMD lane, and a clip per thread.
//
// A worker keeps 4 bytes per frame and bin (if there is chroma) and per frame and mel band of an mfcc, for up
// to `kept_bytes`; of clips longer than that, spectra of the rest are computed twice. Chroma with estimated
// tuning keeps besides 12 bytes per spectral peak between 150 and 4000 Hz, of which there is at most one in
// every other bin: typically 0.5 KB a frame with n_fft 2048 at 48 kHz.

#include <cstddef>
#include <memory>

#include "host/engine/engine.hpp"

namespace melgrad {

// With the present instruction set (simd.hpp). extract and tracks throw Error for a clip without a frame.
std::unique_ptr<FeatureExtractor> make_cpu_feature_extractor(const FeaturePlan& plan, int n_threads,
                                                             std::size_t kept_bytes = std::size_t{64} << 20);

}  // namespace melgrad
