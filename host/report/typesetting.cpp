#include "host/report/typesetting.hpp"

#include <pango/pangocairo.h>

#include <algorithm>
#include <set>

#include "host/core/error.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

template <auto unref>
struct Unref {
  template <class Object>
  void operator()(Object* object) const {
    unref(object);
  }
};
using FontMapHandle = std::unique_ptr<PangoFontMap, Unref<g_object_unref>>;
using ContextHandle = std::unique_ptr<PangoContext, Unref<g_object_unref>>;
using LayoutHandle = std::unique_ptr<PangoLayout, Unref<g_object_unref>>;
using DescriptionHandle = std::unique_ptr<PangoFontDescription, Unref<pango_font_description_free>>;

constexpr double units = PANGO_SCALE;  // of Pango, in a point

// Liberation has the metrics of Times, Helvetica and Courier; what it lacks, fontconfig finds elsewhere.
const char* families(Face face) {
  switch (face) {
    case Face::serif:
      return "Liberation Serif, Tinos, Times New Roman, DejaVu Serif, serif";
    case Face::mono:
      return "Liberation Mono, Cousine, Courier New, DejaVu Sans Mono, monospace";
    case Face::sans:
      break;
  }
  return "Liberation Sans, Arimo, Arial, DejaVu Sans, sans-serif";
}

class Typesetter {
 public:
  Typesetter() : map_(pango_cairo_font_map_new()) {
    pango_cairo_font_map_set_resolution(PANGO_CAIRO_FONT_MAP(map_.get()), 72);
    context_.reset(pango_font_map_create_context(map_.get()));
    cairo_font_options_t* options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(context_.get(), options);
    cairo_font_options_destroy(options);
    pango_context_set_round_glyph_positions(context_.get(), FALSE);
    pango_context_set_language(context_.get(), pango_language_from_string("en"));
  }

  // Pango lists "Sans" and its like in any case.
  bool has_fonts() const {
    const DescriptionHandle description(pango_font_description_new());
    pango_font_description_set_family(description.get(), families(Face::sans));
    PangoFont* const font = pango_context_load_font(context_.get(), description.get());
    if (font == nullptr) return false;
    g_object_unref(font);
    return true;
  }

  LayoutHandle layout(const Font& font) const {
    LayoutHandle made(pango_layout_new(context_.get()));
    const DescriptionHandle description(pango_font_description_new());
    pango_font_description_set_family(description.get(), families(font.face));
    pango_font_description_set_absolute_size(description.get(), font.size * units);
    if (font.bold) pango_font_description_set_weight(description.get(), PANGO_WEIGHT_BOLD);
    if (font.italic) pango_font_description_set_style(description.get(), PANGO_STYLE_ITALIC);
    pango_layout_set_font_description(made.get(), description.get());
    return made;
  }

  LayoutHandle line(std::string_view text, const Font& font) const {
    LayoutHandle made = layout(font);
    pango_layout_set_single_paragraph_mode(made.get(), TRUE);
    const std::string words = clean(text);
    pango_layout_set_text(made.get(), words.c_str(), static_cast<int>(words.size()));
    return made;
  }

 private:
  FontMapHandle map_;
  ContextHandle context_;
};

// Pango's objects belong to one thread.
const Typesetter& typesetter() {
  static thread_local const Typesetter made;
  return made;
}

std::string escaped(std::string_view words) {
  const std::string valid = clean(words);
  char* text = g_markup_escape_text(valid.c_str(), static_cast<gssize>(valid.size()));
  std::string result = text;
  g_free(text);
  return result;
}

