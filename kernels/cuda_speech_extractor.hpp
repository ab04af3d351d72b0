#pragma once
// The CUDA engine's FeatureExtractor of the speech set. The host finds where clips begin and end while it
// stages their samples; everything else is computed on the device.

#include <memory>

#include "host/engine/engine.hpp"
#include "kernels/cuda_feature_extractor.hpp"

namespace melgrad::MELGRAD_KERNELS {

// plan.speech is there, and has_kernels() all of its groups. extract and tracks throw Error for a clip
// without samples, and for one that device_bytes do not hold. A clip's row does not depend on its batch, on
// how that is cut, or on device_bytes. Tracks are those of the groups mfcc, log_mel, contrast and shape.
std::unique_ptr<FeatureExtractor> make_cuda_speech_extractor(const FeaturePlan& plan,
                                                             const CudaFeatureOptions& options = {});

}  // namespace melgrad::MELGRAD_KERNELS
