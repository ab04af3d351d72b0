#include "host/report/findings.hpp"

#include <algorithm>
#include <cmath>

#include "host/report/model_findings.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

const ProtocolResult* find(const Results& results, Protocol protocol) {
  const auto found = std::ranges::find_if(results.models, [&](const ProtocolResult& result) {
    return result.protocol == protocol && result.why_not.empty();
  });
  return found == results.models.end() ? nullptr : &*found;
}

// The protocol that says most about recordings to come.
const ProtocolResult* hardest(const Results& results) {
  for (const Protocol protocol : {Protocol::speaker, Protocol::given, Protocol::random, Protocol::own})
    if (const ProtocolResult* found = find(results, protocol)) return found;
  return nullptr;
}

Interval accuracy_interval(const ProtocolResult& result) {
  const auto n_right =
      static_cast<Index>(std::llround(result.metrics.accuracy * static_cast<double>(result.metrics.n_test)));
  return wilson_interval(n_right, result.metrics.n_test);
}

// Against giving every clip the most frequent label of the test set.
std::string against_chance(const ProtocolResult& result) {
  const double chance = chance_accuracy(result.metrics);
  std::string text =
      fmt::format("Always naming the most frequent label would be right for {}.", percent(chance));
  if (accuracy_interval(result).low <= chance) text += " The model is not clearly better than that.";
  return text;
}

std::string main_finding(const Results& results) {
  const ProtocolResult& result = *hardest(results);
  if (result.protocol == Protocol::own) return {};  // own_finding says it
  return fmt::format("On {}, the model is right for {} of the clips. {}",
                     protocol_title(result.protocol, results.dataset), percent(result.metrics.accuracy),
                     against_chance(result));
}

std::string gap_finding(const Results& results) {
  const ProtocolResult* random = find(results, Protocol::random);
  const ProtocolResult* speaker = find(results, Protocol::speaker);
  if (random == nullptr || speaker == nullptr) {
    const auto refused = std::ranges::find_if(results.models, [](const ProtocolResult& result) {
      return result.protocol == Protocol::speaker && !result.why_not.empty();
    });
    if (refused != results.models.end())
      return fmt::format("How it fares on {} cannot be told, because {}. Expect less than on {}.",
                         protocol_title(Protocol::speaker, results.dataset), refused->why_not,
                         protocol_title(Protocol::random, results.dataset));
    return {};
  }
  const std::string& noun = results.dataset.group_noun;
  const double gap = 100 * (random->metrics.accuracy - speaker->metrics.accuracy);
  const double error = 100 * std::hypot(random->accuracy.standard_error, speaker->accuracy.standard_error);
  if (gap > std::max(2 * error, 1.0))
    return fmt::format(
        "A random split flatters by {:.1f} points: there, other clips of the same {}s are in "
        "the training set. For {}s that it has not heard, trust {}, not {}.",
        gap, noun, noun, percent(speaker->metrics.accuracy), percent(random->metrics.accuracy));
  return fmt::format(
      "Whether the {}s were heard before makes no clear difference: {:+.1f} points, with a "
      "standard error of {:.1f}.",
      noun, gap, error);
}

std::string own_finding(const Results& results) {
  const ProtocolResult* own = find(results, Protocol::own);
  if (own == nullptr) return {};
  const Interval interval = accuracy_interval(*own);
  std::string text = fmt::format("Of your own {}, {} are recognised (95 % confidence: {:.0f} to {:.0f} %).",
                                 counted(own->metrics.n_test, "recording"), percent(own->metrics.accuracy),
                                 100 * interval.low, 100 * interval.high);
  if (hardest(results) == own) text += ' ' + against_chance(*own);
  if (const ProtocolResult* speaker = find(results, Protocol::speaker)) {
    const double expected = speaker->metrics.accuracy;
    const std::string title = protocol_title(Protocol::speaker, results.dataset);
    if (interval.high < expected)
      text += fmt::format(
          " That is less than on {} of the data set: your recordings differ from it in more than "
          "the {}.",
          title, results.dataset.group_noun);
    else if (interval.low > expected)
      text += fmt::format(" That is more than on {} of the data set: yours are easier.", title);
    else
      text += fmt::format(" That agrees with the number for {}.", title);
  }
  if (interval.high - interval.low > 0.2) text += " More recordings would make this number surer.";
  return text;
}

