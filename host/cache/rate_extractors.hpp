#pragma once
// One FeatureSpec at every sample rate that clips turn out to have.

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "host/engine/engine.hpp"

namespace melgrad {

class RateExtractors {
 public:
  RateExtractors(const FeatureSpec& spec, Engine& engine) : spec_(spec), engine_(engine) {}

  // The extractor for clips of this rate, made when it is first asked for. Throws Error where the spec makes
  // no sense at this rate, UsageError where that is the spec's own rate. Any thread may ask.
  FeatureExtractor& at(int sample_rate);
  // Throws Error where a clip is too short for a frame. Any thread may ask.
  void check_length(int sample_rate, Index n_samples);

 private:
  struct Entry {
    FeaturePlan plan;
    std::unique_ptr<FeatureExtractor> extractor;
    std::string why_not;  // there is none
  };
  const Entry& entry(int sample_rate);

  const FeatureSpec& spec_;
  Engine& engine_;
  std::mutex mutex_;
  std::map<int, Entry> entries_;
};

}  // namespace melgrad
