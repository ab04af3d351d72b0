// Confusion matrices of one model under each protocol, side by side.

#include <algorithm>
#include <cmath>

#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

constexpr double gap = 12;
constexpr double title_height = 21;
constexpr double largest_cell = 24;
constexpr double smallest_cell_with_numbers = 8.5;

double widest(const std::vector<std::string>& names, const Font& font) {
  double width = 0;
  for (const std::string& name : names) width = std::max(width, text_width(name, font));
  return width;
}

// Right answers in blue, mistakes in vermillion, both deeper for larger shares; mistakes are seldom frequent,
// so theirs deepen faster.
Colour cell_colour(double share, bool right) {
  return right ? mixed(palette::white, palette::blue, share)
               : mixed(palette::white, palette::vermillion, std::min(1.0, 1.8 * share));
}

struct Geometry {
  double cell = 0;
  double row_label_width = 0;
  double column_label_height = 0;
  bool upright = false;  // column labels stand on end
  Font font;
};

void draw_cells(Drawing& drawing, const ProtocolResult& result, const Geometry& geometry, Point at) {
  const Matrix<double> shares = normalise_rows(result.confusion);
  const double cell = geometry.cell;
  const Font number_font{std::min(6.6, 0.52 * cell)};
  const std::string_view protocol = to_name(result.protocol);
  for (Index row = 0; row < shares.rows; ++row) {
    const std::string& truth = result.labels[static_cast<std::size_t>(row)];
    const double y = at.y + static_cast<double>(row) * cell;
    const Index support = result.metrics.per_class[static_cast<std::size_t>(row)].support;
    if (support == 0) {
      const double width = cell * static_cast<double>(shares.cols);
      drawing.add(Rectangle{{at.x, y, width, cell}, palette::faint});
      drawing.text(fitted("not tested", number_font, width),
                   {at.x + width / 2, y + cell / 2 + 0.35 * number_font.size}, number_font, palette::dim,
                   Anchor::middle);
      continue;
    }
    for (Index column = 0; column < shares.cols; ++column) {
      const std::string& predicted = result.labels[static_cast<std::size_t>(column)];
      const double share = shares(row, column), x = at.x + static_cast<double>(column) * cell;
      const Colour colour = cell_colour(share, row == column);
      drawing.add(Rectangle{{x, y, cell, cell},
                            colour,
                            {palette::white, 0.6},
                            fmt::format("{} \u2192 {}: {} of {} ({})", truth, predicted,
                                        result.confusion(row, column), support, percent(share)),
                            fmt::format("{}/{}/{}/{}", result.name, protocol, row, column)});
      const long whole = std::lround(100 * share);
      if (whole > 0 && cell >= smallest_cell_with_numbers)
        drawing.text(fmt::format("{}", whole), {x + cell / 2, y + cell / 2 + 0.35 * number_font.size},
                     {number_font.size, row == column}, ink_on(colour), Anchor::middle);
    }
  }
  const double side = cell * static_cast<double>(shares.rows);
  drawing.add(Rectangle{{at.x, at.y, side, side}, {}, {palette::rule, 0.5}});
}

void draw_column_labels(Drawing& drawing, const std::vector<std::string>& labels, const Geometry& geometry,
                        Point bottom_left) {
  const double room = geometry.upright ? geometry.column_label_height - 3 : geometry.cell - 1;
  const std::vector<std::string> names = fitted_names(labels, geometry.font, room);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double middle = bottom_left.x + (static_cast<double>(i) + 0.5) * geometry.cell;
    if (geometry.upright)
      drawing.add(Text{names[i],
                       {middle + 0.34 * geometry.font.size, bottom_left.y - 2},
                       geometry.font,
                       palette::black,
                       Anchor::start,
                       true});
    else
      drawing.text(names[i], {middle, bottom_left.y - 3}, geometry.font, palette::black, Anchor::middle);
  }
}

void draw_title(Drawing& drawing, const ProtocolResult& result, const DatasetSummary& dataset, Point at,
                double width) {
  const DotSeries series = protocol_series(result.protocol, dataset);
  drawing.text(fitted(series.title, {7.4, true}, width), {at.x, at.y + 7}, {7.4, true}, series.colour);
  std::string figures =
      fmt::format("{} of {}", percent(result.metrics.accuracy),
                  counted(result.metrics.n_test, result.splits.size() > 1 ? "prediction" : "clip"));
  drawing.text(fitted(figures, tick_font, width), {at.x, at.y + 15.5}, tick_font, palette::dim);
}

}  // namespace

Drawing confusion_drawing(const Results& results, const std::string& name, double width) {
  std::vector<const ProtocolResult*> shown = results_of(results, name);
  // Of very many labels there are none (most_confusion_classes).
  std::erase_if(shown, [](const ProtocolResult* result) { return result->confusion.rows == 0; });
  Drawing drawing;
  drawing.width = width;
  if (shown.empty()) return drawing;
  const auto n_matrices = static_cast<double>(shown.size());
  std::size_t n_labels = 0;
  double label_width = 0;
  bool same_labels = true;
  Geometry geometry;
  for (const ProtocolResult* result : shown) {
    n_labels = std::max(n_labels, result->labels.size());
    label_width = std::max(label_width, widest(result->labels, label_font));
    same_labels = same_labels && result->labels == shown.front()->labels;
  }
  geometry.row_label_width = std::min(label_width, 0.17 * width);
  const double n_label_columns = same_labels ? 1 : n_matrices;
  const double room = width - n_label_columns * (geometry.row_label_width + 4) - (n_matrices - 1) * gap;
  geometry.cell = std::min(largest_cell, room / n_matrices / static_cast<double>(n_labels));
  geometry.font = {std::clamp(0.85 * geometry.cell, 3.6, label_font.size)};
  geometry.upright = widest(shown.front()->labels, geometry.font) > geometry.cell - 1;
  geometry.column_label_height =
      geometry.upright ? std::min(widest(shown.front()->labels, geometry.font) + 4, 58.0) : 10;

  const double top = title_height + geometry.column_label_height;
  const double side = geometry.cell * static_cast<double>(n_labels);
  // Titles may be wider than small matrices.
  const double step = std::max(side, std::min(95.0, room / n_matrices)) + gap;
  double x = 0;
  for (const ProtocolResult* result : shown) {
    if (!same_labels || result == shown.front()) {
      const auto names = fitted_names(result->labels, geometry.font, geometry.row_label_width);
      for (std::size_t i = 0; i < names.size(); ++i)
        drawing.text(names[i],
                     {x + geometry.row_label_width,
                      top + (static_cast<double>(i) + 0.5) * geometry.cell + 0.34 * geometry.font.size},
                     geometry.font, palette::black, Anchor::end);
      x += geometry.row_label_width + 4;
    }
    draw_title(drawing, *result, results.dataset, {x, 0}, step - gap);
    draw_column_labels(drawing, result->labels, geometry, {x, top});
    draw_cells(drawing, *result, geometry, {x, top});
    x += step;
  }
  drawing.width = std::max(x - gap, 1.0);
  drawing.height = top + side + 1;
  return drawing;
}

}  // namespace melgrad
