#pragma once
// Results with everything that a report can show: several models, and made-up statistics.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "example_results.hpp"

namespace melgrad {

inline void add_example_statistics(ProtocolResult& result) {
  PredictionStatistics& statistics = result.statistics;
  const double accuracy = result.metrics.accuracy;
  const Interval interval{std::max(accuracy - 0.03, 0.0), std::min(accuracy + 0.03, 1.0)};
  statistics.intervals = {"group", 20, 2000, interval, interval, interval};
  statistics.calibration.expected_calibration_error = 0.08;
  for (int bin = 1; bin < 10; ++bin)
    statistics.calibration.bins.push_back(
        {0.1 * bin, 0.1 * (bin + 1), 20 * bin, 0.1 * bin + 0.06, std::max(0.1 * bin - 0.04, 0.0)});
  for (int group = 1; group <= 20; ++group)
    statistics.subgroups.push_back(
        {"group", fmt::format("{:02}", group), 60, group / 25.0, wilson_interval(60 * group / 25, 60)});
  statistics.subgroups.push_back({"intensity", "normal", 600, 0.35, wilson_interval(210, 600)});
  statistics.subgroups.push_back({"intensity", "strong", 600, 0.45, wilson_interval(270, 600)});
  if (result.protocol == Protocol::random)
    statistics.leak =
        SiblingLeak{"same group, label and statement", 960, 240, accuracy + 0.03, accuracy - 0.1};
}

// The first n_models of five, the best first. Under the protocols that `has` allows, of the others a reason
// is said.
inline Results example_report(const std::vector<std::string>& labels, int n_models = 5, bool with_own = true,
                              bool with_speakers = true) {
  struct Model {
    const char* name;
    double minus;  // accuracy, to the best
    double fit_cpu_seconds;
    double predict_cpu_seconds;  // of a clip
  };
  static constexpr Model models[] = {{"mlp_ensemble", 0, 60, 4e-5},
                                     {"mlp", 0.02, 6, 4e-6},
                                     {"svm", 0.025, 0.3, 3e-4},
                                     {"random_forest", 0.08, 2, 6e-5},
                                     {"knn", 0.13, 3e-4, 8e-4}};
  Results results = example_results(labels, with_own);
  results.options["command_line"] = "melgrad run recordings --own mine --random-state 7";
  results.models.clear();
  const auto add = [&](const Model& model, Protocol protocol, int n_splits, int n_test, double accuracy) {
    ProtocolResult result = example_protocol(protocol, labels, n_splits, n_test, accuracy - model.minus);
    result.name = model.name;
    result.times = {};
    result.times.fit_cpu_seconds = model.fit_cpu_seconds * n_splits;
    result.times.predict_cpu_seconds = model.predict_cpu_seconds * static_cast<double>(result.metrics.n_test);
    if (std::string_view(model.name).substr(0, 3) != "mlp") {
      result.grid = {{"C", {1, 10, 100}}};
      result.times.search_cpu_seconds = 50.0 * n_splits;
      for (SplitResult& split : result.splits) split.training = {};
    }
    add_example_statistics(result);
    results.models.push_back(std::move(result));
  };
  for (int i = 0; i < n_models; ++i) {
    add(models[i], Protocol::random, 5, 240, 0.8);
    if (with_speakers) {
      add(models[i], Protocol::speaker, 5, 240, 0.65);
    } else {
      ProtocolResult& impossible = results.models.emplace_back();
      impossible.name = models[i].name;
      impossible.protocol = Protocol::speaker;
      impossible.why_not = "the data names no speakers";
    }
    if (with_own) add(models[i], Protocol::own, 1, 60, 0.55);
  }
  for (const char* protocol : {"random", "speaker"})
    for (int first = 0; first < n_models; ++first)
      for (int second = first + 1; second < n_models; ++second) {
        const double difference = models[second].minus - models[first].minus,
                     p = difference > 0.05 ? 0.0004 : 0.4;
        results.comparisons.push_back({protocol,
                                       models[first].name,
                                       models[second].name,
                                       1200,
                                       120,
                                       90,
                                       "chi2",
                                       4,
                                       p / 4,
                                       p,
                                       difference,
                                       {difference - 0.02, difference + 0.02}});
      }
  if (with_own) {
    Drift drift;
    drift.n_recordings = 60;
    drift.mean_shift = 0.8;
    drift.typical_mean_shift = 0.4;
    drift.share_beyond_one = 0.2;
    double shift = 3.1;
    for (const char* column : {"spectral_centroid_mean", "mfcc_0_mean", "mel_127_mean", "rms_std", "f0_mean",
                               "mfcc_12_delta_percentile_90", "zero_crossing_rate_mean", "mel_12_mean"})
      drift.features.push_back({column, shift *= -0.9, 0.8, 0.4});
    results.drift = drift;
  }
  return results;
}

inline std::vector<std::string> numbered_labels(const std::string& beginning, int n) {
  std::vector<std::string> labels;
  for (int i = 0; i < n; ++i) labels.push_back(fmt::format("{}{:02}", beginning, i));
  return labels;
}

// Labels that a layout has to survive.
inline std::vector<std::vector<std::string>> awkward_labels() {
  return {
      emotions(),
      {"no", "yes"},
      numbered_labels("digit ", 20),
      numbered_labels("a label of forty letters, or so, number ", 20),
      {"a label of forty letters, or so, number 1", "a label of forty letters, or so, number 2"},
      {"col\u00e8re", "\u03b5\u03c5\u03c4\u03c5\u03c7\u03af\u03b1", "\u0437\u043b\u043e\u0441\u0442\u044c",
       "\u3046\u308c\u3057\u3044", "\u05e9\u05de\u05d7", "\u063a\u0627\u0636\u0628"},
      {"<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "new\nline", "it's & <b>", "\xff\xfe",
       "right\u202eleft"}};
}

}  // namespace melgrad
