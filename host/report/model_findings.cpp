#include "host/report/model_findings.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/measurements.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

constexpr double significance = 0.05;

// "a", "a and b", "a, b and c"
std::string listed(const std::vector<std::string>& words) {
  if (words.size() < 2) return words.empty() ? std::string() : words.front();
  const std::vector<std::string> first(words.begin(), words.end() - 1);
  return fmt::format("{} and {}", fmt::join(first, ", "), words.back());
}

std::string p_text(double p) {
  return p < 0.001 ? "p < 0.001" : fmt::format("p = {:.2g}", p);
}

std::string the(const std::string& name) {
  return fmt::format("the {}", model_title(name));
}

// The models' results of the protocol that says most, the most accurate first.
std::vector<const ProtocolResult*> ranked(const Results& results) {
  std::vector<const ProtocolResult*> found;
  if (results.models.empty()) return found;
  const ProtocolResult* main = hardest_result(results, results.models.front().name);
  if (main == nullptr) return found;
  for (const std::string& name : model_names(results.models))
    if (const ProtocolResult* result = find_result(results.models, name, main->protocol))
      found.push_back(result);
  std::ranges::stable_sort(found, std::greater{},
                           [](const ProtocolResult* each) { return each->metrics.accuracy; });
  return found;
}

const ModelComparison* comparison_of(const Results& results, const ProtocolResult& a,
                                     const ProtocolResult& b) {
  const auto found = std::ranges::find_if(results.comparisons, [&](const ModelComparison& each) {
    return each.protocol == to_name(a.protocol) && ((each.first == a.name && each.second == b.name) ||
                                                    (each.first == b.name && each.second == a.name));
  });
  return found == results.comparisons.end() ? nullptr : &*found;
}

double cpu_seconds_of_a_fit(const ProtocolResult& result) {
  return result.times.fit_cpu_seconds / static_cast<double>(std::max<std::size_t>(result.splits.size(), 1));
}

// "Twice", "12 times"
std::string times_text(double ratio) {
  return ratio < 9.5 ? fmt::format("{:.1f} times", ratio) : fmt::format("{:.0f} times", ratio);
}

// Whether each clip of each split was predicted right.
std::map<std::pair<std::string, int>, bool> outcomes(const ProtocolResult& result) {
  std::map<std::pair<std::string, int>, bool> right;
  for (const Prediction& each : result.predictions)
    right[{each.path, each.split}] = each.truth == each.predicted;
  return right;
}

// What a feature tells of, by how its name begins.
std::string_view kind_of(std::string_view column) {
  struct Kind {
    std::string_view prefix;
    std::string_view words;
  };
  static constexpr Kind kinds[] = {{"rms", "loudness"},
                                   {"energy", "loudness"},
                                   {"loudness", "loudness"},
                                   {"mfcc_0", "loudness"},
                                   {"mfcc0", "loudness"},
                                   {"f0", "pitch of the voice"},
                                   {"pitch", "pitch of the voice"},
                                   {"chroma", "pitch of the voice"},
                                   {"voiced", "share of voiced speech"},
                                   {"duration", "length"},
                                   {"centroid", "timbre or microphone"},
                                   {"spectral", "timbre or microphone"},
                                   {"rolloff", "timbre or microphone"},
                                   {"flatness", "noise"},
                                   {"zcr", "noise"},
                                   {"zero_crossing", "noise"},
                                   {"hnr", "noise"},
                                   {"contrast", "noise"},
                                   {"mel", "energy in frequency bands"},
                                   {"logmel", "energy in frequency bands"},
                                   {"mfcc", "timbre or microphone"},
                                   {"formant", "vowels"}};
  for (const Kind& kind : kinds)
    if (column.starts_with(kind.prefix)) return kind.words;
  return {};
}

}  // namespace

