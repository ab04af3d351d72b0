#pragma once
// Text by Pango: measured, shortened to a width, and set in justified paragraphs. Widths and heights are
// points. The same fonts give the same numbers on every device: nothing is hinted.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/report/drawing.hpp"

using cairo_t = struct _cairo;  // NOLINT(bugprone-reserved-identifier): cairo.h's

namespace melgrad {

// Nothing where text can be set; else an error that names the package to install.
void require_fonts();

// Valid UTF-8 without control characters and without marks that turn the direction of what follows.
std::string clean(std::string_view text);

// Whether this machine's fonts have a glyph for every character.
bool has_glyphs(std::string_view text);

double text_width(std::string_view text, const Font& font);

// Draws one line with its baseline's start at the origin.
void draw_line_of_text(cairo_t* cairo, std::string_view text, const Font& font);

// The text, or as much of its beginning as fits with an ellipsis; empty where not even that fits.
std::string fitted(std::string_view text, const Font& font, double width);
// All texts within `width` and still told apart: by their beginnings, else by beginnings and ends, else by
// numbers.
std::vector<std::string> fitted_names(const std::vector<std::string>& texts, const Font& font, double width);

// Words with <b>, <i> and <tt> in them: what both Pango and a browser understand.
class Markup {
 public:
  Markup() = default;
  // Plain words: every character stands for itself.
  Markup(std::string_view words);  // NOLINT(google-explicit-constructor)
  Markup(const char* words) : Markup(std::string_view(words)) {}
  Markup(const std::string& words) : Markup(std::string_view(words)) {}
  static Markup bold(std::string_view words);
  static Markup italic(std::string_view words);
  static Markup code(std::string_view words);

  Markup& operator+=(const Markup& more);
  friend Markup operator+(Markup a, const Markup& b) { return a += b; }
  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  std::string text_;
};

enum class Alignment { left, centre, justified };

// Lines broken to a width.
class Paragraph {
 public:
  Paragraph(const Markup& words, const Font& font, double width, Alignment alignment, double line_height,
            double first_indent = 0);
  ~Paragraph();
  Paragraph(Paragraph&&) noexcept;
  Paragraph& operator=(Paragraph&&) noexcept;

  int n_lines() const;
  double line_height() const;
  // Lines first .. end - 1, with the first one's top at `at`.
  void draw(cairo_t* cairo, Point at, int first, int end, const Colour& colour) const;

 private:
  struct Layout;
  std::unique_ptr<Layout> layout_;
};

}  // namespace melgrad
