#include <algorithm>
#include <array>
#include <map>

#include "host/report/findings.hpp"
#include "host/report/terminal.hpp"

namespace melgrad {
namespace {

std::string shown_name(const std::string& name) {
  static const std::map<std::string, std::string> names = {{"mlp", "MLP"},
                                                           {"mlp_ensemble", "MLP ensemble"},
                                                           {"svm", "SVM"},
                                                           {"random_forest", "random forest"},
                                                           {"knn", "nearest neighbours"}};
  const auto found = names.find(name);
  return found == names.end() ? name : found->second;
}

// "65.4 % (63 to 68)", in percent, with the bootstrap's interval.
std::string accuracy_cell(const ProtocolResult& result) {
  const Interval& interval = result.statistics.intervals.accuracy;
  return fmt::format("{} ({:.0f} to {:.0f})", percent(result.metrics.accuracy), 100 * interval.low,
                     100 * interval.high);
}

// "0.8 s", and for less "12 ms".
std::string cpu_text(double seconds) {
  return seconds < 0.1 ? fmt::format("{:.0f} ms", 1000 * seconds) : time_text(seconds);
}

ModelTimes times_of(const Results& results, const std::string& name) {
  ModelTimes times;
  for (const ProtocolResult& result : results.models)
    if (result.name == name) times += result.times;
  return times;
}

}  // namespace

std::string models_text(const Results& results, const TextStyle& style) {
  const std::vector<std::string> names = model_names(results.models);
  if (names.size() < 2) return {};
  std::vector<Protocol> protocols;
  for (const Protocol protocol : {Protocol::random, Protocol::speaker, Protocol::given, Protocol::own})
    if (std::ranges::any_of(names, [&](const std::string& name) {
          return find_result(results.models, name, protocol) != nullptr;
        }))
      protocols.push_back(protocol);

  constexpr int name_width = 20, accuracy_width = 21, gap_width = 7, time_width = 14;
  // Times follow where the width allows.
  const auto n_accuracies = static_cast<int>(protocols.size());
  const bool with_times =
      2 + name_width + n_accuracies * accuracy_width + gap_width + 3 * time_width <= style.width;
  const auto line_of = [&](const std::string& name, auto&& accuracy, const std::string& gap,
                           const std::array<std::string, 3>& times) {
    std::string line = left_aligned(name, name_width, style);
    for (const Protocol protocol : protocols) {
      line += right_aligned(accuracy(protocol), accuracy_width, style);
      if (protocol == Protocol::speaker) line += right_aligned(gap, gap_width, style);
    }
    if (with_times)
      for (const std::string& time : times) line += right_aligned(time, time_width, style);
    while (line.ends_with(' ')) line.pop_back();
    return line;
  };
  std::string text = heading("Models", "accuracy with its 95 % interval, in percent", style);
  text += "  " +
          painted(line_of("", [&](Protocol protocol) { return protocol_title(protocol, results.dataset); },
                          "gap", {"CPU: search", "training", "prediction"}),
                  Ink::bold, style) +
          '\n';
  for (const std::string& name : names) {
    const auto accuracy = [&](Protocol protocol) {
      const ProtocolResult* result = find_result(results.models, name, protocol);
      return result == nullptr ? std::string() : accuracy_cell(*result);
    };
    const auto gap = protocol_gap(results.models, name);
    const ModelTimes times = times_of(results, name);
    text += "  " +
            line_of(shown_name(name), accuracy, gap ? fmt::format("{:+.1f}", gap->accuracy) : "",
                    {cpu_text(times.search_cpu_seconds), cpu_text(times.fit_cpu_seconds),
                     cpu_text(times.predict_cpu_seconds)}) +
            '\n';
  }
  return text;
}

}  // namespace melgrad