std::string comparison_finding(const Results& results) {
  const std::vector<const ProtocolResult*> models = ranked(results);
  if (models.size() < 2) return {};
  const ProtocolResult& best = *models.front();
  std::vector<std::string> worse, alike;
  double largest_p = 0;
  for (auto each = models.begin() + 1; each != models.end(); ++each) {
    const ModelComparison* comparison = comparison_of(results, best, **each);
    if (comparison == nullptr) continue;
    if (comparison->adjusted_p_value < significance) {
      worse.push_back(the((*each)->name));
      largest_p = std::max(largest_p, comparison->adjusted_p_value);
    } else {
      alike.push_back(fmt::format("{} ({:+.1f} points, {})", the((*each)->name),
                                  100 * ((*each)->metrics.accuracy - best.metrics.accuracy),
                                  p_text(comparison->adjusted_p_value)));
    }
  }
  std::string text =
      fmt::format("On {}, {} is right most often: {}.", protocol_title(best.protocol, results.dataset),
                  the(best.name), percent(best.metrics.accuracy));
  if (!worse.empty())
    text += fmt::format(" It is significantly better than {} (McNemar's test, Holm's correction, {}{}).",
                        listed(worse), worse.size() > 1 && largest_p >= 0.001 ? "all " : "",
                        largest_p < 0.001 ? p_text(largest_p) : fmt::format("p \u2264 {:.2g}", largest_p));
  if (!alike.empty()) text += fmt::format(" No significant difference is seen to {}.", listed(alike));
  return text;
}

std::string cost_finding(const Results& results) {
  const std::vector<const ProtocolResult*> models = ranked(results);
  if (models.size() < 2) return {};
  const ProtocolResult& best = *models.front();
  const ProtocolResult* cheapest = &best;
  for (const ProtocolResult* each : models) {
    const ModelComparison* comparison = comparison_of(results, best, *each);
    if (comparison == nullptr || comparison->adjusted_p_value < significance) continue;
    if (cpu_seconds_of_a_fit(*each) < cpu_seconds_of_a_fit(*cheapest)) cheapest = each;
  }
  const auto of_a_fit = [](const ProtocolResult& result) {
    return duration_tick(cpu_seconds_of_a_fit(result));
  };
  if (cpu_seconds_of_a_fit(*cheapest) <= 0) return {};
  if (cheapest == &best)
    return fmt::format("No cheaper model is as good: {} takes {} of CPU to train.", the(best.name),
                       of_a_fit(best));
  return fmt::format(
      "The cheapest model that is not significantly worse is {}: it trains in {} of CPU, {} in {}, "
      "{} as long.",
      the(cheapest->name), of_a_fit(*cheapest), the(best.name), of_a_fit(best),
      times_text(cpu_seconds_of_a_fit(best) / cpu_seconds_of_a_fit(*cheapest)));
}

std::string shared_mistakes_finding(const Results& results) {
  const std::vector<const ProtocolResult*> models = ranked(results);
  if (models.empty()) return {};
  const ProtocolResult& best = *models.front();
  // An ensemble of the same network is no other kind of model.
  const auto other = std::ranges::find_if(
      models, [&](const ProtocolResult* each) { return each->name.substr(0, 3) != best.name.substr(0, 3); });
  if (other == models.end()) return {};
  const auto first = outcomes(best), second = outcomes(**other);
  double n = 0, n_first_wrong = 0, n_second_wrong = 0, n_both_wrong = 0;
  for (const auto& [clip, right] : first) {
    const auto found = second.find(clip);
    if (found == second.end()) continue;
    ++n;
    n_first_wrong += !right;
    n_second_wrong += !found->second;
    n_both_wrong += !right && !found->second;
  }
  if (n_first_wrong < 10 || n_second_wrong == 0) return {};
  const double shared = n_both_wrong / n_first_wrong, expected = n_second_wrong / n;
  std::string text = fmt::format(
      "Of the clips that {} gets wrong, {} gets {:.0f} % wrong, too; were their mistakes independent, it "
      "would be "
      "{:.0f} %.",
      the(best.name), the((*other)->name), 100 * shared, 100 * expected);
  if (shared > 1.3 * expected)
    text +=
        " So most of what is missing lies in the recordings and their features, not in the kind of model.";
  return text;
}