std::string labels_finding(const Results& results) {
  const ProtocolResult& result = *hardest(results);
  const auto& classes = result.metrics.per_class;
  const auto name = [&](int label) { return isolated(result.labels[static_cast<std::size_t>(label)]); };
  const auto f1 = [&](int label) { return 100 * classes[static_cast<std::size_t>(label)].f1; };
  int best = -1, worst = -1;
  for (int label = 0; label < static_cast<int>(classes.size()); ++label) {
    if (classes[static_cast<std::size_t>(label)].support == 0) continue;
    if (best < 0 || f1(label) > f1(best)) best = label;
    if (worst < 0 || f1(label) < f1(worst)) worst = label;
  }
  std::vector<std::string> sentences, pairs;
  if (best != worst)
    sentences.push_back(fmt::format("Easiest is {} (F1 {:.0f} %), hardest {} ({:.0f} %).", name(best),
                                    f1(best), name(worst), f1(worst)));
  for (const Confusion& pair : top_confusions(result, 3))
    pairs.push_back(
        fmt::format("{} for {} ({:.0f} %)", name(pair.truth), name(pair.predicted), 100 * pair.share));
  if (!pairs.empty()) sentences.push_back(fmt::format("Most often mistaken: {}.", fmt::join(pairs, ", ")));
  return fmt::format("{}", fmt::join(sentences, " "));
}

namespace {

// A schedule that lowers the learning rate to nothing by max_iter is meant to stop there.
bool ends_with_max_iter(const SplitResult& split) {
  const std::string schedule = split.parameters.value("learning_rate", "");
  return schedule == "cosine" || schedule == "one_cycle";
}

}  // namespace

std::string training_finding(const Results& results) {
  int n_models = 0, n_unfinished = 0, max_iter = 0;
  for (const ProtocolResult& result : results.models) {
    if (result.protocol == Protocol::own) continue;
    for (const SplitResult& split : result.splits) {
      if (split.training.n_iter == 0) continue;  // no network
      ++n_models;
      if (split.training.stop_reason != StopReason::max_iter || ends_with_max_iter(split)) continue;
      ++n_unfinished;
      max_iter = std::max(max_iter, split.training.n_iter);
    }
  }
  if (n_unfinished == 0) return {};
  return fmt::format(
      "{} of {} were still improving when they reached {} epochs: a larger --max-iter may do "
      "better.",
      n_unfinished, counted(n_models, "model"), max_iter);
}

}  // namespace

std::string protocol_title(Protocol protocol, const DatasetSummary& dataset) {
  switch (protocol) {
    case Protocol::random:
      return "unheard clips";
    case Protocol::speaker:
      return fmt::format("unheard {}s", dataset.group_noun);
    case Protocol::own:
      return "own recordings";
    case Protocol::given:
      return "given test clips";
  }
  return {};
}

double chance_accuracy(const Metrics& metrics) {
  Index most = 0;
  for (const ClassMetrics& each : metrics.per_class) most = std::max(most, each.support);
  return metrics.n_test == 0 ? 0 : static_cast<double>(most) / static_cast<double>(metrics.n_test);
}

std::vector<Confusion> top_confusions(const ProtocolResult& result, std::size_t most) {
  const Matrix<double> shares = normalise_rows(result.confusion);
  std::vector<Confusion> pairs;
  for (Index truth = 0; truth < shares.rows; ++truth)
    for (Index predicted = 0; predicted < shares.cols; ++predicted)
      if (truth != predicted && shares(truth, predicted) >= 0.05 && result.confusion(truth, predicted) > 1)
        pairs.push_back({static_cast<int>(truth), static_cast<int>(predicted),
                         result.confusion(truth, predicted), shares(truth, predicted)});
  std::ranges::stable_sort(pairs, std::greater{}, &Confusion::share);
  pairs.resize(std::min(pairs.size(), most));
  return pairs;
}

std::vector<Finding> findings(const Results& results) {
  if (hardest(results) == nullptr) return {};
  std::vector<Finding> said = {{FindingTopic::how_good, main_finding(results), "accuracy"},
                               {FindingTopic::how_good, gap_finding(results)},
                               {FindingTopic::how_good, leak_finding(results), "leak"},
                               {FindingTopic::models, comparison_finding(results), "accuracy"},
                               {FindingTopic::models, cost_finding(results), "accuracy_and_time"},
                               {FindingTopic::models, shared_mistakes_finding(results)},
                               {FindingTopic::models, throughput_finding(results), "throughput"},
                               {FindingTopic::mistakes, labels_finding(results), "labels"},
                               {FindingTopic::mistakes, subgroup_finding(results), "subgroups"},
                               {FindingTopic::mistakes, memory_finding(results), "loss_and_calibration"},
                               {FindingTopic::mistakes, calibration_finding(results), "loss_and_calibration"},
                               {FindingTopic::mistakes, training_finding(results)},
                               {FindingTopic::mistakes, learning_finding(results), "learning_curve"},
                               {FindingTopic::own_recordings, own_finding(results)},
                               {FindingTopic::own_recordings, drift_finding(results), "drift"}};
  std::erase_if(said, [](const Finding& each) { return each.text.empty(); });
  return said;
}

}  // namespace melgrad
