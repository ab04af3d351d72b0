#include "host/evaluation/protocol_result.hpp"

#include <algorithm>

namespace melgrad {

void pool_predictions(ProtocolResult& result) {
  const auto n_classes = static_cast<Index>(result.labels.size());
  std::vector<Matrix<Index>> confusion(result.splits.size(), Matrix<Index>(n_classes, n_classes));
  result.confusion = Matrix<Index>(n_classes, n_classes);
  for (const Prediction& each : result.predictions) {
    ++confusion[static_cast<std::size_t>(each.split)](each.truth, each.predicted);
    ++result.confusion(each.truth, each.predicted);
  }
  result.metrics = metrics_of(result.confusion);
  result.fit_seconds = result.predict_seconds = 0;
  for (std::size_t i = 0; i < result.splits.size(); ++i) {
    result.splits[i].metrics = metrics_of(confusion[i]);
    result.fit_seconds += result.splits[i].fit_seconds;
    result.predict_seconds += result.splits[i].predict_seconds;
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

std::optional<ProtocolGap> protocol_gap(const std::vector<ProtocolResult>& results, const std::string& name) {
  const auto find = [&](Protocol protocol) {
    return std::ranges::find_if(results, [&](const ProtocolResult& result) {
      return result.name == name && result.protocol == protocol && result.why_not.empty();
    });
  };
  const auto random = find(Protocol::random), speaker = find(Protocol::speaker);
  if (random == results.end() || speaker == results.end()) return std::nullopt;
  const auto points = [&](double Metrics::*member) {
    return 100 * (random->metrics.*member - speaker->metrics.*member);
  };
  return ProtocolGap{points(&Metrics::accuracy), points(&Metrics::balanced_accuracy),
                     points(&Metrics::macro_f1)};
}

}  // namespace melgrad
