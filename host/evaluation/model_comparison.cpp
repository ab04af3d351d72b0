#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "host/evaluation/bootstrap.hpp"
#include "host/evaluation/mcnemar.hpp"
#include "host/evaluation/prediction_statistics.hpp"

namespace melgrad {
namespace {

bool is_right(const Prediction& prediction) {
  return prediction.truth == prediction.predicted;
}

// By the name of the split and the clip: a model may lack a split whose training failed.
using PredictionKey = std::pair<std::string, std::string>;
PredictionKey key_of(const ProtocolResult& result, const Prediction& prediction) {
  return {result.splits[static_cast<std::size_t>(prediction.split)].name, prediction.path};
}

ModelComparison compare(const ProtocolResult& first, const ProtocolResult& second, const ClipsByPath& clips,
                        std::int64_t random_state) {
  std::map<PredictionKey, const Prediction*> of_second;
  for (const Prediction& each : second.predictions) of_second[key_of(second, each)] = &each;

  ModelComparison comparison{.protocol = std::string(to_name(first.protocol)),
                             .first = first.name,
                             .second = second.name,
                             .n_test = 0,
                             .only_first_right = 0,
                             .only_second_right = 0,
                             .method = {},
                             .interval = {}};
  const Units units = resampling_units(first, clips);
  std::set<std::string> tested;  // clips
  std::vector<int> differences, unit;
  Index sum = 0;
  for (std::size_t i = 0; i < first.predictions.size(); ++i) {
    const Prediction& a = first.predictions[i];
    const auto found = of_second.find(key_of(first, a));
    if (found == of_second.end()) continue;
    const int difference = is_right(a) - is_right(*found->second);
    differences.push_back(difference);
    unit.push_back(units.of_prediction[i]);
    sum += difference;
    if (!tested.insert(a.path).second) continue;
    ++comparison.n_test;
    comparison.only_first_right += difference > 0;
    comparison.only_second_right += difference < 0;
  }
  if (differences.empty()) return comparison;
  const McNemarTest test = mcnemar_test(comparison.only_first_right, comparison.only_second_right);
  comparison.method = test.method;
  comparison.statistic = test.statistic;
  comparison.p_value = test.p_value;
  comparison.difference = static_cast<double>(sum) / static_cast<double>(differences.size());
  comparison.interval = bootstrap_mean(differences, unit, units.n, random_state);
  return comparison;
}

}  // namespace

std::vector<ModelComparison> compare_models(const std::vector<ProtocolResult>& results,
                                            std::span<const Clip> clips, std::span<const Clip> own_clips,
                                            std::int64_t random_state) {
  const ClipsByPath by_path = clips_by_path(clips), own_by_path = clips_by_path(own_clips);
  const std::vector<std::string> names = model_names(results);
  std::vector<ModelComparison> comparisons;
  for (const Protocol protocol : {Protocol::random, Protocol::speaker, Protocol::given, Protocol::own}) {
    std::vector<ModelComparison> pairs;
    for (std::size_t i = 0; i < names.size(); ++i) {
      for (std::size_t j = i + 1; j < names.size(); ++j) {
        const ProtocolResult* first = find_result(results, names[i], protocol);
        const ProtocolResult* second = find_result(results, names[j], protocol);
        if (first == nullptr || second == nullptr) continue;
        ModelComparison pair =
            compare(*first, *second, protocol == Protocol::own ? own_by_path : by_path, random_state);
        if (pair.n_test > 0) pairs.push_back(std::move(pair));
      }
    }
    std::vector<double> p_values;
    for (const ModelComparison& each : pairs) p_values.push_back(each.p_value);
    const std::vector<double> adjusted = holm_adjusted(p_values);
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].adjusted_p_value = adjusted[i];
    std::ranges::move(pairs, std::back_inserter(comparisons));
  }
  return comparisons;
}

}  // namespace melgrad
