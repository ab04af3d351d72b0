#include "host/report/rendering.hpp"

#include <cairo.h>

#include <cmath>
#include <memory>

#include "host/core/error.hpp"
#include "host/report/typesetting.hpp"

namespace melgrad {
namespace {

void set_colour(cairo_t* cairo, const Colour& colour) {
  cairo_set_source_rgba(cairo, colour.red / 255.0, colour.green / 255.0, colour.blue / 255.0, colour.opacity);
}

// Fills and strokes the current path.
void paint(cairo_t* cairo, const std::optional<Colour>& fill, const Stroke& stroke) {
  if (fill) {
    set_colour(cairo, *fill);
    cairo_fill_preserve(cairo);
  }
  if (stroke.width > 0) {
    set_colour(cairo, stroke.colour);
    cairo_set_line_width(cairo, stroke.width);
    cairo_set_dash(cairo, stroke.dashes.data(), static_cast<int>(stroke.dashes.size()), 0);
    cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke_preserve(cairo);
  }
  cairo_new_path(cairo);
}

void render_shape(const Rectangle& shape, cairo_t* cairo) {
  cairo_rectangle(cairo, shape.box.x, shape.box.y, shape.box.width, shape.box.height);
  paint(cairo, shape.fill, shape.stroke);
}

void render_shape(const Path& shape, cairo_t* cairo) {
  for (const Point& point : shape.points) cairo_line_to(cairo, point.x, point.y);
  if (shape.fill) cairo_close_path(cairo);
  paint(cairo, shape.fill, shape.stroke);
}

void render_shape(const Mark& shape, cairo_t* cairo) {
  const double x = shape.centre.x, y = shape.centre.y, radius = shape.radius;
  switch (shape.marker) {
    case Marker::disc:
    case Marker::ring:
      cairo_arc(cairo, x, y, radius, 0, 2 * M_PI);
      break;
    case Marker::diamond:
      cairo_move_to(cairo, x, y - 1.25 * radius);
      cairo_line_to(cairo, x + 1.25 * radius, y);
      cairo_line_to(cairo, x, y + 1.25 * radius);
      cairo_line_to(cairo, x - 1.25 * radius, y);
      cairo_close_path(cairo);
      break;
    case Marker::square:
      cairo_rectangle(cairo, x - 0.9 * radius, y - 0.9 * radius, 1.8 * radius, 1.8 * radius);
      break;
  }
  if (shape.marker == Marker::ring)
    paint(cairo, palette::white, {shape.colour, 0.9});
  else
    paint(cairo, shape.colour, {palette::white, 0.4});
}

void render_shape(const Text& shape, cairo_t* cairo) {
  set_colour(cairo, shape.colour);
  const double width = shape.anchor == Anchor::start ? 0 : text_width(shape.text, shape.font);
  cairo_save(cairo);
  cairo_translate(cairo, shape.at.x, shape.at.y);
  if (shape.upwards) cairo_rotate(cairo, -M_PI / 2);
  cairo_translate(cairo, shape.anchor == Anchor::end ? -width : -width / 2, 0);
  draw_line_of_text(cairo, shape.text, shape.font);
  cairo_restore(cairo);
}

struct DestroySurface {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct DestroyContext {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

}  // namespace

void render(const Drawing& drawing, cairo_t* cairo, Point at) {
  cairo_save(cairo);
  cairo_translate(cairo, at.x, at.y);
  for (const Shape& shape : drawing.shapes) {
    cairo_new_path(cairo);  // text leaves its end behind as the current point
    std::visit([&](const auto& each) { render_shape(each, cairo); }, shape);
  }
  cairo_restore(cairo);
}

std::string png_bytes(const Drawing& drawing, double scale) {
  const std::unique_ptr<cairo_surface_t, DestroySurface> surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(std::ceil(drawing.width * scale)),
                                 static_cast<int>(std::ceil(drawing.height * scale))));
  const std::unique_ptr<cairo_t, DestroyContext> cairo(cairo_create(surface.get()));
  cairo_set_source_rgb(cairo.get(), 1, 1, 1);
  cairo_paint(cairo.get());
  cairo_scale(cairo.get(), scale, scale);
  render(drawing, cairo.get(), {});
  std::string bytes;
  const auto append = [](void* closure, const unsigned char* data, unsigned int length) {
    static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
    return CAIRO_STATUS_SUCCESS;
  };
  const cairo_status_t status = cairo_surface_write_to_png_stream(surface.get(), append, &bytes);
  if (status != CAIRO_STATUS_SUCCESS) fail("a figure cannot be drawn: {}", cairo_status_to_string(status));
  return bytes;
}

}  // namespace melgrad
