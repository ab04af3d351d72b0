// How fast engines and others do the same work.

#include <algorithm>
#include <cmath>

#include "host/core/error.hpp"
#include "host/report/figures.hpp"
#include "host/report/measurements.hpp"

namespace melgrad {
namespace {

constexpr double row_height = 10;
constexpr double heading_height = 12;

// "features: WAV file to cached row: clips a second"
std::string heading_of(const Measurement& measurement) {
  return fmt::format("{}: {}s a second", measurement.work, measurement.unit);
}

// Three figures: 1010, 22.6, 0.0123
std::string rate_text(double per_second) {
  if (per_second >= 100) return fmt::format("{:.0f}", per_second);
  return fmt::format("{:.{}f}", per_second, per_second >= 10 ? 1 : per_second >= 1 ? 2 : 4);
}

// With the ratio where there is one: "22.6   54\u00d7".
std::string value_of(const Measurement& measurement) {
  std::string text = rate_text(measurement.per_second);
  if (measurement.ratio > 0)
    text += fmt::format("   {:.{}f}\u00d7", measurement.ratio, measurement.ratio < 9.95 ? 1 : 0);
  return text;
}

double lowest(const Measurement& measurement) {
  return measurement.per_second / (1 + measurement.spread);
}
double highest(const Measurement& measurement) {
  return measurement.per_second * (1 + measurement.spread);
}

}  // namespace

Drawing throughput_drawing(const Results& results, double width) {
  const std::vector<std::vector<Measurement>> works = measurements_from_json(results.bench);
  if (works.empty()) return {};
  double low = INFINITY, high = 0, names = 0, values = 0;
  for (const std::vector<Measurement>& work : works)
    for (const Measurement& each : work) {
      low = std::min(low, lowest(each));
      high = std::max(high, highest(each));
      names = std::max(names, text_width(each.who, label_font));
      values = std::max(values, text_width(value_of(each), tick_font));
    }
  names = std::min(names, 0.42 * width);
  Drawing drawing{width, 0};
  Frame frame;
  frame.box = {names + 5, 2, width - names - 5 - values - 6, 0};
  frame.x = {low * 0.8, high * 1.25, frame.box.x, frame.box.right(), true};
  Drawing rows{width, 0};
  double y = frame.box.y;
  for (const std::vector<Measurement>& work : works) {
    const Font bold{label_font.size, true};
    rows.text(fitted(heading_of(work.front()), bold, width), {0, y + 8}, bold);
    y += heading_height;
    for (const Measurement& each : work) {
      const Colour colour = each.is_ours() ? palette::blue : palette::dim;
      const double middle = y + row_height / 2;
      rows.text(fitted(each.who, label_font, names), {names, middle + 2.3}, label_font, palette::black,
                Anchor::end);
      Colour whisker = colour;
      whisker.opacity = 0.5;
      rows.line({frame.x.at(lowest(each)), middle}, {frame.x.at(highest(each)), middle}, whisker, 1.5);
      rows.add(Mark{{frame.x.at(each.per_second), middle},
                    2.3,
                    colour,
                    each.is_ours() ? Marker::disc : Marker::square,
                    fmt::format("{}: {} {}s a second", each.who, rate_text(each.per_second), each.unit)});
      rows.text(value_of(each), {width, middle + 2.2}, tick_font, colour, Anchor::end);
      y += row_height;
    }
  }
  frame.box.height = y - frame.box.y + 2;
  const std::vector<double> at = log_ticks(frame.x.low, frame.x.high, static_cast<int>(frame.box.width / 26));
  std::vector<std::string> labels;
  for (const double tick : at) labels.push_back(fmt::format("{:g}", tick));
  draw_x_axis(drawing, frame, at, labels, "a second, logarithmic");
  drawing.paste(rows, {0, 0});
  drawing.height = frame.box.bottom() + 19;
  return drawing;
}

}  // namespace melgrad
