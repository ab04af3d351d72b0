#include <algorithm>

#include "host/report/document.hpp"

namespace melgrad {
namespace {

constexpr double row_height = 10.6;
constexpr Font cell_font{7.2};

Font font_of(bool bold) {
  Font font = cell_font;
  font.bold = bold;
  return font;
}

}  // namespace

Drawing table_drawing(const Table& table, double width) {
  const std::size_t n_columns = table.header.size();
  std::vector<double> widths(n_columns, 0.0);
  for (std::size_t column = 0; column < n_columns; ++column) {
    widths[column] = text_width(table.header[column], font_of(true));
    for (const auto& row : table.rows)
      widths[column] = std::max(widths[column], text_width(row[column], font_of(true)));
  }
  // The first column gives way where the others need the room.
  double others = 0;
  for (std::size_t column = 1; column < n_columns; ++column) others += widths[column];
  const double least_gap = 5;
  const auto n_gaps = static_cast<double>(n_columns - 1);
  widths[0] = std::max(std::min(widths[0], width - others - n_gaps * least_gap), 0.12 * width);
  const double gap = std::max((width - others - widths[0]) / std::max(n_gaps, 1.0), 0.0);

  Drawing drawing{width, 0};
  const auto draw_row = [&](const std::vector<std::string>& cells, double top, bool bold) {
    double right = widths[0];
    const double baseline = top + 7.6;
    drawing.text(fitted(cells[0], font_of(bold), widths[0]), {0, baseline}, font_of(bold));
    for (std::size_t column = 1; column < n_columns; ++column) {
      right += gap + widths[column];
      drawing.text(fitted(cells[column], font_of(bold), widths[column] + gap - 1), {right, baseline},
                   font_of(bold), palette::black, Anchor::end);
    }
  };
  drawing.line({0, 0.5}, {width, 0.5}, palette::black, 0.8);
  draw_row(table.header, 1.5, true);
  double top = 1.5 + row_height + 1;
  drawing.line({0, top}, {width, top}, palette::black, 0.45);
  top += 1.5;
  for (std::size_t row = 0; row < table.rows.size(); ++row, top += row_height)
    draw_row(table.rows[row], top, row < table.emphasised.size() && table.emphasised[row]);
  drawing.line({0, top + 0.8}, {width, top + 0.8}, palette::black, 0.8);
  drawing.height = top + 1.3;
  return drawing;
}

}  // namespace melgrad
