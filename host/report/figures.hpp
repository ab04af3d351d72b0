#pragma once
// The report's figures, each made of the results alone.

#include <optional>
#include <string>
#include <vector>

#include "host/report/dot_chart.hpp"
#include "host/report/results.hpp"
#include "host/report/typesetting.hpp"

namespace melgrad {

struct Figure {
  std::string name;   // of its files: "confusion_matrices"
  std::string title;  // what it shows, in a few words
  Markup caption;
  Drawing drawing;
  bool wide = false;  // across both columns
};

// Widths of a page's two columns and of one, in points.
inline constexpr double wide_width = 506;
inline constexpr double column_width = 244;

// Those that these results have something for, in the order in which the text speaks of them.
std::vector<Figure> report_figures(const Results& results);

// For people: "MLP", "random forest".
std::string model_title(const std::string& name);
// With its title, colour and mark, the same in every figure.
DotSeries protocol_series(Protocol protocol, const DatasetSummary& dataset);
// "MLP on unheard speakers: 61.2 % (95 %: 58.0 to 64.1 %)"
std::string accuracy_hover(const std::string& name, const ProtocolResult& result,
                           const DatasetSummary& dataset);
// The model's results that are there: of unheard clips, given test clips, unheard speakers, own recordings.
std::vector<const ProtocolResult*> results_of(const Results& results, const std::string& name);
// Those of the first model, which is that of model.h5.
std::vector<const ProtocolResult*> main_results(const Results& results);
// The protocol that says most about recordings to come, of those that the model has; null where it has none.
const ProtocolResult* hardest_result(const Results& results, const std::string& name);

Drawing confusion_drawing(const Results& results, const std::string& name, double width);
Drawing model_accuracy_drawing(const Results& results, double width);
Drawing cost_drawing(const Results& results, double width);
Drawing loss_drawing(const Results& results, double width, double height);
// Of more labels the best and the worst, half of the rows each.
inline constexpr std::size_t most_class_rows = 60;
Drawing class_drawing(const Results& results, double width);
Drawing learning_drawing(const Results& results, double width, double height);
Drawing calibration_drawing(const Results& results, double width, double height);
Drawing leak_drawing(const Results& results, double width);
Drawing drift_drawing(const Results& results, double width);
Drawing throughput_drawing(const Results& results, double width);
Drawing subgroup_drawing(const Results& results, double width);

}  // namespace melgrad