// As a typesetter would have it: a number stays with its unit and "Figure" with its number, and a minus is
// one.
std::string typographic(std::string_view words) {
  static constexpr std::string_view no_break_space = "\u00a0";
  std::string result;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool digit_before = i > 0 && g_ascii_isdigit(words[i - 1]) != FALSE;
    const bool digit_after = i + 1 < words.size() && g_ascii_isdigit(words[i + 1]) != FALSE;
    const bool begins = i == 0 || words[i - 1] == ' ' || words[i - 1] == '(';
    const bool percent = digit_before && words.substr(i + 1).starts_with('%');
    const bool figure = digit_after && words.substr(0, i).ends_with("Figure");
    if (words[i] == ' ' && (percent || figure))
      result += no_break_space;
    else if (words[i] == '-' && begins && digit_after)
      result += "\u2212";
    else
      result += words[i];
  }
  return result;
}

// Pango's own <tt> takes any monospaced font, in a size that is too large beside Times.
std::string with_mono_fonts(std::string text) {
  const auto replace = [&](std::string_view from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  };
  replace("<tt>", fmt::format("<span font_family=\"{}\" size=\"86%\">", families(Face::mono)));
  replace("</tt>", "</span>");
  return text;
}

// Where the character after the one at `at` begins, its combining marks included.
const char* next_cluster(const char* at, const char* end) {
  at = g_utf8_next_char(at);
  while (at < end && g_unichar_ismark(g_utf8_get_char(at)) != FALSE) at = g_utf8_next_char(at);
  return at;
}

// Byte offsets at which `text`, valid UTF-8, can be cut; the last is its length.
std::vector<std::size_t> cuts(const std::string& text) {
  std::vector<std::size_t> found = {0};
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    at = next_cluster(at, end);
    found.push_back(static_cast<std::size_t>(at - text.data()));
  }
  return found;
}

// Beginning and end of the text around an ellipsis, half of the room each.
std::string fitted_in_the_middle(const std::string& text, const Font& font, double width) {
  if (text_width(text, font) <= width) return text;
  const std::vector<std::size_t> at = cuts(text);
  std::size_t tail = 0;
  while (tail + 1 < at.size() && text_width(text.substr(at[tail]), font) > width / 2) ++tail;
  const std::string end = text.substr(at[tail]);
  return fitted(text.substr(0, at[tail]) + "\u2026", font, width - text_width(end, font)) + end;
}

}  // namespace

void require_fonts() {
  if (!typesetter().has_fonts())
    fail("the report needs a font and this machine has none: install the package fonts-liberation");
}

std::string clean(std::string_view text) {
  char* valid = g_utf8_make_valid(text.data(), static_cast<gssize>(text.size()));
  std::string result = printable(valid);
  g_free(valid);
  return result;
}

bool has_glyphs(std::string_view text) {
  return pango_layout_get_unknown_glyphs_count(typesetter().line(text, {}).get()) == 0;
}

double text_width(std::string_view text, const Font& font) {
  const LayoutHandle line = typesetter().line(text, font);
  PangoRectangle extents;
  pango_layout_get_extents(line.get(), nullptr, &extents);
  return extents.width / units;
}

void draw_line_of_text(cairo_t* cairo, std::string_view text, const Font& font) {
  const LayoutHandle line = typesetter().line(text, font);
  cairo_move_to(cairo, 0, -pango_layout_get_baseline(line.get()) / units);
  pango_cairo_show_layout(cairo, line.get());
}

std::string fitted(std::string_view text, const Font& font, double width) {
  std::string whole = clean(text);
  if (text_width(whole, font) <= width) return whole;
  const std::vector<std::size_t> at = cuts(whole);
  const auto shortened_at = [&](std::size_t cut) {
    std::string beginning = whole.substr(0, cut);
    beginning.erase(beginning.find_last_not_of(' ') + 1);
    return beginning + "\u2026";
  };
  const auto end = std::partition_point(
      at.begin(), at.end(), [&](std::size_t cut) { return text_width(shortened_at(cut), font) <= width; });
  return end == at.begin() ? std::string() : shortened_at(*std::prev(end));
}

