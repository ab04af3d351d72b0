// Models beside one another: how often they are right, what they cost, and how much of it a leak is.

#include <algorithm>
#include <cmath>

#include "host/core/error.hpp"
#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

constexpr Protocol shown_protocols[] = {Protocol::random, Protocol::given, Protocol::speaker, Protocol::own};

// Those of which any model has a result.
std::vector<Protocol> available_protocols(const Results& results) {
  std::vector<Protocol> found;
  for (const Protocol protocol : shown_protocols)
    if (std::ranges::any_of(results.models, [&](const ProtocolResult& each) {
          return each.protocol == protocol && each.why_not.empty();
        }))
      found.push_back(protocol);
  return found;
}

// CPU seconds of one training and of one clip's prediction.
struct Cost {
  double fit_seconds = 0;
  double predict_seconds = 0;
};
Cost cost_of(const ProtocolResult& result) {
  const auto n_splits = static_cast<double>(std::max<std::size_t>(result.splits.size(), 1));
  const auto n_test = static_cast<double>(std::max<Index>(result.metrics.n_test, 1));
  return {result.times.fit_cpu_seconds / n_splits, result.times.predict_cpu_seconds / n_test};
}

struct CostPoint {
  std::string name;
  double seconds = 0;
  const ProtocolResult* result = nullptr;
};

// Accuracy over one kind of seconds.
void draw_cost_panel(Drawing& drawing, const std::vector<CostPoint>& points, const Box& box, const Scale& y,
                     const std::vector<double>& y_ticks, const std::string& title, const Results& results) {
  double low = INFINITY, high = 0;
  for (const CostPoint& point : points) {
    low = std::min(low, point.seconds);
    high = std::max(high, point.seconds);
  }
  // Room for the names beside the outermost marks.
  const double margin = std::pow(high / low, 0.12) * 2;
  Frame frame{box, {low / margin, high * margin, box.x, box.right(), true}, y};
  draw_y_axis(drawing, frame, y_ticks, std::vector<std::string>(y_ticks.size()), "");
  const std::vector<double> at = log_ticks(frame.x.low, frame.x.high, 4);
  std::vector<std::string> labels;
  for (const double tick : at) labels.push_back(duration_tick(tick));
  draw_x_axis(drawing, frame, at, labels, title);
  LabelPlacer placer(box);
  for (const CostPoint& point : points) {
    const Point centre{frame.x.at(point.seconds), y.at(point.result->metrics.accuracy)};
    placer.keep_clear({centre.x - 3, centre.y - 3, 6, 6});
    const Interval& interval = point.result->statistics.intervals.accuracy;
    placer.keep_clear({centre.x - 2, y.at(interval.high), 4, y.at(interval.low) - y.at(interval.high)});
  }
  for (const CostPoint& point : points) {
    const DotSeries series = protocol_series(point.result->protocol, results.dataset);
    const Point centre{frame.x.at(point.seconds), y.at(point.result->metrics.accuracy)};
    const Interval& interval = point.result->statistics.intervals.accuracy;
    Colour whisker = series.colour;
    whisker.opacity = 0.5;
    drawing.line({centre.x, y.at(interval.low)}, {centre.x, y.at(interval.high)}, whisker, 1.3);
    drawing.add(Mark{centre, 2.6, series.colour, series.marker,
                     fmt::format("{}; {} of CPU", accuracy_hover(point.name, *point.result, results.dataset),
                                 duration_tick(point.seconds))});
    drawing.add(placer.place(model_title(point.name), centre, 3, label_font, palette::black,
                             centre.y - y.at(interval.high), y.at(interval.low) - centre.y));
  }
}

}  // namespace

std::string model_title(const std::string& name) {
  if (name == "mlp") return "MLP";
  if (name == "mlp_ensemble") return "MLP ensemble";
  if (name == "svm") return "SVM";
  if (name == "random_forest") return "random forest";
  if (name == "knn") return "KNN";
  return clean(name);
}

DotSeries protocol_series(Protocol protocol, const DatasetSummary& dataset) {
  const std::string title = clean(protocol_title(protocol, dataset));
  switch (protocol) {
    case Protocol::random:
      return {title, {110, 110, 110}, Marker::ring};
    case Protocol::given:
      return {title, palette::green, Marker::square};
    case Protocol::own:
      return {title, palette::vermillion, Marker::diamond};
    case Protocol::speaker:
      break;
  }
  return {title, palette::blue, Marker::disc};
}

std::string accuracy_hover(const std::string& name, const ProtocolResult& result,
                           const DatasetSummary& dataset) {
  const Interval& interval = result.statistics.intervals.accuracy;
  return fmt::format("{} on {}: {} (95 %: {:.1f} to {})", model_title(name),
                     protocol_title(result.protocol, dataset), percent(result.metrics.accuracy),
                     100 * interval.low, percent(interval.high));
}

std::vector<const ProtocolResult*> results_of(const Results& results, const std::string& name) {
  std::vector<const ProtocolResult*> found;
  for (const Protocol protocol : shown_protocols)
    if (const ProtocolResult* result = find_result(results.models, name, protocol)) found.push_back(result);
  return found;
}

