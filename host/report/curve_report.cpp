#include "host/report/curve_report.hpp"

#include <algorithm>

#include "host/report/search_report.hpp"

namespace melgrad {
namespace {

struct Member {
  const char* name;
  ScoreSummary CandidateResult::*summary;
  std::optional<double> FitScore::*score;
};
constexpr Member members[] = {
    {"train_accuracy", &CandidateResult::train_accuracy, &FitScore::train_accuracy},
    {"test_accuracy", &CandidateResult::accuracy, &FitScore::test_accuracy},
    {"train_balanced_accuracy", &CandidateResult::train_balanced_accuracy,
     &FitScore::train_balanced_accuracy},
    {"test_balanced_accuracy", &CandidateResult::balanced_accuracy, &FitScore::test_balanced_accuracy}};

Json number(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

std::string score_text(const ScoreSummary& summary, const TextStyle& style) {
  if (!summary.mean) return "none";
  return fmt::format("{} {} {:.1f}", percent(*summary.mean), symbol("±", "+-", style), 100 * *summary.std);
}

}  // namespace

Json to_json(const Curve& curve) {
  Json points = Json::array();
  for (const CurvePoint& point : curve.points) {
    Json json = {{curve.parameter, point.x}};
    for (const Member& member : members) {
      const ScoreSummary& summary = point.result.*member.summary;
      json[std::string("mean_") + member.name] = number(summary.mean);
      json[std::string("std_") + member.name] = number(summary.std);
    }
    for (const Member& member : members) {
      Json& scores = json[member.name] = Json::array();
      for (const FitScore& fit : point.result.fits) scores.push_back(number(fit.*member.score));
    }
    double seconds = 0;
    for (const FitScore& fit : point.result.fits)
      seconds += fit.fit_seconds / static_cast<double>(point.result.fits.size());
    json["mean_fit_seconds"] = seconds;
    points.push_back(std::move(json));
  }
  return {{"parameter", curve.parameter}, {"notes", curve.notes}, {"points", std::move(points)}};
}

std::string curve_text(const Curve& curve, const TextStyle& style) {
  constexpr int most_columns = 24;
  int x_width = display_width(curve.parameter);
  for (const CurvePoint& point : curve.points)
    x_width = std::min(most_columns, std::max(x_width, display_width(value_text(point.x))));
  const int bar_width = std::clamp((style.width - x_width - 40) / 2, 8, 30);

  std::string text;
  for (const std::string& note : curve.notes) text += wrapped(note, "  ", style);
  text += fmt::format("\n  {}  {}  {}\n", left_aligned(curve.parameter, x_width, style),
                      left_aligned("training accuracy", bar_width + 15, style), "test accuracy");
  for (const CurvePoint& point : curve.points) {
    const auto column = [&](const ScoreSummary& summary) {
      return fmt::format("{} {}", right_aligned(score_text(summary, style), 13, style),
                         left_aligned(bar(summary.mean.value_or(0), bar_width, style), bar_width, style));
    };
    std::string line = fmt::format("  {}  {}  {}", left_aligned(value_text(point.x), x_width, style),
                                   column(point.result.train_accuracy), column(point.result.accuracy));
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  const auto best = std::ranges::min_element(
      curve.points, {}, [](const CurvePoint& point) { return point.result.accuracy.rank; });
  if (best != curve.points.end() && best->result.accuracy.mean)
    text += fmt::format("  best on test clips: {} {}, {} (UAR {})\n", curve.parameter, value_text(best->x),
                        percent(*best->result.accuracy.mean), percent(*best->result.balanced_accuracy.mean));
  return text;
}

}  // namespace melgrad
