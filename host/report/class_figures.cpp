// Where one model is right and where not: label by label, speaker by speaker, feature by feature.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/core/error.hpp"
#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

constexpr std::size_t most_drifting_features = 9;

// More rows stand closer.
double row_height(std::size_t n_rows) {
  return std::clamp(150.0 / static_cast<double>(std::max<std::size_t>(n_rows, 1)), 7.6, 11.5);
}

}  // namespace

Drawing class_drawing(const Results& results, double width) {
  const std::vector<const ProtocolResult*> shown = main_results(results);
  if (shown.empty()) return {};
  DotChart chart;
  for (const ProtocolResult* result : shown)
    chart.series.push_back(protocol_series(result->protocol, results.dataset));
  const ProtocolResult* sorted_by = hardest_result(results, results.models.front().name);
  std::vector<std::size_t> order(sorted_by->labels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) {
    const ClassMetrics& each = sorted_by->metrics.per_class[i];
    return each.support == 0 ? -1 : each.f1;
  });
  if (order.size() > most_class_rows)
    order.erase(order.begin() + most_class_rows / 2, order.end() - most_class_rows / 2);
  for (const std::size_t i : order) {
    const std::string& label = sorted_by->labels[i];
    DotRow row{label, {}};
    for (const ProtocolResult* result : shown) {
      const auto found = std::ranges::find(result->labels, label);
      row.dots.emplace_back();
      if (found == result->labels.end()) continue;
      const ClassMetrics& each =
          result->metrics.per_class[static_cast<std::size_t>(found - result->labels.begin())];
      if (each.support == 0) continue;
      row.dots.back() = Dot{
          each.f1,
          {},
          fmt::format("{}, {}: F1 {}, precision {}, recall {}, {}", label,
                      protocol_title(result->protocol, results.dataset), percent(each.f1),
                      percent(each.precision), percent(each.recall), counted(each.support, "prediction"))};
    }
    chart.rows.push_back(std::move(row));
  }
  chart.row_height = row_height(chart.rows.size());
  chart.connected = shown.size() > 1;
  chart.x_title = "F1";
  return dot_chart(chart, width);
}

Drawing subgroup_drawing(const Results& results, double width) {
  if (results.models.empty()) return {};
  const ProtocolResult* result = hardest_result(results, results.models.front().name);
  if (result == nullptr) return {};
  const DotSeries series = protocol_series(result->protocol, results.dataset);
  DotChart chart;
  chart.series = {{"", series.colour, series.marker}};
  const auto add = [&](const Subgroup& each, const std::string& label) {
    chart.rows.push_back({label,
                          {Dot{each.accuracy, each.interval,
                               fmt::format("{}: {} of {}", label, percent(each.accuracy),
                                           counted(each.n_test, "prediction"))}}});
  };
  std::vector<Subgroup> groups;
  for (const Subgroup& each : result->statistics.subgroups)
    if (each.attribute == "group")
      groups.push_back(each);
    else
      add(each, each.attribute + " " + each.value);
  std::ranges::stable_sort(groups, std::greater{}, &Subgroup::accuracy);
  // The best, the median and the worst of many.
  const auto name = [&](const Subgroup& each) { return results.dataset.group_noun + " " + each.value; };
  if (groups.size() > 5) {
    add(groups.front(), name(groups.front()) + " (best)");
    add(groups[groups.size() / 2], name(groups[groups.size() / 2]) + " (median)");
    add(groups.back(), name(groups.back()) + " (worst)");
  } else {
    for (const Subgroup& each : groups) add(each, name(each));
  }
  if (chart.rows.size() < 2) return {};
  if (chart.rows.size() > 14) chart.rows.erase(chart.rows.begin(), chart.rows.end() - 14);
  chart.reference = result->metrics.accuracy;
  chart.row_height = row_height(chart.rows.size());
  chart.x_title = "accuracy";
  chart.largest_label_share = 0.45;
  return dot_chart(chart, width);
}

Drawing drift_drawing(const Results& results, double width) {
  if (!results.drift || results.drift->features.empty()) return {};
  DotChart chart;
  chart.series = {{"own recordings", palette::vermillion, Marker::diamond}};
  const bool typical_known = results.drift->typical_mean_shift > 0;
  if (typical_known)
    chart.series.push_back({fmt::format("a typical {} of the data set", clean(results.dataset.group_noun)),
                            palette::blue, Marker::disc});
  for (const FeatureDrift& each : results.drift->features) {
    if (chart.rows.size() == most_drifting_features) break;
    DotRow row{each.column,
               {Dot{std::abs(each.shift),
                    {},
                    fmt::format("{}: {:+.2f} standard deviations, spread {:.2f} times that of training",
                                each.column, each.shift, each.spread)}}};
    if (typical_known) row.dots.push_back(Dot{each.typical_shift, {}, {}});
    chart.rows.push_back(std::move(row));
  }
  chart.shares = false;
  chart.low = 0;
  chart.row_height = row_height(chart.rows.size());
  chart.x_title = "shift of the mean, in standard deviations of the data set";
  chart.largest_label_share = 0.42;
  return dot_chart(chart, width);
}

}  // namespace melgrad
