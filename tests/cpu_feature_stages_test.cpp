// Pieces of the CPU feature extractor that have a truth of their own.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "host/core/philox.hpp"
#include "host/cpu/feature_kernels.hpp"
#include "host/cpu/feature_tables.hpp"
#include "host/cpu/tuning.hpp"
#include "support/feature_clips.hpp"

namespace melgrad {
namespace {

using namespace testing;

}  // namespace

TEST_SUITE("cpu_feature_stages") {
  TEST_CASE("decibels lie within 1e-5 dB and 1.2e-7 of themselves of libm's") {
    std::vector<float> x;
    for (float value = 1e-30f; value < 1e30f; value *= 1.0007f) x.push_back(value);
    for (float value = 0.99f; value < 1.01f; value = std::nextafter(value, 2.0f) + 1e-6f) x.push_back(value);
    x.push_back(0);
    while (x.size() % 16 != 0) x.push_back(1);
    for_each_simd([&](const std::string& simd) {
      CAPTURE(simd);
      for (const float amin : {1e-10f, 1e-30f}) {
        std::vector<float> db(x.size());
        feature_kernels().decibels(x.data(), x.size(), amin, db.data());
        double worst = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double truth = 10 * std::log10(static_cast<double>(std::max(x[i], amin)));
          worst = std::max(worst,
                           std::abs(static_cast<double>(db[i]) - truth) / (1e-5 + 1.2e-7 * std::abs(truth)));
        }
        CHECK(worst < 1);
      }
    });
  }

  TEST_CASE("the median is that of the sorted values") {
    PhiloxSequence random(5, RandomStream::search);
    for (const std::size_t n : {1, 2, 3, 10, 1001, 5000}) {
      CAPTURE(n);
      std::vector<float> wide, narrow, ties;
      for (std::size_t i = 0; i < n; ++i) {
        wide.push_back(
            std::ldexp(0.5f + random.next_uniform01(), static_cast<int>(random.next_below(60)) - 30));
        narrow.push_back(1 + 1e-4f * random.next_uniform01());
        ties.push_back(static_cast<float>(1 + random.next_below(3)));
      }
      for (auto values : {wide, narrow, ties}) {
        const float median = median_of_positive(values);
        std::sort(values.begin(), values.end());
        CHECK(median == (n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) * 0.5f));
      }
    }
  }

  TEST_CASE("residuals are counted between the edges as doubles compare, and the first fullest bin wins") {
    for (std::size_t bin = 0; bin < TuningPlan::n_tunings; ++bin) {
      CAPTURE(bin);
      // The least float at or above the bin's left edge, and the greatest below its right edge.
      auto low = static_cast<float>(tuning_edges[bin]), high = static_cast<float>(tuning_edges[bin + 1]);
      if (static_cast<double>(low) < tuning_edges[bin]) low = std::nextafter(low, 1.0f);
      if (static_cast<double>(high) >= tuning_edges[bin + 1]) high = std::nextafter(high, -1.0f);
      CHECK(fullest_tuning_bin(std::vector{low}) == static_cast<int>(bin));
      CHECK(fullest_tuning_bin(std::vector{high}) == static_cast<int>(bin));
    }
    CHECK(fullest_tuning_bin(std::vector{0.305f, -0.105f, 0.205f, -0.105f, 0.205f}) == 39);
  }

  TEST_CASE("a compact chroma bank is the bank, but for weights below 4e-8 of a bin's largest") {
    for (const int n_fft : {256, 2048, 1103})
      for (const int n_chroma : {1, 5, 6, 7, 12, 24, 36, 96}) {
        CAPTURE(n_fft);
        CAPTURE(n_chroma);
        const FeatureSpec spec{.name = "chroma",
                               .stft = {.n_fft = n_fft, .hop_length = 64},
                               .descriptors = {{ChromaStft{.n_chroma = n_chroma, .tuning = {}}}}};
        const FeaturePlan plan = make_feature_plan(spec, 22050);
        const Matrix<float> whole = chroma_bank(plan, n_chroma, -0.31);
        const ChromaBank compact(whole);
        Matrix<float> rebuilt(n_chroma, plan.n_bins);
        for (int bin = 0; bin < compact.n_wide; ++bin)
          for (int c = 0; c < n_chroma; ++c)
            rebuilt(c, bin) = compact.wide[static_cast<std::size_t>(bin * n_chroma + c)];
        for (std::size_t group = 0; group < compact.group_first.size(); ++group)
          for (int bin = compact.group_begin[group]; bin < compact.group_begin[group + 1]; ++bin)
            for (int j = 0; j < ChromaBank::band; ++j)
              rebuilt((compact.group_first[group] + j) % n_chroma, bin) =
                  compact.narrow[static_cast<std::size_t>((bin - compact.n_wide) * ChromaBank::band + j)];
        CHECK(compact.group_begin.back() == plan.n_bins);
        double worst = 0;
        for (Index bin = 0; bin < plan.n_bins; ++bin) {
          float largest = 0;
          for (Index c = 0; c < n_chroma; ++c) largest = std::max(largest, whole(c, bin));
          for (Index c = 0; c < n_chroma; ++c)
            worst = std::max(worst, static_cast<double>(std::abs(rebuilt(c, bin) - whole(c, bin)) / largest));
        }
        CHECK(worst <= 4e-8);
      }
  }
}

}  // namespace melgrad
