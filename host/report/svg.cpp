// Drawings as SVG with text as text: small, searchable, and the same bytes from every version of cairo.

#include <array>

#include "host/core/error.hpp"
#include "host/report/html_text.hpp"
#include "host/report/rendering.hpp"
#include "host/report/typesetting.hpp"

namespace melgrad {
namespace {

// At most two decimals.
std::string number(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string colour_value(const Colour& colour) {
  return fmt::format("#{:02x}{:02x}{:02x}", colour.red, colour.green, colour.blue);
}

std::string fill_attributes(const std::optional<Colour>& fill) {
  if (!fill) return " fill=\"none\"";
  std::string text = fmt::format(" fill=\"{}\"", colour_value(*fill));
  if (fill->opacity < 1) text += fmt::format(" fill-opacity=\"{}\"", number(fill->opacity));
  return text;
}

std::string stroke_attributes(const Stroke& stroke) {
  if (stroke.width <= 0) return {};
  std::string text =
      fmt::format(" stroke=\"{}\" stroke-width=\"{}\"", colour_value(stroke.colour), number(stroke.width));
  if (stroke.colour.opacity < 1) text += fmt::format(" stroke-opacity=\"{}\"", number(stroke.colour.opacity));
  if (!stroke.dashes.empty()) {
    std::string dashes;
    for (const double dash : stroke.dashes)
      dashes += fmt::format("{}{}", dashes.empty() ? "" : " ", number(dash));
    text += fmt::format(" stroke-dasharray=\"{}\"", dashes);
  }
  return text;
}

// Attributes and content of one element, hover text included.
std::string element(std::string_view name, const std::string& attributes, const std::string& hover) {
  if (hover.empty()) return fmt::format("<{}{}/>\n", name, attributes);
  return fmt::format("<{0}{1}><title>{2}</title></{0}>\n", name, attributes, html_escaped(hover));
}

std::string svg_of(const Rectangle& shape) {
  std::string attributes =
      fmt::format(" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", number(shape.box.x), number(shape.box.y),
                  number(shape.box.width), number(shape.box.height));
  attributes += fill_attributes(shape.fill) + stroke_attributes(shape.stroke);
  if (!shape.key.empty()) attributes += fmt::format(" data-key=\"{}\"", html_escaped(shape.key));
  return element("rect", attributes, shape.hover);
}

std::string points_of(const std::vector<Point>& points) {
  std::string text;
  for (const Point& point : points)
    text += fmt::format("{}{},{}", text.empty() ? "" : " ", number(point.x), number(point.y));
  return text;
}

std::string svg_of(const Path& shape) {
  return element(shape.fill ? "polygon" : "polyline",
                 fmt::format(" points=\"{}\"", points_of(shape.points)) + fill_attributes(shape.fill) +
                     stroke_attributes(shape.stroke),
                 {});
}

std::string svg_of(const Mark& shape) {
  const double x = shape.centre.x, y = shape.centre.y, radius = shape.radius;
  const bool ring = shape.marker == Marker::ring;
  const std::string paint = fill_attributes(ring ? palette::white : shape.colour) +
                            stroke_attributes(ring ? Stroke{shape.colour, 0.9} : Stroke{palette::white, 0.4});
  if (shape.marker == Marker::diamond) {
    const double reach = 1.25 * radius;
    const std::string corners = points_of({{x, y - reach}, {x + reach, y}, {x, y + reach}, {x - reach, y}});
    return element("polygon", fmt::format(" points=\"{}\"", corners) + paint, shape.hover);
  }
  if (shape.marker == Marker::square)
    return element("rect",
                   fmt::format(" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", number(x - 0.9 * radius),
                               number(y - 0.9 * radius), number(1.8 * radius), number(1.8 * radius)) +
                       paint,
                   shape.hover);
  return element("circle",
                 fmt::format(" cx=\"{}\" cy=\"{}\" r=\"{}\"", number(x), number(y), number(radius)) + paint,
                 shape.hover);
}

std::string svg_of(const Text& shape) {
  static constexpr std::array families = {"sans", "serif", "mono"};
  static constexpr std::array anchors = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
  std::string attributes =
      fmt::format(" class=\"{}\" font-size=\"{}\"", families[static_cast<std::size_t>(shape.font.face)],
                  number(shape.font.size));
  if (shape.font.bold) attributes += " font-weight=\"bold\"";
  if (shape.font.italic) attributes += " font-style=\"italic\"";
  attributes += fill_attributes(shape.colour) + anchors[static_cast<std::size_t>(shape.anchor)];
  attributes += shape.upwards ? fmt::format(" transform=\"translate({} {}) rotate(-90)\"", number(shape.at.x),
                                            number(shape.at.y))
                              : fmt::format(" x=\"{}\" y=\"{}\"", number(shape.at.x), number(shape.at.y));
  return fmt::format("<text{}>{}</text>\n", attributes, html_escaped(shape.text));
}

}  // namespace

std::string svg_text(const Drawing& drawing, const std::string& title, bool inside_html) {
  std::string text;
  if (!inside_html) text += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  text += fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}pt\" height=\"{1}pt\" "
      "role=\"img\" aria-label=\"{2}\">\n",
      number(drawing.width), number(drawing.height), html_escaped(title));
  if (!inside_html)
    text += fmt::format(
        "<title>{}</title>\n<style>.sans {{ font-family: 'Liberation Sans', Arial, Helvetica, sans-serif }} "
        ".serif {{ font-family: 'Liberation Serif', 'Times New Roman', Times, serif }} "
        ".mono {{ font-family: 'Liberation Mono', 'Courier New', monospace }}</style>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        html_escaped(title));
  for (const Shape& shape : drawing.shapes)
    text += std::visit([](const auto& each) { return svg_of(each); }, shape);
  return text + "</svg>\n";
}

}  // namespace melgrad
