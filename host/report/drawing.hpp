#pragma once
// What a figure is made of: shapes in points (1/72 inch), y downwards, in the order in which they are
// painted. rendering.hpp turns a drawing into a page's part, PNG or SVG.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace melgrad {

struct Colour {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
  double opacity = 1;
  bool operator==(const Colour&) const = default;
};
// `share` of the way from one colour to another, each channel by itself.
Colour mixed(const Colour& from, const Colour& to, double share);
// Black or white, whichever reads better on it.
Colour ink_on(const Colour& background);

// Colours that stay apart for colour-blind eyes (Okabe and Ito, 2008), and greys.
namespace palette {
inline constexpr Colour blue{0, 114, 178};
inline constexpr Colour vermillion{213, 94, 0};
inline constexpr Colour green{0, 158, 115};
inline constexpr Colour orange{230, 159, 0};
inline constexpr Colour sky{86, 180, 233};
inline constexpr Colour purple{204, 121, 167};
inline constexpr Colour black{20, 20, 20};
inline constexpr Colour dim{100, 100, 100};    // text of lesser weight
inline constexpr Colour rule{150, 150, 150};   // axes
inline constexpr Colour faint{225, 225, 225};  // grid lines
inline constexpr Colour white{255, 255, 255};
}  // namespace palette

enum class Face { sans, serif, mono };
struct Font {
  double size = 7;  // points
  bool bold = false;
  bool italic = false;
  Face face = Face::sans;
};

struct Point {
  double x = 0;
  double y = 0;
};
struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};
bool overlap(const Box& a, const Box& b);

struct Stroke {
  Colour colour = palette::black;
  double width = 0;  // 0: no line
  std::vector<double> dashes = {};
};

struct Rectangle {
  Box box;
  std::optional<Colour> fill;
  Stroke stroke = {};
  std::string hover = {};  // shown by a browser while the pointer is there
  std::string key = {};    // for the HTML's script: what the shape stands for
};
struct Path {
  std::vector<Point> points;
  Stroke stroke = {};
  std::optional<Colour> fill = {};  // of the closed path
};
enum class Marker { disc, ring, diamond, square };
struct Mark {
  Point centre;
  double radius = 2;
  Colour colour;
  Marker marker = Marker::disc;
  std::string hover = {};
};
enum class Anchor { start, middle, end };
struct Text {
  std::string text;
  Point at;  // on the baseline, at the text's start, middle or end
  Font font = {};
  Colour colour = palette::black;
  Anchor anchor = Anchor::start;
  bool upwards = false;  // turned a quarter, to be read from below
};
using Shape = std::variant<Rectangle, Path, Mark, Text>;

struct Drawing {
  double width = 0;
  double height = 0;
  std::vector<Shape> shapes = {};

  template <class AnyShape>
  void add(AnyShape shape) {
    shapes.emplace_back(std::move(shape));
  }
  void line(Point from, Point to, const Colour& colour, double width_pt, std::vector<double> dashes = {});
  void text(std::string_view words, Point at, const Font& font, const Colour& colour = palette::black,
            Anchor anchor = Anchor::start);
  // All shapes of `other`, moved by `offset`.
  void paste(const Drawing& other, Point offset);
};

// What a shape covers; of a text its measured extent.
Box bounds_of(const Shape& shape);

}  // namespace melgrad
