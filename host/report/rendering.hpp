#pragma once
// Drawings as parts of pages, as PNG and as SVG.

#include <string>

#include "host/report/drawing.hpp"

using cairo_t = struct _cairo;

namespace melgrad {

// Onto a page, its top left corner at `at`, its units those of the page.
void render(const Drawing& drawing, cairo_t* cairo, Point at);

// The bytes of a PNG on white, `scale` pixels a point.
std::string png_bytes(const Drawing& drawing, double scale);

// `inside_html`: without XML header, fonts and white background, which the page has. Text stays text, in
// fonts of the metrics of Helvetica. `title`: what it shows, for screen readers.
std::string svg_text(const Drawing& drawing, const std::string& title, bool inside_html);

}  // namespace melgrad
