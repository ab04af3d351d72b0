#include "host/report/pages.hpp"

#include <algorithm>
#include <deque>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

constexpr double margin_x = (page_width - wide_width) / 2;
constexpr double margin_top = 50;
constexpr double margin_bottom = 54;
constexpr double column_gap = wide_width - 2 * column_width;
constexpr int most_pages = 3;

// Sizes of type, in points.
struct Type {
  double body = 9;
  double leading = 10.9;
  double caption = 7.6;
  double caption_leading = 9.2;
  double figure_space = 8;  // above and below a figure and its caption
};
constexpr Type regular;
constexpr Type smaller{8.2, 9.7, 7.2, 8.5, 5};

// A piece that stands whole or is broken between lines.
struct Piece {
  std::shared_ptr<const Paragraph> paragraph;  // null: a drawing, with its caption below
  std::shared_ptr<const Drawing> drawing;
  std::shared_ptr<const Paragraph> caption;
  bool heading = false;  // stays with what follows
  bool caption_above = false;
  bool wide = false;
  double space_before = 0;
  double space_after = 0;  // of a drawing
  std::string name;        // of a figure
  double width = 0;

  double height() const {
    double sum = 0;
    if (paragraph) sum += paragraph->n_lines() * paragraph->line_height();
    if (drawing) sum += drawing->height;
    if (caption) sum += 5 + caption->n_lines() * caption->line_height();
    return sum;
  }
};

std::shared_ptr<const Paragraph> paragraph(const Markup& words, const Font& font, double width,
                                           Alignment alignment, double leading, double indent = 0) {
  return std::make_shared<const Paragraph>(words, font, width, alignment, leading, indent);
}

Font serif(double size, bool bold = false, bool italic = false) {
  return {size, bold, italic, Face::serif};
}

std::vector<Piece> pieces_of(const Document& document, const Type& type) {
  std::vector<Piece> pieces;
  int n_figures = 0, n_tables = 0, n_headings = 0;
  bool after_heading = true;
  const auto caption = [&](const std::string& number, const Markup& words, double width) {
    return paragraph(Markup::bold(number) + " " + words, serif(type.caption), width, Alignment::justified,
                     type.caption_leading);
  };
  const auto add_drawing = [&](const Drawing& drawing, bool wide, std::shared_ptr<const Paragraph> words,
                               const std::string& name) {
    Piece& piece = pieces.emplace_back();
    piece.drawing = std::make_shared<const Drawing>(drawing);
    piece.caption = std::move(words);
    piece.wide = wide;
    piece.width = wide ? wide_width : column_width;
    piece.space_before = piece.space_after = type.figure_space;
    piece.name = name;
  };
  const auto add_words = [&](const Markup& words, double indent) {
    Piece& piece = pieces.emplace_back();
    piece.paragraph =
        paragraph(words, serif(type.body), column_width, Alignment::justified, type.leading, indent);
  };
  add_words(Markup::bold("Abstract. ") + document.abstract, 0);
  for (const DocumentItem& item : document.items) {
    if (const auto* heading = std::get_if<Heading>(&item)) {
      Piece& piece = pieces.emplace_back();
      piece.paragraph = paragraph(fmt::format("{}   {}", ++n_headings, heading->title),
                                  {type.body + 0.6, true}, column_width, Alignment::left, type.leading + 1.5);
      piece.heading = true;
      piece.space_before = 7;
      after_heading = true;
    } else if (const auto* words = std::get_if<Markup>(&item)) {
      add_words(*words, after_heading ? 0 : 10);
      after_heading = false;
    } else if (const auto* command = std::get_if<Command>(&item)) {
      Piece& piece = pieces.emplace_back();
      piece.paragraph = paragraph(command->words, {type.caption, false, false, Face::mono}, column_width,
                                  Alignment::left, type.leading);
      piece.space_before = 2;
      after_heading = true;
    } else if (const auto* figure = std::get_if<Figure>(&item)) {
      const double width = figure->wide ? wide_width : column_width;
      add_drawing(figure->drawing, figure->wide,
                  caption(fmt::format("Figure {}.", ++n_figures), figure->caption, width), figure->name);
    } else if (const auto* table = std::get_if<Table>(&item)) {
      add_drawing(table_drawing(*table, wide_width), true,
                  caption(fmt::format("Table {}.", ++n_tables), table->caption, wide_width), "table");
      pieces.back().caption_above = true;
    }
  }
  return pieces;
}

