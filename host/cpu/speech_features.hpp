#pragma once
// The CPU engine's FeatureExtractor of the speech set: a clip per thread.

#include <memory>

#include "host/engine/engine.hpp"

namespace melgrad {

// plan.speech is there. Tracks are those of the groups mfcc, log_mel, contrast and shape.
std::unique_ptr<FeatureExtractor> make_speech_feature_extractor(const FeaturePlan& plan, int n_threads);

}  // namespace melgrad
