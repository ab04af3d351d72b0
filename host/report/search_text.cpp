#include <algorithm>
#include <map>

#include "host/report/search_report.hpp"

namespace melgrad {
namespace {

constexpr std::size_t n_shown = 10;

const ScoreSummary& ranked_by(const SearchResult& result, std::size_t candidate) {
  const CandidateResult& each = result.candidates[candidate];
  return result.plan.options.scoring == Scoring::accuracy ? each.accuracy : each.balanced_accuracy;
}

std::string share_text(const std::optional<double>& share) {
  return share ? percent(*share) : "none";
}

std::string plus_minus(const ScoreSummary& summary, const TextStyle& style) {
  if (!summary.mean) return "none";
  return fmt::format("{} {} {:.1f}", percent(*summary.mean), symbol("±", "+-", style), 100 * *summary.std);
}

double fit_seconds(const CandidateResult& candidate) {
  double sum = 0;
  for (const FitScore& fit : candidate.fits) sum += fit.fit_seconds;
  return candidate.fits.empty() ? 0 : sum / static_cast<double>(candidate.fits.size());
}

std::string best_text(const SearchResult& result, const TextStyle& style) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < result.candidates.size(); ++i)
    if (result.candidates[i].same_as == i) order.push_back(i);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return ranked_by(result, i).rank; });

  std::string text = heading("Best candidates", "mean and standard deviation over the folds", style);
  text += fmt::format("  {}{}{}{}  parameters\n", right_aligned("rank", 4, style),
                      right_aligned("accuracy", 15, style), right_aligned("UAR", 9, style),
                      right_aligned("a fit", 9, style));
  for (std::size_t i = 0; i < std::min(n_shown, order.size()); ++i) {
    const CandidateResult& each = result.candidates[order[i]];
    const std::string figures = fmt::format(
        "  {}{}{}{}  ", right_aligned(fmt::format("{}", ranked_by(result, order[i]).rank), 4, style),
        right_aligned(plus_minus(each.accuracy, style), 15, style),
        right_aligned(share_text(each.balanced_accuracy.mean), 9, style),
        right_aligned(fmt::format("{:.2f} s", fit_seconds(each)), 9, style));
    text += wrapped(parameters_text(result.plan.candidates[order[i]].parameters), figures, style);
  }
  if (order.size() > n_shown) text += fmt::format("  ... and {} more\n", order.size() - n_shown);
  return text;
}

// What the candidates with each value of a parameter reached: the best of them, and their mean.
std::string by_parameter_text(const SearchResult& result, const TextStyle& style) {
  struct Reached {
    Json value;
    double best, sum;
    int n;
  };
  constexpr std::size_t most_values = 12;  // more are draws, which a table does not help to see
  std::map<std::string, std::vector<Reached>> parameters;
  for (std::size_t i = 0; i < result.candidates.size(); ++i) {
    const auto mean = ranked_by(result, i).mean;
    if (!mean) continue;
    for (const auto& [name, value] : result.plan.candidates[i].parameters.items()) {
      auto& values = parameters[name];
      auto found = std::ranges::find(values, value, &Reached::value);
      if (found == values.end()) found = values.insert(values.end(), Reached{value, 0, 0, 0});
      found->best = std::max(found->best, *mean);
      found->sum += *mean;
      ++found->n;
    }
  }
  std::string rows;
  for (auto& [name, values] : parameters) {
    if (values.size() < 2 || values.size() > most_values) continue;
    if (std::ranges::all_of(values, [](const Reached& each) { return each.value.is_number(); }))
      std::ranges::sort(values, {}, [](const Reached& each) { return each.value.get<double>(); });
    bool first = true;
    for (const Reached& reached : values) {
      rows += fmt::format(
          "  {} {} {}  {}  {}\n", left_aligned(first ? name : "", 20, style),
          left_aligned(value_text(reached.value), 14, style), right_aligned(percent(reached.best), 7, style),
          right_aligned(percent(reached.sum / reached.n), 7, style), bar(reached.best, 24, style));
      first = false;
    }
  }
  if (rows.empty()) return rows;
  return heading("Parameters", "the best candidate with each value, and their mean", style) + rows;
}

std::string nested_text(const SearchResult& result, const TextStyle& style) {
  if (result.outer.empty()) return "";
  std::string text =
      heading("Nested cross-validation",
              "the search repeated without each outer fold, its best candidate tested there", style);
  for (std::size_t fold = 0; fold < result.outer.size(); ++fold) {
    const OuterFoldResult& outer = result.outer[fold];
    double accuracy = 0;
    for (const FitScore& fit : outer.fits)
      accuracy += fit.test_accuracy.value_or(0) / static_cast<double>(outer.fits.size());
    text += wrapped(fmt::format("{}: {}", result.plan.outer[fold].name,
                                parameters_text(result.plan.candidates[outer.best].parameters)),
                    fmt::format("  {}  ", right_aligned(percent(accuracy), 7, style)), style);
  }
  const ScoreSummary& search = ranked_by(result, result.best);
  const ScoreSummary& honest = result.plan.options.scoring == Scoring::accuracy
                                   ? result.nested_accuracy
                                   : result.nested_balanced_accuracy;
  return text + fmt::format("  {} {} is what to expect; the best candidate's own {} is the best of {}\n",
                            to_name(result.plan.options.scoring), plus_minus(honest, style),
                            share_text(search.mean), result.plan.n_trained());
}

}  // namespace

std::string value_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array())
    return value.is_number_float() ? fmt::format("{:.4g}", value.get<double>()) : value.dump();
  std::vector<std::string> parts;
  for (const Json& each : value) parts.push_back(value_text(each));
  return fmt::format("({})", fmt::join(parts, ", "));
}

std::string parameters_text(const Json& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value_text(value));
  return text.empty() ? "defaults" : text;
}

std::string search_text(const SearchResult& result, const TextStyle& style) {
  const SearchPlan& plan = result.plan;
  std::string text = fmt::format("{} candidates", plan.candidates.size());
  if (plan.n_trained() < plan.candidates.size())
    text += fmt::format(" ({} different models)", plan.n_trained());
  text += fmt::format(
      ", {} {}", plan.folds.size(),
      plan.options.protocol == SearchProtocol::random ? "folds of clips" : "folds of unheard speakers");
  if (plan.options.seeds > 1) text += fmt::format(", {} seeds", plan.options.seeds);
  if (!plan.outer.empty()) text += fmt::format(", nested in {} outer folds", plan.outer.size());
  text += fmt::format(": {} fits, {} of CPU\n", plan.n_fits(), time_text(result.fit_cpu_seconds));
  for (const std::string& note : plan.notes) text += wrapped(note, "  ", style);
  return text + best_text(result, style) + by_parameter_text(result, style) + nested_text(result, style);
}

}  // namespace melgrad