// Fills columns from the top left on.
class Flow {
 public:
  // Columns of page `balanced` and later ones end at `balanced_bottom`.
  Flow(Pages& pages, double first_top, int balanced, double balanced_bottom)
      : pages_(pages),
        balanced_(balanced),
        balanced_bottom_(balanced_bottom),
        top_(first_top),
        y_(first_top) {}

  void place(std::vector<Piece> pieces) {
    std::deque<Piece> waiting;
    for (Piece& piece : pieces) (piece.wide ? wide_ : waiting).push_back(std::move(piece));
    place_wide();
    while (!waiting.empty() || !floats_.empty()) {
      if (page_ > balanced_) {  // too low columns: the rest needs another page
        pages_.n_pages = page_ + 1;
        return;
      }
      if (!fill_column(waiting)) next_column();
    }
    const bool page_begun = y_ > top_ || column_ > 0;
    if (!wide_.empty() && page_begun) begin_page();
    while (!wide_.empty()) {
      place_wide();
      if (!wide_.empty()) begin_page();
    }
    pages_.n_pages = page_ + (page_begun || top_ > margin_top ? 1 : 0);
  }

 private:
  double bottom() const { return page_ >= balanced_ ? balanced_bottom_ : page_height - margin_bottom; }
  double left() const { return margin_x + column_ * (column_width + column_gap); }
  bool at_top() const { return y_ == top_; }

  // Wide figures stand at the top of a page, one a page.
  void place_wide() {
    if (wide_.empty()) return;
    draw_float(wide_.front(), margin_x);
    wide_.pop_front();
    y_ += 5;
    top_ = y_;
    column_begin_ = pages_.placed.size();
  }

  void begin_page() {
    column_ = 0;
    ++page_;
    y_ = top_ = margin_top;
    column_begin_ = pages_.placed.size();
  }

  void next_column() {
    justify_column();
    if (++column_ == 2) {
      begin_page();
      place_wide();
    }
    y_ = top_;
    column_begin_ = pages_.placed.size();
  }

  // What is left of a column goes between its pieces, if that is little.
  void justify_column() {
    if (page_ >= balanced_) return;
    std::vector<std::size_t> gaps;
    for (std::size_t i = column_begin_ + 1; i < pages_.placed.size(); ++i)
      if (pages_.placed[i].box.y - pages_.placed[i - 1].box.bottom() > 5.5) gaps.push_back(i);
    const double left_over = bottom() - y_;
    if (gaps.empty() || left_over <= 0 || left_over / static_cast<double>(gaps.size()) > 9) return;
    double moved = 0;
    std::size_t next = 0;
    for (std::size_t i = column_begin_; i < pages_.placed.size(); ++i) {
      if (next < gaps.size() && gaps[next] == i) {
        moved += left_over / static_cast<double>(gaps.size());
        ++next;
      }
      pages_.placed[i].box.y += moved;
    }
  }

  void draw_lines(const std::shared_ptr<const Paragraph>& words, double x, double width, int first, int end) {
    const double height = (end - first) * words->line_height();
    pages_.placed.push_back({page_, {x, y_, width, height}, words, first, end, palette::black, nullptr});
    y_ += height;
  }

  void draw_float(const Piece& piece, double x) {
    if (!at_top()) y_ += piece.space_before;
    const auto draw_caption = [&] { draw_lines(piece.caption, x, piece.width, 0, piece.caption->n_lines()); };
    if (piece.caption && piece.caption_above) {
      draw_caption();
      y_ += 5;
    }
    const double indent = (piece.width - piece.drawing->width) / 2;
    pages_.placed.push_back({page_,
                             {x + indent, y_, piece.drawing->width, piece.drawing->height},
                             nullptr,
                             0,
                             0,
                             palette::black,
                             piece.drawing});
    y_ += piece.drawing->height;
    if (piece.caption && !piece.caption_above) {
      y_ += 5;
      draw_caption();
    }
    y_ += piece.space_after;
  }

  bool fits(const Piece& piece) const {
    return y_ + (at_top() ? 0 : piece.space_before) + piece.height() <= bottom() + 0.01;
  }

  // Places the next piece, or a part of it; false: the column is full.
  bool fill_column(std::deque<Piece>& waiting) {
    if (!floats_.empty()) {
      // A figure that is higher than a column overflows one of its own.
      if (!fits(floats_.front()) && !at_top()) return !waiting.empty() && place_words_or_wait(waiting);
      draw_float(floats_.front(), left());
      floats_.pop_front();
      return true;
    }
    return place_words_or_wait(waiting);
  }

  bool place_words_or_wait(std::deque<Piece>& waiting) {
    if (waiting.front().paragraph) return place_words(waiting);
    floats_.push_back(std::move(waiting.front()));
    waiting.pop_front();
    return true;
  }

