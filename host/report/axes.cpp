#include "host/report/axes.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "host/core/error.hpp"
#include "host/report/typesetting.hpp"

namespace melgrad {
namespace {

constexpr double hairline = 0.4;

double overlapping_area(const Box& a, const Box& b) {
  const double width = std::min(a.right(), b.right()) - std::max(a.x, b.x);
  const double height = std::min(a.bottom(), b.bottom()) - std::max(a.y, b.y);
  return std::max(width, 0.0) * std::max(height, 0.0);
}

}  // namespace

double Scale::at(double value) const {
  const double share =
      logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return from + share * (to - from);
}

std::vector<double> ticks(double low, double high, int most) {
  if (!(high > low) || most < 1) return {low};
  const double power = std::pow(10, std::floor(std::log10((high - low) / most)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    const double step = factor * power;
    // A hair of tolerance: 0.3 is a multiple of 0.1.
    const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
    if (last - first + 1 > most) continue;
    std::vector<double> found;
    for (int i = 0; i <= static_cast<int>(last - first); ++i) {
      const double multiple = first + i;
      found.push_back(multiple == 0 ? 0 : multiple * step);  // never -0
    }
    return found;
  }
  return {low};
}

std::vector<double> log_ticks(double low, double high, int most) {
  // A hair of tolerance: 10^-3 is not a double.
  const int first = static_cast<int>(std::ceil(std::log10(low) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log10(high) + 1e-9));
  const int step = std::max(1, (last - first + most) / most);
  std::vector<double> found;
  for (int exponent = first; exponent <= last; exponent += step) found.push_back(std::pow(10, exponent));
  if (found.size() >= 2) return found;
  found.clear();
  for (int exponent = first - 1; exponent <= last + 1; ++exponent)
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10, exponent);
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) found.push_back(value);
    }
  return found;
}

std::string duration_tick(double seconds) {
  const auto value = [](double number) { return fmt::format("{:.3g}", number); };
  if (seconds < 0.9995e-3) return value(seconds * 1e6) + " \u00b5s";
  if (seconds < 0.9995) return value(seconds * 1e3) + " ms";
  if (seconds < 1000) return value(seconds) + " s";
  if (seconds < 36'000) return value(seconds / 60) + " min";
  return value(seconds / 3600) + " h";
}

std::string tick_text(double value) {
  return fmt::format("{:.4g}", value);
}

void draw_x_axis(Drawing& drawing, const Frame& frame, const std::vector<double>& at,
                 const std::vector<std::string>& labels, const std::string& title) {
  double clear_from = -1e9;  // labels that would touch their neighbour are left out
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double x = frame.x.at(at[i]);
    drawing.line({x, frame.box.y}, {x, frame.box.bottom()}, palette::faint, hairline);
    const double half = text_width(labels[i], tick_font) / 2;
    const double middle = std::min(x, drawing.width - half);
    if (middle - half < clear_from) continue;
    clear_from = middle + half + 3;
    drawing.text(labels[i], {middle, frame.box.bottom() + 8}, tick_font, palette::dim, Anchor::middle);
  }
  drawing.line({frame.box.x, frame.box.bottom()}, {frame.box.right(), frame.box.bottom()}, palette::rule,
               hairline);
  if (!title.empty())
    drawing.text(title, {frame.box.x + frame.box.width / 2, frame.box.bottom() + 16.5}, axis_font,
                 palette::black, Anchor::middle);
}

void draw_y_axis(Drawing& drawing, const Frame& frame, const std::vector<double>& at,
                 const std::vector<std::string>& labels, const std::string& title) {
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double y = frame.y.at(at[i]);
    drawing.line({frame.box.x, y}, {frame.box.right(), y}, palette::faint, hairline);
    drawing.text(labels[i], {frame.box.x - 3, y + 2.2}, tick_font, palette::dim, Anchor::end);
  }
  if (!title.empty()) drawing.text(title, {0, frame.box.y - 5}, axis_font);
}

std::vector<std::string> percent_labels(const std::vector<double>& at) {
  std::vector<std::string> labels;
  for (const double share : at) labels.push_back(fmt::format("{:.3g}", 100 * share));
  if (!labels.empty()) labels.back() += " %";
  return labels;
}

Text LabelPlacer::place(const std::string& words, Point mark, double radius, const Font& font,
                        const Colour& colour, double up, double down) {
  const double away = radius + 2, rise = 0.34 * font.size;
  const std::array<std::pair<Point, Anchor>, 10> sides = {{
      {{away, rise}, Anchor::start},
      {{-away, rise}, Anchor::end},
      {{0, -away}, Anchor::middle},
      {{0, away + 2 * rise}, Anchor::middle},
      {{0.7 * away, -0.6 * away}, Anchor::start},
      {{0.7 * away, 0.6 * away + 2 * rise}, Anchor::start},
      {{-0.7 * away, -0.6 * away}, Anchor::end},
      {{-0.7 * away, 0.6 * away + 2 * rise}, Anchor::end},
      {{0, -up - 2}, Anchor::middle},
      {{0, down + 2 + 2 * rise}, Anchor::middle},
  }};
  Text best;
  Box best_box;
  double least = -1;
  for (const auto& [offset, anchor] : sides) {
    Text text{words, {mark.x + offset.x, mark.y + offset.y}, font, colour, anchor};
    Box box = bounds_of(text);
    // What would leave the room is moved back into it.
    const double shift_x = std::max(std::min(box.x, room_.right() - box.width), room_.x) - box.x;
    const double shift_y = std::max(std::min(box.y, room_.bottom() - box.height), room_.y) - box.y;
    text.at = {text.at.x + shift_x, text.at.y + shift_y};
    box.x += shift_x;
    box.y += shift_y;
    double cost = 4 * (box.width * box.height - overlapping_area(box, room_));
    for (const Box& taken : taken_) cost += overlapping_area(box, taken);
    if (least >= 0 && cost >= least) continue;
    least = cost;
    best = text;
    best_box = box;
    if (cost < 1e-6) break;
  }
  taken_.push_back(best_box);
  return best;
}

}  // namespace melgrad
