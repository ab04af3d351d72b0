// Confusion matrices for a terminal: a table of percentages on coloured cells; where that is too wide, one
// shade a cell.

#include <algorithm>
#include <cmath>
#include <set>

#include "host/report/findings.hpp"
#include "host/report/terminal.hpp"

namespace melgrad {
namespace {

constexpr int gap_between = 3;
constexpr int untouched = 234;  // palette colour of cells without clips

// How all matrices of one text are drawn.
struct Layout {
  int label_width = 0;  // of the row labels, number included
  int title_width = 0;
  int cell = 0;            // columns of a cell; 1: a shade without a number; 0: no room for a matrix
  std::size_t beside = 1;  // matrices in a row
  std::vector<std::string> row_labels;
  std::vector<std::string> column_labels;
};

// Right answers in blues, mistakes in oranges, both brighter for larger shares; palette colours.
int cell_colour(double share, bool right) {
  static constexpr std::array blues = {236, 17, 18, 24, 25, 31, 32, 38, 39, 45};
  static constexpr std::array oranges = {236, 236, 52, 94, 130, 166, 172, 202, 208, 214};
  const auto level = static_cast<std::size_t>(std::clamp(std::lround(share * 9 + 0.55), 0l, 9l));
  return right ? blues[level] : oranges[level];
}

// One cell of a matrix; without colour, right answers stand in brackets where there is room.
std::string cell_text(double share, bool right, int width, const TextStyle& style) {
  const auto whole = static_cast<int>(std::lround(100 * share));
  if (width == 1) {
    static constexpr std::array<std::string_view, 5> blocks = {"·", "░", "▒", "▓", "█"};
    static constexpr std::array<std::string_view, 5> letters = {".", "-", "+", "*", "#"};
    const auto level =
        static_cast<std::size_t>(std::clamp(std::lround(share * 4 + (share >= 0.02 ? 0.4 : 0)), 0l, 4l));
    if (style.colour) return on_background(" ", whole == 0 ? untouched : cell_colour(share, right), style);
    return std::string(style.unicode ? blocks[level] : letters[level]);
  }
  const std::string number = whole == 0 ? std::string(symbol("·", ".", style)) : fmt::format("{}", whole);
  const std::string text =
      whole == 100 ? right_aligned("100", width, style) : right_aligned(number, width - 1, style) + ' ';
  if (style.colour) return on_background(text, whole == 0 ? untouched : cell_colour(share, right), style);
  if (right && width >= 5) return right_aligned('[' + number + ']', width, style);
  return text;
}

// The first `width` columns of each label, if they tell the labels apart; else the labels' numbers.
std::vector<std::string> column_labels(const std::vector<std::string>& labels, int width) {
  std::vector<std::string> names;
  for (const std::string& label : labels) names.push_back(cut(printable(label), width));
  if (std::set<std::string>(names.begin(), names.end()).size() == labels.size()) return names;
  for (std::size_t i = 0; i < labels.size(); ++i) names[i] = fmt::format("{}", i + 1);
  return names;
}

// Cells as wide as they can be without needing another row of matrices.
Layout make_layout(const std::vector<std::string>& labels, const std::vector<std::string>& titles,
                   const TextStyle& style) {
  Layout layout;
  const std::size_t n_matrices = titles.size();
  for (const std::string& title : titles)
    layout.title_width = std::max(layout.title_width, display_width(title));
  for (const std::string& label : labels)
    layout.label_width = std::max(layout.label_width, display_width(printable(label)));
  layout.label_width = std::min(layout.label_width, std::max(style.width / 5, 8));
  layout.row_labels = distinct_names(labels, layout.label_width, style);
  // Three columns for the numbers of rows whose names the columns have no room for.
  const int room = style.width - 2 - layout.label_width - 3 - 1 + gap_between;
  std::size_t fewest_rows = n_matrices + 1;
  for (const int cell : {5, 4, 3, 1}) {
    const int matrix = std::max(static_cast<int>(labels.size()) * cell, layout.title_width) + gap_between;
    const auto beside = std::min(n_matrices, static_cast<std::size_t>(std::max(room / matrix, 0)));
    if (beside == 0) continue;
    const std::size_t n_rows = (n_matrices + beside - 1) / beside;
    if (n_rows >= fewest_rows || (cell == 1 && fewest_rows <= n_matrices)) continue;
    fewest_rows = n_rows;
    layout.cell = cell;
    layout.beside = beside;
  }
  if (layout.cell <= 1) return layout;
  layout.column_labels = column_labels(labels, layout.cell - 1);
  if (layout.column_labels.front() == cut(printable(labels.front()), layout.cell - 1)) return layout;
  for (std::size_t i = 0; i < labels.size(); ++i)
    layout.row_labels[i] = fmt::format("{:>2} {}", i + 1, printable(labels[i]));
  layout.label_width += 3;
  return layout;
}

// Title, column labels and rows of one matrix, all equally wide.
std::vector<std::string> matrix_lines(const ProtocolResult& result, const std::string& title,
                                      const Layout& layout, const TextStyle& style) {
  const Matrix<double> shares = normalise_rows(result.confusion);
  const int matrix_width = static_cast<int>(shares.cols) * layout.cell;
  const int width = std::max(matrix_width, layout.title_width);
  const std::string filling(static_cast<std::size_t>(width - matrix_width), ' ');
  std::vector<std::string> lines = {painted(left_aligned(title, width, style), Ink::bold, style)};
  if (layout.cell > 1) {
    std::string names;
    for (const std::string& name : layout.column_labels)
      names += right_aligned(name, layout.cell - 1, style) + ' ';
    lines.push_back(painted(names, Ink::dim, style) + filling);
  }
  for (Index row = 0; row < shares.rows; ++row) {
    if (result.metrics.per_class[static_cast<std::size_t>(row)].support == 0) {
      lines.push_back(painted(left_aligned("not tested", width, style), Ink::dim, style));
      continue;
    }
    std::string line;
    for (Index col = 0; col < shares.cols; ++col)
      line += cell_text(shares(row, col), row == col, layout.cell, style);
    lines.push_back(line + filling);
  }
  return lines;
}

// Matrices of the same labels beside one another, after the row labels.
std::string matrices_in_a_row(const std::vector<const ProtocolResult*>& shown, const Results& results,
                              const Layout& layout, const TextStyle& style) {
  std::vector<std::string> lines = {"", ""};
  if (layout.cell == 1) lines.pop_back();
  for (const std::string& label : layout.row_labels) lines.push_back(label);
  for (std::string& line : lines) line = "  " + left_aligned(line, layout.label_width, style) + ' ';
  for (const ProtocolResult* result : shown) {
    const std::string title = protocol_title(result->protocol, results.dataset);
    const auto matrix = matrix_lines(*result, title, layout, style);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (result != shown.front()) lines[i] += std::string(gap_between, ' ');
      lines[i] += matrix[i];
    }
  }
  std::string text;
  for (const std::string& line : lines) {
    text += line.substr(0, line.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

// In place of a matrix that is too wide.
std::string pairs_text(const ProtocolResult& result, const std::string& title, const TextStyle& style) {
  const int name_width = style.width / 3;
  const auto names = distinct_names(result.labels, name_width, style);
  std::string text = "  " + painted(title, Ink::bold, style) + '\n';
  for (const Confusion& pair : top_confusions(result, 12))
    text += fmt::format("  {} {} {} {:3.0f} %\n",
                        left_aligned(names[static_cast<std::size_t>(pair.truth)], name_width, style),
                        symbol("→", "->", style),
                        left_aligned(names[static_cast<std::size_t>(pair.predicted)], name_width, style),
                        100 * pair.share);
  return text;
}

}  // namespace

std::string confusion_text(const Results& results, const TextStyle& style) {
  std::string text;
  std::vector<const ProtocolResult*> waiting;
  for (const ProtocolResult& result : results.models)
    if (result.why_not.empty()) waiting.push_back(&result);
  while (!waiting.empty()) {
    const std::vector<std::string>& labels = waiting.front()->labels;
    const auto same =
        std::ranges::find_if(waiting, [&](const ProtocolResult* each) { return each->labels != labels; });
    std::vector<std::string> titles;
    for (auto each = waiting.begin(); each != same; ++each)
      titles.push_back(protocol_title((*each)->protocol, results.dataset));
    const Layout layout = make_layout(labels, titles, style);
    if (layout.cell == 0) {
      text += '\n' + pairs_text(*waiting.front(), titles.front(), style);
      waiting.erase(waiting.begin());
      continue;
    }
    const auto end = std::min(same, waiting.begin() + static_cast<std::ptrdiff_t>(layout.beside));
    const std::vector<const ProtocolResult*> beside(waiting.begin(), end);
    waiting.erase(waiting.begin(), end);
    text += '\n' + matrices_in_a_row(beside, results, layout, style);
  }
  if (text.empty()) return text;
  return heading("Confusions", "row: the truth; column: the prediction; % of the row", style) +
         text.substr(1);
}

}  // namespace melgrad