std::string leak_finding(const Results& results) {
  struct Gain {
    const ProtocolResult* result;
    double points;
  };
  std::vector<Gain> gains;
  for (const std::string& name : model_names(results.models)) {
    const ProtocolResult* result = find_result(results.models, name, Protocol::random);
    if (result == nullptr || !result->statistics.leak) continue;
    const SiblingLeak& leak = *result->statistics.leak;
    if (leak.accuracy_with && leak.accuracy_without && leak.n_without >= 20)
      gains.push_back({result, 100 * (*leak.accuracy_with - *leak.accuracy_without)});
  }
  if (gains.empty()) return {};
  const SiblingLeak& leak = *gains.front().result->statistics.leak;
  const auto n = static_cast<double>(leak.n_with + leak.n_without);
  std::string text = fmt::format(
      "In a random split, {:.0f} % of the test clips have a sibling ({}) among the training clips. With one, "
      "{} is "
      "right for {}, without one for {}.",
      100 * static_cast<double>(leak.n_with) / n, leak.siblings, the(gains.front().result->name),
      percent(*leak.accuracy_with), percent(*leak.accuracy_without));
  if (gains.size() > 1) {
    const auto [least, most] = std::ranges::minmax_element(gains, {}, &Gain::points);
    if (most->points > 2 && most->points > 1.3 * least->points) {
      text += fmt::format(" Siblings help {} most ({:+.1f} points) and {} least ({:+.1f}).",
                          the(most->result->name), most->points, the(least->result->name), least->points);
      if (most->result->name == "knn")
        text += " KNN answers with the nearest training clips, and those are the siblings.";
    }
  }
  return text;
}

std::string memory_finding(const Results& results) {
  for (const std::string& name : model_names(results.models)) {
    const ProtocolResult* random = find_result(results.models, name, Protocol::random);
    const ProtocolResult* speaker = find_result(results.models, name, Protocol::speaker);
    if (random == nullptr || speaker == nullptr) continue;
    double first = 0, last = 0, n = 0;
    for (const SplitResult& split : speaker->splits) {
      const auto& losses = split.training.loss_curve;
      if (losses.size() < 2) continue;
      first += losses.front();
      last += losses.back();
      ++n;
    }
    if (n == 0) continue;
    const double gap = 100 * (random->metrics.accuracy - speaker->metrics.accuracy);
    if (last > 0.15 * first || gap < 5) return {};
    return fmt::format(
        "Its loss on the training clips falls from {:.2g} to {:.2g}: {} knows them by heart. What it lacks "
        "on {} is "
        "not capacity but other voices to learn from.",
        first / n, last / n, the(name), protocol_title(Protocol::speaker, results.dataset));
  }
  return {};
}

std::string calibration_finding(const Results& results) {
  if (results.models.empty()) return {};
  const ProtocolResult* result = hardest_result(results, results.models.front().name);
  if (result == nullptr) return {};
  double sum = 0, n = 0;
  for (const ReliabilityBin& bin : result->statistics.calibration.bins) {
    sum += bin.mean_probability * static_cast<double>(bin.n_test);
    n += static_cast<double>(bin.n_test);
  }
  if (n == 0) return {};
  const double claimed = sum / n, accuracy = result->metrics.accuracy;
  std::string text =
      fmt::format("On {}, {} gives its answers a probability of {} on average, and {} of them are right",
                  protocol_title(result->protocol, results.dataset), the(result->name), percent(claimed),
                  percent(accuracy));
  if (claimed - accuracy > 0.05)
    return text + ": it is too sure of itself, and its probabilities must not be taken at their word.";
  if (accuracy - claimed > 0.05) return text + ": it is too modest.";
  return text + ": they can be believed on the whole.";
}

namespace {

// "by women", "of strong intensity", "of statement 02": what recordings of a subgroup are.
std::string qualified(const Subgroup& subgroup) {
  const std::string attribute = printable(subgroup.attribute), value = isolated(subgroup.value);
  if (subgroup.attribute == "sex" && subgroup.value == "female") return "by women";
  if (subgroup.attribute == "sex" && subgroup.value == "male") return "by men";
  const bool is_word = std::ranges::all_of(subgroup.value, [](char c) { return c >= 'a' && c <= 'z'; });
  return is_word ? fmt::format("of {} {}", value, attribute) : fmt::format("of {} {}", attribute, value);
}

}  // namespace

