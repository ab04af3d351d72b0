#include "host/evaluation/prediction_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "host/evaluation/bootstrap.hpp"
#include "host/evaluation/protocol_plan.hpp"
#include "host/evaluation/siblings.hpp"

namespace melgrad {
namespace {

constexpr std::size_t most_values_of_attribute = 12;  // of more, none has clips enough to tell of
constexpr std::size_t most_confused_pairs = 10;

struct Counts {
  Index n_right = 0;
  Index n = 0;

  void add(const Prediction& prediction) {
    n_right += prediction.truth == prediction.predicted;
    ++n;
  }
  double accuracy() const { return static_cast<double>(n_right) / static_cast<double>(n); }
};

std::vector<Subgroup> subgroups_of(const ProtocolResult& result, const ClipsByPath& clips) {
  std::map<std::string, std::map<std::string, Counts>> counts;  // of attribute and value
  for (const Prediction& each : result.predictions) {
    const Clip& clip = *clips.at(each.path);
    if (!clip.group.empty()) counts["group"][clip.group].add(each);
    for (const auto& [attribute, value] : clip.attributes) counts[attribute][value].add(each);
  }
  std::vector<Subgroup> subgroups;
  const auto add = [&](const std::string& attribute) {
    for (const auto& [value, of_value] : counts[attribute])
      subgroups.push_back(
          {attribute, value, of_value.n, of_value.accuracy(), wilson_interval(of_value.n_right, of_value.n)});
  };
  add("group");
  for (const auto& [attribute, values] : counts)
    if (attribute != "group" && values.size() > 1 && values.size() <= most_values_of_attribute)
      add(attribute);
  return subgroups;
}

SiblingLeak leak_of(const std::vector<Prediction>& predictions, const std::string& siblings) {
  Counts with, without;
  for (const Prediction& each : predictions) (each.has_sibling ? with : without).add(each);
  const auto accuracy = [](const Counts& counts) {
    return counts.n > 0 ? std::optional(counts.accuracy()) : std::nullopt;
  };
  return {siblings, with.n, without.n, accuracy(with), accuracy(without)};
}

BootstrapIntervals intervals_of(const ProtocolResult& result, const ClipsByPath& clips,
                                std::int64_t random_state) {
  const Units units = resampling_units(result, clips);
  std::vector<int> truth, predicted;
  for (const Prediction& each : result.predictions) {
    truth.push_back(each.truth);
    predicted.push_back(each.predicted);
  }
  BootstrapIntervals intervals = bootstrap_intervals(
      {truth, predicted, units.of_prediction, units.n, static_cast<int>(result.labels.size())}, random_state);
  intervals.unit = units.noun;
  return intervals;
}

// Of each split, by name, the clips that have a sibling among its training rows.
std::map<std::string, std::set<std::string>> clips_with_siblings(const Dataset& dataset,
                                                                 const std::vector<PlannedProtocol>& planned,
                                                                 const Siblings& siblings) {
  std::map<std::string, std::set<std::string>> found;
  for (const PlannedProtocol& each : planned) {
    for (const Split& split : each.plan.splits) {
      const std::vector<bool> has_sibling = siblings.in_training(split);
      for (std::size_t i = 0; i < split.test.size(); ++i)
        if (has_sibling[i])
          found[split.name].insert(dataset.clips[static_cast<std::size_t>(split.test[i])].path);
    }
  }
  return found;
}

}  // namespace

ClipsByPath clips_by_path(std::span<const Clip> clips) {
  ClipsByPath by_path;
  for (const Clip& clip : clips) by_path.emplace(clip.path, &clip);
  return by_path;
}

Units resampling_units(const ProtocolResult& result, const ClipsByPath& clips) {
  const bool by_group = result.protocol == Protocol::speaker;
  Units units{.noun = by_group ? "group" : "clip", .of_prediction = {}, .n = 0};
  std::map<std::string, int> known;
  for (const Prediction& each : result.predictions) {
    const auto [unit, is_new] = known.try_emplace(by_group ? clips.at(each.path)->group : each.path, units.n);
    units.n += is_new;
    units.of_prediction.push_back(unit->second);
  }
  return units;
}

Calibration calibration_of(std::span<const Prediction> predictions, int n_bins) {
  Calibration calibration;
  for (int bin = 0; bin < n_bins; ++bin)
    calibration.bins.push_back({.low = static_cast<double>(bin) / n_bins,
                                .high = static_cast<double>(bin + 1) / n_bins,
                                .n_test = 0,
                                .mean_probability = 0,
                                .accuracy = 0});
  for (const Prediction& each : predictions) {
    const int place = static_cast<int>(std::ceil(each.probability * n_bins)) - 1;
    ReliabilityBin& bin = calibration.bins[static_cast<std::size_t>(std::clamp(place, 0, n_bins - 1))];
    ++bin.n_test;
    bin.mean_probability += each.probability;
    bin.accuracy += each.truth == each.predicted ? 1 : 0;
    calibration.brier_score += each.squared_error / static_cast<double>(predictions.size());
  }
  for (ReliabilityBin& bin : calibration.bins) {
    if (bin.n_test == 0) continue;
    const auto n = static_cast<double>(bin.n_test);
    calibration.expected_calibration_error +=
        std::abs(bin.accuracy - bin.mean_probability) / static_cast<double>(predictions.size());
    bin.mean_probability /= n;
    bin.accuracy /= n;
  }
  return calibration;
}

std::vector<ConfusedPair> confused_pairs(const ProtocolResult& result, std::size_t most) {
  const Matrix<double> shares = normalise_rows(result.confusion);
  std::vector<ConfusedPair> pairs;
  for (Index truth = 0; truth < shares.rows; ++truth)
    for (Index predicted = 0; predicted < shares.cols; ++predicted)
      if (truth != predicted && shares(truth, predicted) >= 0.05 && result.confusion(truth, predicted) > 1)
        pairs.push_back({static_cast<int>(truth),
                         static_cast<int>(predicted),
                         result.confusion(truth, predicted),
                         shares(truth, predicted),
                         {}});
  std::ranges::stable_sort(pairs, std::greater{}, &ConfusedPair::share);
  pairs.resize(std::min(pairs.size(), most));

  std::vector<const Prediction*> surest;
  for (const Prediction& each : result.predictions) surest.push_back(&each);
  std::ranges::stable_sort(surest, std::greater{}, &Prediction::probability);
  for (ConfusedPair& pair : pairs) {
    std::set<std::string> known;
    for (const Prediction* each : surest)
      if (each->truth == pair.truth && each->predicted == pair.predicted && known.insert(each->path).second)
        pair.paths.push_back(each->path);
  }
  return pairs;
}

PredictionStatistics prediction_statistics(const ProtocolResult& result, std::span<const Clip> clips,
                                           const std::string& siblings, std::int64_t random_state) {
  if (result.predictions.empty()) return {};
  const ClipsByPath by_path = clips_by_path(clips);
  PredictionStatistics statistics{.intervals = intervals_of(result, by_path, random_state),
                                  .subgroups = subgroups_of(result, by_path),
                                  .calibration = calibration_of(result.predictions),
                                  .leak = {},
                                  .confused_pairs = confused_pairs(result, most_confused_pairs)};
  const bool may_leak = result.protocol == Protocol::random || result.protocol == Protocol::given;
  if (may_leak && !siblings.empty()) statistics.leak = leak_of(result.predictions, siblings);
  return statistics;
}

void add_statistics(std::vector<ProtocolResult>& results, const Dataset& dataset, const Dataset* own,
                    const EvaluationOptions& options, Progress& progress) {
  const Siblings siblings(dataset);
  const auto with_siblings = clips_with_siblings(dataset, plan_protocols(dataset, options), siblings);
  progress.begin("statistics", static_cast<Index>(results.size()));
  Index n_done = 0;
  for (ProtocolResult& result : results) {
    progress.stop_if_asked();
    progress.update(n_done++, "");
    if (result.protocol == Protocol::own) {
      if (own != nullptr)
        result.statistics = prediction_statistics(result, own->clips, {}, options.random_state);
      continue;
    }
    for (Prediction& each : result.predictions) {
      const auto found = with_siblings.find(result.splits[static_cast<std::size_t>(each.split)].name);
      each.has_sibling = found != with_siblings.end() && found->second.contains(each.path);
    }
    result.statistics =
        prediction_statistics(result, dataset.clips, siblings.description(), options.random_state);
  }
  progress.end();
}

}  // namespace melgrad
