#pragma once
// The CPU engine's FeatureExtractor.

#include <memory>

#include "host/engine/engine.hpp"

namespace melgrad {

std::unique_ptr<FeatureExtractor> make_cpu_feature_extractor(const FeaturePlan& plan, int n_threads);

}  // namespace melgrad
