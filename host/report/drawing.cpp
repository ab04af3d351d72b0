#include "host/report/drawing.hpp"

#include <algorithm>
#include <cmath>

#include "host/report/typesetting.hpp"

namespace melgrad {
namespace {

// Overloads in one object, for std::visit.
template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

Colour mixed(const Colour& from, const Colour& to, double share) {
  const auto channel = [&](std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(std::lround(a + (b - a) * share));
  };
  return {channel(from.red, to.red), channel(from.green, to.green), channel(from.blue, to.blue),
          from.opacity + (to.opacity - from.opacity) * share};
}

Colour ink_on(const Colour& background) {
  // ITU-R BT.601 luma
  const double luma = 0.299 * background.red + 0.587 * background.green + 0.114 * background.blue;
  return luma > 140 ? palette::black : palette::white;
}

bool overlap(const Box& a, const Box& b) {
  return a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom();
}

void Drawing::line(Point from, Point to, const Colour& colour, double width_pt, std::vector<double> dashes) {
  add(Path{{from, to}, {colour, width_pt, std::move(dashes)}});
}

void Drawing::text(std::string_view words, Point at, const Font& font, const Colour& colour, Anchor anchor) {
  add(Text{std::string(words), at, font, colour, anchor});
}

void Drawing::paste(const Drawing& other, Point offset) {
  const auto moved = [&](Point point) { return Point{point.x + offset.x, point.y + offset.y}; };
  for (Shape shape : other.shapes) {
    std::visit(
        Overloaded{[&](Rectangle& each) {
                     each.box.x += offset.x;
                     each.box.y += offset.y;
                   },
                   [&](Path& each) { std::ranges::transform(each.points, each.points.begin(), moved); },
                   [&](Mark& each) { each.centre = moved(each.centre); },
                   [&](Text& each) { each.at = moved(each.at); }},
        shape);
    add(std::move(shape));
  }
}

Box bounds_of(const Shape& shape) {
  return std::visit(
      Overloaded{
          [](const Rectangle& each) { return each.box; },
          [](const Path& each) {
            const auto [left, right] = std::ranges::minmax(each.points, {}, &Point::x);
            const auto [top, bottom] = std::ranges::minmax(each.points, {}, &Point::y);
            return Box{left.x, top.y, right.x - left.x, bottom.y - top.y};
          },
          [](const Mark& each) {
            return Box{each.centre.x - each.radius, each.centre.y - each.radius, 2 * each.radius,
                       2 * each.radius};
          },
          [](const Text& each) {
            const double width = text_width(each.text, each.font);
            const double before = each.anchor == Anchor::start ? 0 : each.anchor == Anchor::end ? 1 : 0.5;
            const double ascent = 0.74 * each.font.size, descent = 0.22 * each.font.size;
            if (each.upwards)
              return Box{each.at.x - ascent, each.at.y - (1 - before) * width, ascent + descent, width};
            return Box{each.at.x - before * width, each.at.y - ascent, width, ascent + descent};
          }},
      shape);
}

}  // namespace melgrad