  bool place_words(std::deque<Piece>& waiting) {
    Piece& piece = waiting.front();
    const double y = at_top() ? y_ : y_ + piece.space_before;
    const int n_lines = piece.paragraph->n_lines();
    const double line = piece.paragraph->line_height();
    if (piece.heading) {
      // With the lines of what follows that stay together.
      double needed = n_lines * line + 1;
      const auto words = std::find_if(waiting.begin() + 1, waiting.end(),
                                      [](const Piece& each) { return each.paragraph != nullptr; });
      if (words != waiting.end()) {
        const int n_following = words->paragraph->n_lines();
        needed +=
            words->space_before + (n_following <= 3 ? n_following : 2) * words->paragraph->line_height();
      }
      if (y + needed > bottom()) return false;
      y_ = y;
      draw_lines(piece.paragraph, left(), column_width, 0, n_lines);
      y_ += 1;
      waiting.pop_front();
      return true;
    }
    int room = static_cast<int>((bottom() - y + 0.01) / line);
    const int left_lines = n_lines - begun_;
    if (room < left_lines) {
      // Two lines at least on either side of a break.
      room = std::min(room, left_lines - 2);
      if (room < 2) return false;
    }
    const int end = begun_ + std::min(room, left_lines);
    y_ = y;
    draw_lines(piece.paragraph, left(), column_width, begun_, end);
    begun_ = end;
    if (begun_ < n_lines) return false;
    begun_ = 0;
    waiting.pop_front();
    return true;
  }

  Pages& pages_;
  int balanced_;
  double balanced_bottom_;
  int page_ = 0;
  int column_ = 0;
  double top_;  // of this page's columns
  double y_;
  int begun_ = 0;  // lines of the first waiting paragraph that have their place
  std::size_t column_begin_ = 0;
  std::deque<Piece> floats_;  // figures for which no column had room yet
  std::deque<Piece> wide_;    // figures that wait for the top of a page
};

// The title's height below the page's margin.
double place_title(const Document& document, Pages& pages) {
  double y = margin_top - 6;
  const auto add = [&](const Markup& words, const Font& font, double leading, const Colour& colour) {
    const auto lines = paragraph(words, font, wide_width, Alignment::centre, leading);
    const double height = lines->n_lines() * leading;
    pages.placed.push_back(
        {0, {margin_x, y, wide_width, height}, lines, 0, lines->n_lines(), colour, nullptr});
    y += height;
  };
  add(document.title, serif(16.5, true), 20, palette::black);
  y += 3;
  add(document.byline, serif(9), 11.5, palette::dim);
  return y + 12;
}

Pages flow(const Document& document, const std::vector<Piece>& pieces, int balanced, double bottom) {
  Pages pages;
  const double top = place_title(document, pages);
  Flow(pages, top, balanced, bottom).place(pieces);
  return pages;
}

// The last page's columns end at the same height.
Pages balanced_flow(const Document& document, const std::vector<Piece>& pieces) {
  const double lowest = page_height - margin_bottom;
  Pages best = flow(document, pieces, 1000, lowest);
  const int last = best.n_pages - 1;
  double enough = lowest, too_little = margin_top;
  while (enough - too_little > 2) {
    const double tried = (enough + too_little) / 2;
    Pages pages = flow(document, pieces, last, tried);
    const bool fits =
        pages.n_pages == best.n_pages && std::ranges::all_of(pages.placed, [&](const Placed& each) {
          return each.page < last || each.box.bottom() <= tried + 0.1;
        });
    (fits ? enough : too_little) = tried;
    if (fits) best = std::move(pages);
  }
  return best;
}

}  // namespace

Pages lay_out(const Document& document) {
  Pages pages = balanced_flow(document, pieces_of(document, regular));
  if (pages.n_pages <= 2) return pages;
  std::vector<Piece> pieces = pieces_of(document, smaller);
  if (Pages fewer = balanced_flow(document, pieces); fewer.n_pages <= 2) return fewer;
  if (pages.n_pages <= most_pages) return pages;
  std::vector<std::string> left_out;
  while (true) {
    pages = balanced_flow(document, pieces);
    const auto last = std::find_if(pieces.rbegin(), pieces.rend(),
                                   [](const Piece& each) { return each.drawing != nullptr; });
    if (pages.n_pages <= most_pages || last == pieces.rend()) break;
    left_out.push_back(last->name);
    pieces.erase(std::next(last).base());
  }
  pages.left_out = std::move(left_out);
  return pages;
}

}  // namespace melgrad
