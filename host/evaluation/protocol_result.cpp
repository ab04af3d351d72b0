#include "host/evaluation/protocol_result.hpp"

#include <algorithm>

#include "host/evaluation/prediction_metrics.hpp"

namespace melgrad {

ModelTimes& ModelTimes::operator+=(const ModelTimes& other) {
  for_each_field<ModelTimes>([&](const auto& each) { this->*each.member += other.*each.member; });
  return *this;
}

void pool_predictions(ProtocolResult& result) {
  const auto n_classes = static_cast<int>(result.labels.size());
  std::vector<std::vector<int>> truth(result.splits.size()), predicted(result.splits.size());
  std::vector<int> all_truth, all_predicted;
  for (const Prediction& each : result.predictions) {
    const auto split = static_cast<std::size_t>(each.split);
    truth[split].push_back(each.truth);
    predicted[split].push_back(each.predicted);
    all_truth.push_back(each.truth);
    all_predicted.push_back(each.predicted);
  }
  result.confusion = n_classes <= most_confusion_classes
                         ? confusion_matrix(all_truth, all_predicted, n_classes)
                         : Matrix<Index>();
  result.metrics = metrics_of(all_truth, all_predicted, n_classes);
  result.times = {};
  for (std::size_t i = 0; i < result.splits.size(); ++i) {
    result.splits[i].metrics = metrics_of(truth[i], predicted[i], n_classes);
    result.times += result.splits[i].times;
  }
  const auto over_splits = [&](double Metrics::*member) {
    std::vector<double> values;
    for (const SplitResult& split : result.splits) values.push_back(split.metrics.*member);
    return spread_of(values);
  };
  result.accuracy = over_splits(&Metrics::accuracy);
  result.balanced_accuracy = over_splits(&Metrics::balanced_accuracy);
  result.macro_f1 = over_splits(&Metrics::macro_f1);
}

std::vector<std::string> model_names(const std::vector<ProtocolResult>& results) {
  std::vector<std::string> names;
  for (const ProtocolResult& result : results)
    if (std::ranges::find(names, result.name) == names.end()) names.push_back(result.name);
  return names;
}

const ProtocolResult* find_result(const std::vector<ProtocolResult>& results, const std::string& name,
                                  Protocol protocol) {
  const auto found = std::ranges::find_if(results, [&](const ProtocolResult& result) {
    return result.name == name && result.protocol == protocol && result.why_not.empty();
  });
  return found == results.end() ? nullptr : &*found;
}

std::optional<ProtocolGap> protocol_gap(const std::vector<ProtocolResult>& results, const std::string& name) {
  const ProtocolResult* random = find_result(results, name, Protocol::random);
  const ProtocolResult* speaker = find_result(results, name, Protocol::speaker);
  if (random == nullptr || speaker == nullptr) return std::nullopt;
  const auto points = [&](double Metrics::*member) {
    return 100 * (random->metrics.*member - speaker->metrics.*member);
  };
  return ProtocolGap{points(&Metrics::accuracy), points(&Metrics::balanced_accuracy),
                     points(&Metrics::macro_f1)};
}

}  // namespace melgrad
