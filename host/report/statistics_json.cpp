#include "host/report/statistics_json.hpp"

#include <algorithm>

#include "host/report/json_members.hpp"

namespace melgrad {
namespace {

Json to_json(const BootstrapIntervals& intervals) {
  return {{"unit", intervals.unit},
          {"n_units", intervals.n_units},
          {"n_resamples", intervals.n_resamples},
          {"accuracy", to_json_fields(intervals.accuracy)},
          {"balanced_accuracy", to_json_fields(intervals.balanced_accuracy)},
          {"macro_f1", to_json_fields(intervals.macro_f1)}};
}

BootstrapIntervals bootstrap_intervals_from_json(const Json& json) {
  BootstrapIntervals intervals;
  read_member(json, "unit", intervals.unit);
  read_member(json, "n_units", intervals.n_units);
  read_member(json, "n_resamples", intervals.n_resamples);
  read_fields(member(json, "accuracy"), intervals.accuracy);
  read_fields(member(json, "balanced_accuracy"), intervals.balanced_accuracy);
  read_fields(member(json, "macro_f1"), intervals.macro_f1);
  return intervals;
}

Json to_json(const Subgroup& subgroup) {
  return {{"attribute", subgroup.attribute}, {"value", subgroup.value},
          {"n_test", subgroup.n_test},       {"accuracy", subgroup.accuracy},
          {"low", subgroup.interval.low},    {"high", subgroup.interval.high}};
}

Subgroup subgroup_from_json(const Json& json) {
  Subgroup subgroup;
  read_member(json, "attribute", subgroup.attribute);
  read_member(json, "value", subgroup.value);
  read_member(json, "n_test", subgroup.n_test);
  read_member(json, "accuracy", subgroup.accuracy);
  read_fields(json, subgroup.interval);
  return subgroup;
}

Json to_json(const Calibration& calibration) {
  Json bins = Json::array();
  for (const ReliabilityBin& bin : calibration.bins) bins.push_back(to_json_fields(bin));
  return {{"expected_calibration_error", calibration.expected_calibration_error},
          {"brier_score", calibration.brier_score},
          {"bins", bins}};
}

Calibration calibration_from_json(const Json& json) {
  Calibration calibration;
  read_member(json, "expected_calibration_error", calibration.expected_calibration_error);
  read_member(json, "brier_score", calibration.brier_score);
  for (const Json& bin : member(json, "bins")) read_fields(bin, calibration.bins.emplace_back());
  return calibration;
}

Json to_json(const ConfusedPair& pair, const std::vector<std::string>& labels) {
  return {{"truth", labels[static_cast<std::size_t>(pair.truth)]},
          {"predicted", labels[static_cast<std::size_t>(pair.predicted)]},
          {"count", pair.count},
          {"share", pair.share},
          {"paths", pair.paths}};
}

ConfusedPair confused_pair_from_json(const Json& json, const std::vector<std::string>& labels) {
  ConfusedPair pair;
  pair.truth = label_index(json, "truth", labels);
  pair.predicted = label_index(json, "predicted", labels);
  read_member(json, "count", pair.count);
  read_member(json, "share", pair.share);
  read_member(json, "paths", pair.paths);
  return pair;
}

}  // namespace

int label_index(const Json& json, const char* name, const std::vector<std::string>& labels) {
  std::string label;
  read_member(json, name, label);
  const auto found = std::ranges::find(labels, label);
  if (found == labels.end()) fail("'{}' is '{}', which is not one of the labels", name, label);
  return static_cast<int>(found - labels.begin());
}

Json to_json(const PredictionStatistics& statistics, const std::vector<std::string>& labels) {
  Json json;
  json["intervals"] = to_json(statistics.intervals);
  json["subgroups"] = Json::array();
  for (const Subgroup& each : statistics.subgroups) json["subgroups"].push_back(to_json(each));
  json["calibration"] = to_json(statistics.calibration);
  json["leak"] = statistics.leak ? to_json_fields(*statistics.leak) : Json();
  json["confused_pairs"] = Json::array();
  for (const ConfusedPair& each : statistics.confused_pairs)
    json["confused_pairs"].push_back(to_json(each, labels));
  return json;
}

PredictionStatistics prediction_statistics_from_json(const Json& json,
                                                     const std::vector<std::string>& labels) {
  PredictionStatistics statistics;
  statistics.intervals =
      with_context("intervals", [&] { return bootstrap_intervals_from_json(member(json, "intervals")); });
  for (const Json& each : member(json, "subgroups")) statistics.subgroups.push_back(subgroup_from_json(each));
  statistics.calibration =
      with_context("calibration", [&] { return calibration_from_json(member(json, "calibration")); });
  if (const Json& leak = member(json, "leak"); !leak.is_null()) read_fields(leak, statistics.leak.emplace());
  for (const Json& each : member(json, "confused_pairs"))
    statistics.confused_pairs.push_back(confused_pair_from_json(each, labels));
  return statistics;
}

Json to_json(const ModelComparison& comparison) {
  return {{"protocol", comparison.protocol},
          {"first", comparison.first},
          {"second", comparison.second},
          {"n_test", comparison.n_test},
          {"only_first_right", comparison.only_first_right},
          {"only_second_right", comparison.only_second_right},
          {"method", comparison.method},
          {"statistic", comparison.statistic},
          {"p_value", comparison.p_value},
          {"adjusted_p_value", comparison.adjusted_p_value},
          {"difference", comparison.difference},
          {"low", comparison.interval.low},
          {"high", comparison.interval.high}};
}

ModelComparison model_comparison_from_json(const Json& json) {
  ModelComparison comparison;
  read_member(json, "protocol", comparison.protocol);
  read_member(json, "first", comparison.first);
  read_member(json, "second", comparison.second);
  read_member(json, "n_test", comparison.n_test);
  read_member(json, "only_first_right", comparison.only_first_right);
  read_member(json, "only_second_right", comparison.only_second_right);
  read_member(json, "method", comparison.method);
  read_member(json, "statistic", comparison.statistic);
  read_member(json, "p_value", comparison.p_value);
  read_member(json, "adjusted_p_value", comparison.adjusted_p_value);
  read_member(json, "difference", comparison.difference);
  read_fields(json, comparison.interval);
  return comparison;
}

Json to_json(const Drift& drift) {
  Json features = Json::array();
  for (const FeatureDrift& each : drift.features) features.push_back(to_json_fields(each));
  return {{"n_recordings", drift.n_recordings},
          {"mean_shift", drift.mean_shift},
          {"typical_mean_shift", drift.typical_mean_shift},
          {"share_beyond_one", drift.share_beyond_one},
          {"features", features}};
}

Drift drift_from_json(const Json& json) {
  Drift drift;
  read_member(json, "n_recordings", drift.n_recordings);
  read_member(json, "mean_shift", drift.mean_shift);
  read_member(json, "typical_mean_shift", drift.typical_mean_shift);
  read_member(json, "share_beyond_one", drift.share_beyond_one);
  for (const Json& each : member(json, "features")) read_fields(each, drift.features.emplace_back());
  return drift;
}

}  // namespace melgrad
