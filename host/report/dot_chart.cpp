#include "host/report/dot_chart.hpp"

#include <algorithm>
#include <cmath>

#include "host/core/error.hpp"
#include "host/report/typesetting.hpp"

namespace melgrad {
namespace {

constexpr double mark_radius = 2.3;
constexpr double value_width = 21;
constexpr double label_gap = 8;
constexpr Font value_font{6.4};

struct Range {
  double low = 0;
  double high = 1;
};

// Of all values and interval ends, and the reference.
Range range_of(const DotChart& chart) {
  double low = INFINITY, high = -INFINITY;
  const auto include = [&](double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const DotRow& row : chart.rows)
    for (const auto& dot : row.dots)
      if (dot) {
        include(dot->value);
        if (dot->interval) {
          include(dot->interval->low);
          include(dot->interval->high);
        }
      }
  if (chart.reference) include(*chart.reference);
  if (!(low <= high)) return {0, 1};
  const double margin = std::max(0.05 * (high - low), chart.shares ? 0.02 : 1e-6);
  Range range{low - margin, high + margin};
  if (chart.shares) range = {std::max(range.low, -0.02), std::min(range.high, 1.02)};
  return {chart.low.value_or(range.low), chart.high.value_or(range.high)};
}

std::string value_text(const DotChart& chart, double value) {
  return chart.shares ? fmt::format("{:.1f}", 100 * value) : fmt::format("{:.2f}", value);
}

void draw_row(Drawing& drawing, const DotChart& chart, const DotRow& row, const Frame& frame, double y) {
  double least = INFINITY, most = -INFINITY;
  for (const auto& dot : row.dots)
    if (dot) {
      least = std::min(least, dot->value);
      most = std::max(most, dot->value);
    }
  if (chart.connected && least < most)
    drawing.line({frame.x.at(least), y}, {frame.x.at(most), y}, palette::rule, 0.8);
  // Whiskers first, a little apart, so that no mark is hidden by another's.
  const auto n_series = static_cast<double>(row.dots.size());
  const double apart = std::min(2.6, 0.6 * chart.row_height / std::max(n_series, 1.0));
  const auto offset = [&](std::size_t i) {
    return chart.connected ? 0 : (static_cast<double>(i) - (n_series - 1) / 2) * apart;
  };
  for (std::size_t i = 0; i < row.dots.size(); ++i) {
    if (!row.dots[i] || !row.dots[i]->interval) continue;
    const Interval& interval = *row.dots[i]->interval;
    Colour colour = chart.series[i].colour;
    colour.opacity = 0.55;
    const double at = y + offset(i);
    drawing.line({frame.x.at(std::max(interval.low, frame.x.low)), at},
                 {frame.x.at(std::min(interval.high, frame.x.high)), at}, colour, 1.5);
  }
  for (std::size_t i = 0; i < row.dots.size(); ++i)
    if (row.dots[i])
      drawing.add(Mark{{frame.x.at(row.dots[i]->value), y + offset(i)},
                       mark_radius,
                       chart.series[i].colour,
                       chart.series[i].marker,
                       row.dots[i]->hover});
}

}  // namespace

double draw_series_titles(Drawing& drawing, const std::vector<DotSeries>& series, Point at, double width) {
  constexpr double line = 9.5, indent = 8, gap = 10;
  double x = at.x, y = at.y;
  for (const DotSeries& each : series) {
    const std::string title = fitted(each.title, label_font, width - indent);
    const double needed = indent + text_width(title, label_font);
    if (x > at.x && x + needed > at.x + width) {
      x = at.x;
      y += line;
    }
    drawing.add(Mark{{x + 3, y + 4}, mark_radius, each.colour, each.marker});
    drawing.text(title, {x + indent, y + 6.3}, label_font, each.colour);
    x += needed + gap;
  }
  return y + line - at.y;
}

Drawing dot_chart(const DotChart& chart, double width) {
  std::vector<std::string> names;
  for (const DotRow& row : chart.rows) names.push_back(row.label);
  double label_width = 0;
  for (const std::string& name : names) label_width = std::max(label_width, text_width(name, label_font));
  label_width = std::min(label_width, chart.largest_label_share * width);
  names = fitted_names(names, label_font, label_width);

  Drawing drawing;
  drawing.width = width;
  const double head = chart.series.size() > 1 || !chart.series.front().title.empty()
                          ? draw_series_titles(drawing, chart.series, {0, 0}, width) + 3
                          : 2;
  const double values = value_width * static_cast<double>(chart.series.size());
  Frame frame;
  frame.box = {label_width + label_gap, head, width - label_width - label_gap - values - 2,
               chart.row_height * static_cast<double>(chart.rows.size())};
  const Range range = range_of(chart);
  frame.x = {range.low, range.high, frame.box.x, frame.box.right()};
  const std::vector<double> at =
      ticks(range.low, range.high, std::max(2, static_cast<int>(frame.box.width / 24)));
  std::vector<std::string> labels;
  for (const double tick : at) labels.push_back(tick_text(tick));
  draw_x_axis(drawing, frame, at, chart.shares ? percent_labels(at) : labels, chart.x_title);
  if (chart.reference) {
    const double x = frame.x.at(*chart.reference);
    drawing.line({x, frame.box.y}, {x, frame.box.bottom()}, palette::dim, 0.6, {2, 1.5});
  }
  for (std::size_t i = 0; i < chart.rows.size(); ++i) {
    const double y = frame.box.y + (static_cast<double>(i) + 0.5) * chart.row_height;
    drawing.text(names[i], {label_width, y + 2.3}, label_font, palette::black, Anchor::end);
    draw_row(drawing, chart, chart.rows[i], frame, y);
    for (std::size_t series = 0; series < chart.series.size(); ++series) {
      const auto& dot = chart.rows[i].dots[series];
      const double right = frame.box.right() + 2 + value_width * static_cast<double>(series + 1);
      drawing.text(dot ? value_text(chart, dot->value) : "\u2013", {right, y + 2.3}, value_font,
                   dot ? chart.series[series].colour : palette::dim, Anchor::end);
    }
  }
  drawing.height = frame.box.bottom() + (chart.x_title.empty() && chart.reference_title.empty() ? 10 : 19);
  if (chart.reference && !chart.reference_title.empty()) {
    const double x = frame.x.at(*chart.reference);
    const double half = text_width(chart.reference_title, tick_font) / 2;
    drawing.text(chart.reference_title, {std::max(x, half), frame.box.bottom() + 16.5}, tick_font,
                 palette::dim, Anchor::middle);
  }
  return drawing;
}

}  // namespace melgrad
