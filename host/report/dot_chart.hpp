#pragma once
// Rows of marks on one scale, with their intervals and numbers: how several things fare in several respects.

#include <optional>
#include <string>
#include <vector>

#include "host/evaluation/statistics.hpp"
#include "host/report/axes.hpp"

namespace melgrad {

struct DotSeries {
  std::string title;
  Colour colour;
  Marker marker = Marker::disc;
};
struct Dot {
  double value = 0;
  std::optional<Interval> interval = {};
  std::string hover = {};
};
struct DotRow {
  std::string label;
  std::vector<std::optional<Dot>> dots;  // [n_series]
};

struct DotChart {
  std::vector<DotSeries> series;
  std::vector<DotRow> rows;
  std::string x_title;
  bool shares = true;                    // shown in per cent
  bool connected = false;                // a line joins a row's marks: the gap between them
  std::optional<double> reference = {};  // a dashed line
  std::string reference_title = {};
  std::optional<double> low = {}, high = {};  // of the axis; else from the values
  double row_height = 13;
  double largest_label_share = 0.36;  // of the width
};

// Names at the left, marks in the middle, the numbers in their series' colours at the right, the series'
// titles above.
Drawing dot_chart(const DotChart& chart, double width);

// Titles with their marks in one line, or as many lines as the width asks for; their height is returned.
double draw_series_titles(Drawing& drawing, const std::vector<DotSeries>& series, Point at, double width);

}  // namespace melgrad
