#include "host/cpu/tuning.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "host/features/feature_plan.hpp"

namespace melgrad {
namespace {

// Positive floats are ordered as their bits are. Selects order statistics by one pass that counts values in
// buckets of equal bits >> shift, and one that looks for the wanted rank in the one bucket that holds it, bit
// by bit: no copy, no allocation.
class RankSelect {
 public:
  explicit RankSelect(std::span<const float> values) : values_(values) {
    for (const float value : values) {
      least_ = std::min(least_, std::bit_cast<std::uint32_t>(value));
      greatest_ = std::max(greatest_, std::bit_cast<std::uint32_t>(value));
    }
  }

  // The value of the given rank, 0 being the least.
  float value_of(std::size_t rank) const {
    std::uint32_t low = least_, high = greatest_;  // the value's bits lie in [low, high]
    while (low != high) {
      const int shift = std::max(0, static_cast<int>(std::bit_width(high - low)) - bucket_bits);
      std::array<std::uint32_t, n_buckets> counts{};
      for (const float value : values_) {
        const std::uint32_t offset = std::bit_cast<std::uint32_t>(value) - low;
        if (offset <= high - low) ++counts[offset >> shift];
      }
      std::size_t bucket = 0;
      while (rank >= counts[bucket]) rank -= counts[bucket++];
      low += static_cast<std::uint32_t>(bucket) << shift;
      high = std::min(high, low + ((std::uint32_t{1} << shift) - 1));
    }
    return std::bit_cast<float>(low);
  }

 private:
  static constexpr int bucket_bits = 11;
  static constexpr std::size_t n_buckets = std::size_t{1} << bucket_bits;
  std::span<const float> values_;
  std::uint32_t least_ = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t greatest_ = 0;
};

// Residuals are floats and edges are doubles: a residual is at or above an edge if it is at or above the
// least float that is.
std::array<float, TuningPlan::n_tunings + 1> least_floats_at_edges() {
  std::array<float, TuningPlan::n_tunings + 1> floats{};
  for (std::size_t i = 0; i < floats.size(); ++i) {
    floats[i] = static_cast<float>(tuning_edges[i]);
    if (static_cast<double>(floats[i]) < tuning_edges[i])
      floats[i] = std::nextafter(floats[i], std::numeric_limits<float>::infinity());
  }
  return floats;
}

}  // namespace

float median_of_positive(std::span<const float> values) {
  const RankSelect select(values);
  const std::size_t middle = values.size() / 2;
  const float upper = select.value_of(middle);
  return values.size() % 2 != 0 ? upper : (select.value_of(middle - 1) + upper) * 0.5f;
}

int fullest_tuning_bin(std::span<const float> residuals) {
  static const auto edges = least_floats_at_edges();
  std::array<std::uint32_t, TuningPlan::n_tunings> counts{};
  for (const float residual : residuals) {
    // The product's rounding may put the bin off by one.
    auto bin = static_cast<std::size_t>(
        std::clamp(static_cast<int>((residual + 0.5f) * 100), 0, TuningPlan::n_tunings - 1));
    if (residual < edges[bin])
      --bin;
    else if (bin + 1 < counts.size() && residual >= edges[bin + 1])
      ++bin;
    ++counts[bin];
  }
  return static_cast<int>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

}  // namespace melgrad