std::string subgroup_finding(const Results& results) {
  if (results.models.empty()) return {};
  const ProtocolResult* result = hardest_result(results, results.models.front().name);
  if (result == nullptr) return {};
  std::vector<std::string> sentences;
  std::map<std::string, std::vector<const Subgroup*>> by_attribute;
  for (const Subgroup& each : result->statistics.subgroups) by_attribute[each.attribute].push_back(&each);
  for (const auto& [attribute, values] : by_attribute) {
    if (attribute == "group" || values.size() < 2) continue;
    const auto [worst, best] =
        std::ranges::minmax_element(values, {}, [](const Subgroup* each) { return each->accuracy; });
    if ((*worst)->interval.high < (*best)->interval.low)
      sentences.push_back(fmt::format("Recordings {} are recognised better ({}) than those {} ({}).",
                                      qualified(**best), percent((*best)->accuracy), qualified(**worst),
                                      percent((*worst)->accuracy)));
  }
  if (const auto found = by_attribute.find("group");
      found != by_attribute.end() && found->second.size() > 1) {
    const auto [worst, best] =
        std::ranges::minmax_element(found->second, {}, [](const Subgroup* each) { return each->accuracy; });
    sentences.push_back(fmt::format("From one {} to another the accuracy goes from {} ({}) to {} ({}).",
                                    results.dataset.group_noun, percent((*worst)->accuracy),
                                    isolated((*worst)->value), percent((*best)->accuracy),
                                    isolated((*best)->value)));
  }
  if (sentences.empty()) return {};
  return fmt::format("{}", fmt::join(sentences, " "));
}

std::string drift_finding(const Results& results) {
  if (!results.drift || results.drift->features.empty()) return {};
  const Drift& drift = *results.drift;
  std::string text = fmt::format(
      "The features of your recordings lie {:.2f} standard deviations from the data set's mean on average",
      drift.mean_shift);
  if (drift.typical_mean_shift > 0)
    text += fmt::format(", those of a typical {} of the data set {:.2f}", results.dataset.group_noun,
                        drift.typical_mean_shift);
  text += drift.typical_mean_shift > 0 && drift.mean_shift > 1.5 * drift.typical_mean_shift
              ? ": they differ by more than the voice."
              : ".";
  std::vector<std::string> farthest, kinds;
  for (std::size_t i = 0; i < std::min<std::size_t>(drift.features.size(), 3); ++i)
    farthest.push_back(
        fmt::format("{} ({:+.1f})", printable(drift.features[i].column), drift.features[i].shift));
  for (const FeatureDrift& each : drift.features) {
    const std::string kind(kind_of(each.column));
    if (!kind.empty() && std::ranges::find(kinds, kind) == kinds.end() && kinds.size() < 3)
      kinds.push_back(kind);
  }
  text += fmt::format(" Farthest off {} {}", farthest.size() == 1 ? "is" : "are", listed(farthest));
  text += kinds.empty() ? "." : fmt::format(": look at {}.", listed(kinds));
  return text;
}

std::string learning_finding(const Results& results) {
  const std::vector<LearningPoint> points = learning_points_from_json(results.learning_curve);
  if (points.size() < 2) return {};
  const LearningPoint& most = points.back();
  // Against the point that is nearest to half of the clips.
  const auto half =
      std::min_element(points.begin(), points.end() - 1, [&](const LearningPoint& a, const LearningPoint& b) {
        return std::abs(a.n_train - most.n_train / 2) < std::abs(b.n_train - most.n_train / 2);
      });
  const double gain = 100 * (most.test_accuracy - half->test_accuracy);
  std::string text = fmt::format(
      "From {:.0f} to {:.0f} training clips, a network's accuracy on the test clips of its fold goes from {} "
      "to {}",
      half->n_train, most.n_train, percent(half->test_accuracy), percent(most.test_accuracy));
  if (gain <= 1) return text + ": more recordings of this kind would hardly help.";
  const double spread = 100 * std::max(most.test_std, half->test_std);
  if (gain > spread) return text + ": more recordings would help.";
  return text +
         fmt::format(": more recordings may help, but the folds differ by more than that (+- {:.1f} %).",
                     spread);
}

std::string throughput_finding(const Results& results) {
  std::vector<std::string> sentences;
  for (const std::vector<Measurement>& work : measurements_from_json(results.bench)) {
    const auto ours = std::ranges::find_if(work, &Measurement::is_ours);
    if (ours == work.end()) continue;
    std::vector<std::string> others;
    for (const Measurement& each : work)
      if (!each.is_ours() && each.ratio > 0)
        others.push_back(fmt::format("of {} {}{}", printable(each.who), others.empty() ? "is " : "",
                                     times_text(each.ratio) + (others.empty() ? " melgrad's" : "")));
    if (!others.empty())
      sentences.push_back(fmt::format("For {}, {} does {:.{}f} {}s a second; the CPU time {}.",
                                      printable(ours->work), printable(ours->who), ours->per_second,
                                      ours->per_second < 10 ? 1 : 0, ours->unit, listed(others)));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

}  // namespace melgrad
