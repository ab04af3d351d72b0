#include "host/report/results.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "host/cache/atomic_file.hpp"
#include "host/core/error.hpp"
#include "host/core/file_system.hpp"
#include "host/core/parse_json.hpp"
#include "host/core/pretty_json.hpp"
#include "host/evaluation/prediction_metrics.hpp"
#include "host/report/json_members.hpp"
#include "host/report/measurements.hpp"
#include "host/report/statistics_json.hpp"

namespace melgrad {
namespace {

constexpr int schema_version = 2;

// ---- writing

Json to_json(const std::vector<Refusal>& refused) {
  Json json = Json::array();
  for (const Refusal& each : refused) json.push_back({{"path", each.path}, {"reason", each.reason}});
  return json;
}

template <class T>
Json rows_to_json(const Matrix<T>& matrix) {
  Json rows = Json::array();
  for (Index row = 0; row < matrix.rows; ++row) {
    const auto values = matrix.row(row);
    rows.push_back(std::vector<T>(values.begin(), values.end()));
  }
  return rows;
}

Json to_json(const std::vector<ClipSummary>& clips) {
  Json json = Json::array();
  for (const ClipSummary& clip : clips)
    json.push_back({{"path", clip.path},
                    {"label", clip.label},
                    {"group", clip.group},
                    {"duration_s", clip.duration_s},
                    {"attributes", clip.attributes}});
  return json;
}

Json to_json(const DatasetSummary& dataset) {
  return {{"name", dataset.name},
          {"n_clips", dataset.n_clips},
          {"n_refused", dataset.refused.size()},
          {"refused", to_json(dataset.refused)},
          {"labels", dataset.labels},
          {"label_counts", dataset.label_counts},
          {"n_groups", dataset.groups.size()},
          {"group_noun", dataset.group_noun},
          {"groups", dataset.groups},
          {"group_counts", dataset.group_counts},
          {"n_duplicates", dataset.n_duplicates},
          {"audio_seconds", dataset.audio_seconds},
          {"clips", to_json(dataset.clips)}};
}

Json to_json(const FeatureSummary& features) {
  const auto rate = [](double value) { return value > 0 ? Json(value) : Json(); };
  return {{"set", features.spec.name},
          {"n_features", features.n_features},
          {"seconds", features.seconds},
          {"cpu_seconds", features.cpu_seconds},
          {"clips_per_second", rate(features.clips_per_second)},
          {"real_time_factor", rate(features.real_time_factor)},
          {"cached_clips", features.cached_clips},
          {"computed_by", features.division},
          {"spec", to_json(features.spec)}};
}

// `available`: else every number is null.
void add_metrics(Json& json, const Metrics& metrics, bool available) {
  const auto value = [&](auto number) { return available ? Json(number) : Json(); };
  json["accuracy"] = value(metrics.accuracy);
  json["balanced_accuracy"] = value(metrics.balanced_accuracy);
  json["macro_precision"] = value(metrics.macro_precision);
  json["macro_recall"] = value(metrics.macro_recall);
  json["macro_f1"] = value(metrics.macro_f1);
  json["n_test"] = metrics.n_test;
}

Json to_json(const SplitResult& split) {
  Json json = {{"name", split.name}, {"n_train", split.n_train}, {"n_left_out", split.n_left_out}};
  add_metrics(json, split.metrics, true);
  json["parameters"] = split.parameters;
  json.update(to_json_fields(split.times));
  const bool in_epochs = split.training.n_iter > 0;
  json["n_iter"] = in_epochs ? Json(split.training.n_iter) : Json();
  json["stop_reason"] = in_epochs ? Json(to_name(split.training.stop_reason)) : Json();
  json["loss_curve"] = split.training.loss_curve;
  json["validation_scores"] = split.training.validation_scores;
  return json;
}

Json to_json(const Prediction& prediction, const std::vector<std::string>& labels) {
  return {{"path", prediction.path},
          {"truth", labels[static_cast<std::size_t>(prediction.truth)]},
          {"predicted", labels[static_cast<std::size_t>(prediction.predicted)]},
          {"probability", prediction.probability},
          {"probability_of_truth", prediction.probability_of_truth},
          {"squared_error", prediction.squared_error},
          {"has_sibling", prediction.has_sibling},
          {"split", prediction.split}};
}

Json to_json(const ProtocolResult& result) {
  const bool available = result.why_not.empty();
  Json json = {{"name", result.name}, {"protocol", std::string(to_name(result.protocol))}};
  json["why_not"] = available ? Json() : Json(result.why_not);
  json["notes"] = result.notes;
  add_metrics(json, result.metrics, available);
  json.update(to_json_fields(result.times));
  json["labels"] = result.labels;
  json["grid"] = result.grid;
  const bool has_matrix = result.labels.size() <= most_confusion_classes;
  json["confusion_matrix"] = has_matrix ? rows_to_json(result.confusion) : Json();
  json["confusion_matrix_normalised"] = has_matrix ? rows_to_json(normalise_rows(result.confusion)) : Json();
  json["per_class"] = Json::array();
  for (std::size_t label = 0; label < result.metrics.per_class.size(); ++label) {
    Json each = {{"label", result.labels[label]}};
    each.update(to_json_fields(result.metrics.per_class[label]));
    json["per_class"].push_back(each);
  }
  json["over_splits"] = {{"accuracy", to_json_fields(result.accuracy)},
                         {"balanced_accuracy", to_json_fields(result.balanced_accuracy)},
                         {"macro_f1", to_json_fields(result.macro_f1)}};
  const bool tested = !result.predictions.empty();
  json["statistics"] = tested ? to_json(result.statistics, result.labels) : Json();
  json["refused"] = to_json(result.refused);
  json["left_out"] = to_json(result.left_out);
  json["splits"] = Json::array();
  for (const SplitResult& split : result.splits) json["splits"].push_back(to_json(split));
  json["predictions"] = Json::array();
  for (const Prediction& each : result.predictions)
    json["predictions"].push_back(to_json(each, result.labels));
  return json;
}

// ---- reading

void read_refusals(const Json& json, const char* name, std::vector<Refusal>& refused) {
  for (const Json& each : member(json, name)) {
    Refusal& refusal = refused.emplace_back();
    read_member(each, "path", refusal.path);
    read_member(each, "reason", refusal.reason);
  }
}

using LabelIndices = std::unordered_map<std::string, int>;

int label_index(const Json& json, const char* name, const LabelIndices& labels) {
  std::string label;
  read_member(json, name, label);
  const auto found = labels.find(label);
  if (found == labels.end()) fail("'{}' is '{}', which is not one of the labels", name, label);
  return found->second;
}

DatasetSummary dataset_from_json(const Json& json) {
  DatasetSummary dataset;
  read_member(json, "name", dataset.name);
  read_member(json, "n_clips", dataset.n_clips);
  read_refusals(json, "refused", dataset.refused);
  read_member(json, "labels", dataset.labels);
  read_member(json, "label_counts", dataset.label_counts);
  read_member(json, "group_noun", dataset.group_noun);
  read_member(json, "groups", dataset.groups);
  read_member(json, "group_counts", dataset.group_counts);
  read_member(json, "n_duplicates", dataset.n_duplicates);
  read_member(json, "audio_seconds", dataset.audio_seconds);
  for (const Json& each : member(json, "clips")) {
    ClipSummary& clip = dataset.clips.emplace_back();
    read_member(each, "path", clip.path);
    read_member(each, "label", clip.label);
    read_member(each, "group", clip.group);
    read_member(each, "duration_s", clip.duration_s);
    read_member(each, "attributes", clip.attributes);
  }
  if (dataset.label_counts.size() != dataset.labels.size() ||
      dataset.group_counts.size() != dataset.groups.size())
    fail("'label_counts' or 'group_counts' does not fit its names");
  return dataset;
}

FeatureSummary features_from_json(const Json& json) {
  FeatureSummary features;
  features.spec = feature_spec_from_json(member(json, "spec"));
  read_member(json, "n_features", features.n_features);
  read_member(json, "seconds", features.seconds);
  read_member(json, "cpu_seconds", features.cpu_seconds);
  read_member(json, "clips_per_second", 0, features.clips_per_second);
  read_member(json, "real_time_factor", 0, features.real_time_factor);
  read_member(json, "cached_clips", features.cached_clips);
  if (json.contains("computed_by")) read_member(json, "computed_by", features.division);
  return features;
}

SplitResult split_from_json(const Json& json) {
  SplitResult split;
  read_member(json, "name", split.name);
  read_member(json, "n_train", split.n_train);
  read_member(json, "n_left_out", split.n_left_out);
  split.parameters = member(json, "parameters");
  read_fields(json, split.times);
  if (!member(json, "n_iter").is_null()) {
    std::string stop_reason;
    read_member(json, "n_iter", split.training.n_iter);
    read_member(json, "stop_reason", stop_reason);
    split.training.stop_reason = from_name<StopReason>(stop_reason);
  }
  read_member(json, "loss_curve", split.training.loss_curve);
  read_member(json, "validation_scores", split.training.validation_scores);
  return split;
}

Prediction prediction_from_json(const Json& json, const LabelIndices& labels, std::size_t n_splits) {
  Prediction prediction;
  read_member(json, "path", prediction.path);
  prediction.truth = label_index(json, "truth", labels);
  prediction.predicted = label_index(json, "predicted", labels);
  read_member(json, "probability", prediction.probability);
  read_member(json, "probability_of_truth", prediction.probability_of_truth);
  read_member(json, "squared_error", prediction.squared_error);
  read_member(json, "has_sibling", prediction.has_sibling);
  read_member(json, "split", prediction.split);
  if (prediction.split < 0 || static_cast<std::size_t>(prediction.split) >= n_splits)
    fail("'split' is {} of {}", prediction.split, n_splits);
  return prediction;
}

ProtocolResult protocol_from_json(const Json& json) {
  ProtocolResult result;
  std::string protocol;
  read_member(json, "name", result.name);
  read_member(json, "protocol", protocol);
  result.protocol = from_name<Protocol>(protocol);
  if (!member(json, "why_not").is_null()) read_member(json, "why_not", result.why_not);
  read_member(json, "notes", result.notes);
  read_member(json, "labels", result.labels);
  result.grid = member(json, "grid");
  read_refusals(json, "refused", result.refused);
  read_refusals(json, "left_out", result.left_out);
  for (const Json& each : member(json, "splits")) result.splits.push_back(split_from_json(each));
  LabelIndices labels;
  for (const std::string& label : result.labels) labels.emplace(label, static_cast<int>(labels.size()));
  if (labels.size() != result.labels.size()) fail("'labels' has one of them twice");
  for (const Json& each : member(json, "predictions"))
    result.predictions.push_back(prediction_from_json(each, labels, result.splits.size()));
  pool_predictions(result);
  if (!result.predictions.empty())
    result.statistics = with_context("statistics", [&] {
      return prediction_statistics_from_json(member(json, "statistics"), result.labels);
    });
  return result;
}

}  // namespace

DatasetSummary summarise(const std::string& name, const Dataset& dataset, std::vector<Refusal> refused) {
  DatasetSummary summary;
  summary.name = name;
  summary.n_clips = dataset.n_rows() + static_cast<Index>(refused.size());
  summary.refused = std::move(refused);
  summary.labels = dataset.label_names;
  summary.label_counts.resize(dataset.label_names.size());
  for (const int label : dataset.labels) ++summary.label_counts[static_cast<std::size_t>(label)];
  summary.groups = dataset.group_names;
  summary.group_noun = dataset.group_noun;
  summary.group_counts.resize(dataset.group_names.size());
  for (const int group : dataset.groups)
    if (group >= 0) ++summary.group_counts[static_cast<std::size_t>(group)];
  summary.n_duplicates = dataset.n_rows() - static_cast<Index>(dataset.audio_hash.size());
  for (const double duration : dataset.duration_s) summary.audio_seconds += duration;
  for (std::size_t i = 0; i < dataset.clips.size(); ++i) {
    const Clip& clip = dataset.clips[i];
    summary.clips.push_back({clip.path, clip.label, clip.group, dataset.duration_s[i], clip.attributes});
  }
  return summary;
}

FeatureSummary summarise(const FeatureSpec& spec, const ExtractionReport& report) {
  FeatureSummary summary;
  summary.spec = spec;
  summary.n_features = n_features(spec);
  summary.seconds = report.seconds;
  summary.cpu_seconds = report.cpu_seconds;
  summary.cached_clips = report.n_cached;
  const auto n_extracted = static_cast<double>(report.n_clips - report.n_refused - report.n_cached);
  if (n_extracted > 0 && report.seconds > 0) {
    summary.clips_per_second = n_extracted / report.seconds;
    summary.real_time_factor = (report.audio_seconds - report.cached_audio_seconds) / report.seconds;
  }
  return summary;
}

Json to_json(const Results& results) {
  Json json;
  json["schema_version"] = schema_version;
  json["version"] = results.version;
  json["date"] = results.date;
  json["device"] = results.device;
  json["device_description"] = results.device_description;
  json["device_choice"] = results.device_choice;
  json["random_state"] = results.random_state;
  json["options"] = results.options;
  json["dataset"] = to_json(results.dataset);
  json["own"] = results.own ? to_json(*results.own) : Json();
  json["features"] = to_json(results.features);
  json["gaps"] = Json::array();
  for (const std::string& name : model_names(results.models)) {
    const auto gap = protocol_gap(results.models, name);
    if (!gap) continue;
    Json each = {{"name", name}};
    each.update(to_json_fields(*gap));
    json["gaps"].push_back(each);
  }
  json["comparisons"] = Json::array();
  for (const ModelComparison& each : results.comparisons) json["comparisons"].push_back(to_json(each));
  json["drift"] = results.drift ? to_json(*results.drift) : Json();
  json["bench"] = results.bench;
  json["learning_curve"] = results.learning_curve;
  json["models"] = Json::array();
  for (const ProtocolResult& each : results.models) json["models"].push_back(to_json(each));
  return json;
}

Results results_from_json(const Json& json) {
  int version = 0;
  read_member(json, "schema_version", version);
  if (version != schema_version)
    fail("results of schema version {}; this melgrad reads version {}", version, schema_version);
  Results results;
  read_member(json, "version", results.version);
  read_member(json, "date", results.date);
  read_member(json, "device", results.device);
  read_member(json, "device_description", results.device_description);
  read_member(json, "device_choice", results.device_choice);
  read_member(json, "random_state", results.random_state);
  results.options = member(json, "options");
  results.dataset = with_context("dataset", [&] { return dataset_from_json(member(json, "dataset")); });
  if (const Json& own = member(json, "own"); !own.is_null())
    results.own = with_context("own", [&] { return dataset_from_json(own); });
  results.features = with_context("features", [&] { return features_from_json(member(json, "features")); });
  for (const Json& each : member(json, "comparisons"))
    results.comparisons.push_back(with_context(fmt::format("comparisons[{}]", results.comparisons.size()),
                                               [&] { return model_comparison_from_json(each); }));
  if (const Json& drift = member(json, "drift"); !drift.is_null())
    results.drift = with_context("drift", [&] { return drift_from_json(drift); });
  results.bench = member(json, "bench");
  with_context("bench", [&] { measurements_from_json(results.bench); });
  results.learning_curve = member(json, "learning_curve");
  with_context("learning_curve", [&] { learning_points_from_json(results.learning_curve); });
  for (const Json& each : member(json, "models"))
    results.models.push_back(with_context(fmt::format("models[{}]", results.models.size()),
                                          [&] { return protocol_from_json(each); }));
  return results;
}

std::string results_file_text(const Results& results) {
  return pretty_text(to_json(results));
}

void write_results(const Results& results, const std::filesystem::path& file) {
  const std::string text = results_file_text(results);
  save_atomically(file, std::as_bytes(std::span(text)), [](const std::filesystem::path&) {});
}

Results read_results(const std::filesystem::path& file) {
  return with_context(file.string(), [&] { return results_from_json(parse_json(read_text_file(file))); });
}

}  // namespace melgrad