std::vector<std::string> fitted_names(const std::vector<std::string>& texts, const Font& font, double width) {
  const std::set<std::string> different(texts.begin(), texts.end());
  const auto made_by = [&](auto&& shorten) {
    std::vector<std::string> names;
    for (const std::string& text : texts) names.push_back(shorten(clean(text), names.size()));
    return names;
  };
  const auto distinct = [&](const std::vector<std::string>& names) {
    return std::set<std::string>(names.begin(), names.end()).size() == different.size();
  };
  std::vector<std::string> names =
      made_by([&](const std::string& text, std::size_t) { return fitted(text, font, width); });
  if (!distinct(names))
    names = made_by(
        [&](const std::string& text, std::size_t) { return fitted_in_the_middle(text, font, width); });
  if (!distinct(names))
    names = made_by([&](const std::string& text, std::size_t i) {
      return fitted(fmt::format("{} {}", i + 1, text), font, width);
    });
  return names;
}

Markup::Markup(std::string_view words) : text_(escaped(typographic(words))) {}

Markup Markup::bold(std::string_view words) {
  Markup markup;
  markup.text_ = "<b>" + escaped(words) + "</b>";
  return markup;
}

Markup Markup::italic(std::string_view words) {
  Markup markup;
  markup.text_ = "<i>" + escaped(words) + "</i>";
  return markup;
}

Markup Markup::code(std::string_view words) {
  Markup markup;
  markup.text_ = "<tt>" + escaped(words) + "</tt>";
  return markup;
}

Markup& Markup::operator+=(const Markup& more) {
  text_ += more.text_;
  return *this;
}

struct Paragraph::Layout {
  LayoutHandle handle;
  double line_height = 0;
};

Paragraph::Paragraph(const Markup& words, const Font& font, double width, Alignment alignment,
                     double line_height, double first_indent)
    : layout_(std::make_unique<Layout>()) {
  layout_->handle = typesetter().layout(font);
  layout_->line_height = line_height;
  PangoLayout* const layout = layout_->handle.get();
  pango_layout_set_single_paragraph_mode(layout, TRUE);
  pango_layout_set_width(layout, static_cast<int>(width * units));
  pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
  pango_layout_set_indent(layout, static_cast<int>(first_indent * units));
  pango_layout_set_justify(layout, alignment == Alignment::justified ? TRUE : FALSE);
  pango_layout_set_alignment(layout, alignment == Alignment::centre ? PANGO_ALIGN_CENTER : PANGO_ALIGN_LEFT);
  // English sentences, whatever name they begin with.
  pango_layout_set_auto_dir(layout, FALSE);
  const std::string marked = with_mono_fonts(words.text());
  pango_layout_set_markup(layout, marked.c_str(), static_cast<int>(marked.size()));
}

Paragraph::~Paragraph() = default;
Paragraph::Paragraph(Paragraph&&) noexcept = default;
Paragraph& Paragraph::operator=(Paragraph&&) noexcept = default;

int Paragraph::n_lines() const {
  return pango_layout_get_line_count(layout_->handle.get());
}

double Paragraph::line_height() const {
  return layout_->line_height;
}

void Paragraph::draw(cairo_t* cairo, Point at, int first, int end, const Colour& colour) const {
  cairo_set_source_rgb(cairo, colour.red / 255.0, colour.green / 255.0, colour.blue / 255.0);
  PangoLayoutIter* line = pango_layout_get_iter(layout_->handle.get());
  for (int i = 0; i < end; ++i, pango_layout_iter_next_line(line)) {
    if (i < first) continue;
    PangoRectangle extents;
    pango_layout_iter_get_line_extents(line, nullptr, &extents);
    // Baselines stand at equal distances, whatever fonts a line has.
    cairo_move_to(cairo, at.x + extents.x / units, at.y + (i - first + 0.76) * layout_->line_height);
    pango_cairo_show_layout_line(cairo, pango_layout_iter_get_line_readonly(line));
  }
  pango_layout_iter_free(line);
}

}  // namespace melgrad
