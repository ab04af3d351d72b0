#include "host/cpu/cpu_features.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "host/cpu/simd.hpp"
#include "support/golden_features.hpp"
#include "support/reference_features.hpp"

namespace melgrad {
namespace {

using namespace testing;

struct BestSimdAgain {
  ~BestSimdAgain() { choose_simd(); }
};

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Clips of one kind of sample, as a batch.
template <class Sample>
class Clips {
 public:
  Clips(int sample_rate, const std::vector<std::vector<Sample>>& clips) : sample_rate_(sample_rate) {
    for (const auto& clip : clips) {
      samples_.insert(samples_.end(), clip.begin(), clip.end());
      offsets_.push_back(static_cast<Index>(samples_.size()));
    }
  }
  WaveformBatch batch() const { return {sample_rate_, std::span<const Sample>(samples_), offsets_}; }

 private:
  int sample_rate_;
  std::vector<Sample> samples_;
  std::vector<Index> offsets_ = {0};
};

template <class Sample>
Matrix<float> rows_of(FeatureExtractor& extractor, const FeaturePlan& plan, const Clips<Sample>& clips) {
  Matrix<float> rows(clips.batch().n_clips(), plan.n_features);
  extractor.extract(clips.batch(), rows.view());
  return rows;
}

// The largest difference in parts of the family's spread: of the truth's values, at least `floor`.
double deviation(std::span<const float> ours, std::span<const double> truth) {
  REQUIRE(ours.size() == truth.size());
  double low = truth[0], high = truth[0], worst = 0, size = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    low = std::min(low, truth[i]);
    high = std::max(high, truth[i]);
    size = std::max(size, std::abs(truth[i]));
    worst = std::max(worst, std::abs(static_cast<double>(ours[i]) - truth[i]));
    if (!std::isfinite(ours[i])) return INFINITY;
  }
  const double spread = std::max({high - low, 0.1 * size, 1e-12});
  return worst / spread;
}

}  // namespace

TEST_SUITE("cpu_features") {
  TEST_CASE("rows equal librosa's") {
    const BestSimdAgain restore;
    for (const std::string& simd : available_simd()) {
      use_simd(simd);
      for (const GoldenClip& clip : golden_clips()) {
        const FeaturePlan plan = make_feature_plan(with_given_tuning(clip), clip.signal.sample_rate);
        const auto extractor = make_cpu_feature_extractor(plan, 1);
        const Clips<std::int16_t> clips(clip.signal.sample_rate, {golden_signal(clip.signal)});
        const Matrix<float> rows = rows_of(*extractor, plan, clips);
        for (const DescriptorPlan& descriptor : plan.descriptors)
          for (std::size_t f = 0; f < descriptor.functionals.size(); ++f) {
            const std::size_t first = at(descriptor.first_feature) + f * at(descriptor.n_values);
            CAPTURE(simd);
            CAPTURE(clip.name);
            CAPTURE(descriptor.name);
            CHECK(deviation(rows.row(0).subspan(first, at(descriptor.n_values)),
                            std::span(clip.row).subspan(first, at(descriptor.n_values))) < 2e-5);
          }
      }
    }
  }
}

}  // namespace melgrad
