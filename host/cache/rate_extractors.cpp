#include "host/cache/rate_extractors.hpp"

#include <utility>

#include "host/core/error.hpp"

namespace melgrad {

const RateExtractors::Entry& RateExtractors::entry(int sample_rate) {
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(sample_rate);
  if (found == entries_.end()) {
    Entry made;
    try {
      made.plan = make_feature_plan(spec_, sample_rate);
      made.extractor = engine_.feature_extractor(made.plan);
    } catch (const UsageError& error) {
      if (spec_.sample_rate > 0) throw;  // not the clip's fault
      made.why_not = error.what();
    }
    found = entries_.emplace(sample_rate, std::move(made)).first;
  }
  if (!found->second.why_not.empty()) fail("{}", found->second.why_not);
  return found->second;
}

FeatureExtractor& RateExtractors::at(int sample_rate) {
  return *entry(sample_rate).extractor;
}

void RateExtractors::check_length(int sample_rate, Index n_samples) {
  const FeaturePlan& plan = entry(sample_rate).plan;
  if (plan.n_frames(n_samples) == 0)
    fail("has {} samples at {} Hz, too few for one frame of {}", n_samples, sample_rate,
         plan.spec.stft.n_fft);
}

}  // namespace melgrad