std::vector<const ProtocolResult*> main_results(const Results& results) {
  if (results.models.empty()) return {};
  return results_of(results, results.models.front().name);
}

const ProtocolResult* hardest_result(const Results& results, const std::string& name) {
  for (const Protocol protocol : {Protocol::speaker, Protocol::given, Protocol::random, Protocol::own})
    if (const ProtocolResult* result = find_result(results.models, name, protocol)) return result;
  return nullptr;
}

Drawing model_accuracy_drawing(const Results& results, double width) {
  DotChart chart;
  const std::vector<Protocol> protocols = available_protocols(results);
  for (const Protocol protocol : protocols)
    chart.series.push_back(protocol_series(protocol, results.dataset));
  for (const std::string& name : model_names(results.models)) {
    DotRow row{model_title(name), {}};
    for (const Protocol protocol : protocols) {
      const ProtocolResult* result = find_result(results.models, name, protocol);
      if (result == nullptr)
        row.dots.emplace_back();
      else
        row.dots.push_back(Dot{result->metrics.accuracy, result->statistics.intervals.accuracy,
                               accuracy_hover(name, *result, results.dataset)});
    }
    chart.rows.push_back(std::move(row));
  }
  chart.row_height = 15;
  if (const ProtocolResult* result = hardest_result(results, results.models.front().name)) {
    chart.reference = chance_accuracy(result->metrics);
    chart.reference_title = "always the most frequent label";
  }
  return dot_chart(chart, width);
}

Drawing cost_drawing(const Results& results, double width) {
  std::vector<CostPoint> fits, predictions;
  double low = 1, high = 0;
  for (const std::string& name : model_names(results.models)) {
    const ProtocolResult* result = hardest_result(results, name);
    if (result == nullptr) continue;
    const Cost cost = cost_of(*result);
    if (cost.fit_seconds > 0) fits.push_back({name, cost.fit_seconds, result});
    if (cost.predict_seconds > 0) predictions.push_back({name, cost.predict_seconds, result});
    low = std::min(low, result->statistics.intervals.accuracy.low);
    high = std::max(high, result->statistics.intervals.accuracy.high);
  }
  constexpr double left = 24, top = 12, height = 88, gap = 12;
  const double panel = (width - left - gap) / 2;
  Drawing drawing{width, top + height + 19};
  // Names may stand above and below the whiskers.
  const double margin = 0.12 * (high - low) + 0.005;
  const Scale y{low - margin, high + margin, top + height, top};
  const std::vector<double> y_ticks = ticks(y.low, y.high, 6);
  // Accuracies stand at the first panel; both share them.
  Frame first{{left, top, panel, height}, {}, y};
  draw_y_axis(drawing, first, y_ticks, percent_labels(y_ticks), "accuracy");
  draw_cost_panel(drawing, fits, first.box, y, y_ticks, "CPU time of one training", results);
  draw_cost_panel(drawing, predictions, {left + panel + gap, top, panel, height}, y, y_ticks,
                  "CPU time to predict one clip", results);
  return drawing;
}

Drawing leak_drawing(const Results& results, double width) {
  DotChart chart;
  chart.series = {{"with a sibling in training", {110, 110, 110}, Marker::ring},
                  {"without", palette::orange, Marker::square}};
  bool has_speaker = false;
  for (const std::string& name : model_names(results.models))
    has_speaker = has_speaker || find_result(results.models, name, Protocol::speaker) != nullptr;
  if (has_speaker) chart.series.push_back(protocol_series(Protocol::speaker, results.dataset));
  for (const std::string& name : model_names(results.models)) {
    const ProtocolResult* result = find_result(results.models, name, Protocol::random);
    if (result == nullptr || !result->statistics.leak) continue;
    const SiblingLeak& leak = *result->statistics.leak;
    if (!leak.accuracy_with || !leak.accuracy_without) continue;  // nothing to compare
    const auto dot = [&](double accuracy, Index n) -> std::optional<Dot> {
      const auto n_right = static_cast<Index>(std::llround(accuracy * static_cast<double>(n)));
      return Dot{accuracy, wilson_interval(n_right, n),
                 fmt::format("{} of {} predictions", percent(accuracy), n)};
    };
    DotRow row{model_title(name),
               {dot(*leak.accuracy_with, leak.n_with), dot(*leak.accuracy_without, leak.n_without)}};
    if (has_speaker) {
      const ProtocolResult* speaker = find_result(results.models, name, Protocol::speaker);
      row.dots.emplace_back();
      if (speaker != nullptr)
        row.dots.back() = Dot{speaker->metrics.accuracy, speaker->statistics.intervals.accuracy,
                              accuracy_hover(name, *speaker, results.dataset)};
    }
    chart.rows.push_back(std::move(row));
  }
  if (chart.rows.empty()) return {};
  chart.row_height = 14;
  chart.x_title = "accuracy";
  return dot_chart(chart, width);
}

}  // namespace melgrad
