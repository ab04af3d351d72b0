// Which figures a report has, and what stands below them.

#include <algorithm>

#include "host/core/error.hpp"
#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

constexpr double panel_gap = 12;
constexpr double panel_height = 84;

void add(std::vector<Figure>& figures, Figure figure) {
  if (!figure.drawing.shapes.empty()) figures.push_back(std::move(figure));
}

bool has_own(const Results& results) {
  return !results.models.empty() &&
         find_result(results.models, results.models.front().name, Protocol::own) != nullptr;
}

// Two drawings beside one another, or the one that there is.
Drawing side_by_side(const Drawing& left, const Drawing& right, double right_x) {
  if (left.shapes.empty() || right.shapes.empty()) return left.shapes.empty() ? right : left;
  Drawing both{right_x + right.width, std::max(left.height, right.height)};
  both.paste(left, {0, 0});
  both.paste(right, {right_x, 0});
  return both;
}

std::string intervals_words(const Results& results) {
  const ProtocolResult* result = hardest_result(results, results.models.front().name);
  const BootstrapIntervals& intervals = result->statistics.intervals;
  return fmt::format("bars: 95 % intervals, by a bootstrap over the {}s",
                     intervals.unit == "group" ? results.dataset.group_noun : "clip");
}

Markup confusion_caption(const Results& results) {
  const std::string name = model_title(results.models.front().name);
  Markup caption = Markup::bold(fmt::format("Confusion matrices of the {}. ", name));
  caption +=
      "Row: the truth; column: the prediction; per cent of the row. Right answers are blue, mistakes "
      "vermillion. ";
  const ProtocolResult* random = find_result(results.models, results.models.front().name, Protocol::random);
  if (random != nullptr && random->splits.size() > 1)
    caption += fmt::format("Of {}, the test sets of {} random splits together.",
                           protocol_title(Protocol::random, results.dataset), random->splits.size());
  return caption;
}

Figure loss_and_calibration(const Results& results) {
  const double panel = (column_width - panel_gap) / 2;
  Drawing loss = loss_drawing(results, column_width, panel_height);
  Drawing calibration = calibration_drawing(results, column_width, panel_height);
  Figure figure{"loss_and_calibration", "training loss and calibration", {}, {}, false};
  const bool both = !loss.shapes.empty() && !calibration.shapes.empty();
  if (both) {
    loss = loss_drawing(results, panel, panel_height);
    calibration = calibration_drawing(results, panel, panel_height);
  }
  figure.drawing = side_by_side(loss, calibration, panel + panel_gap);
  const std::string name = model_title(results.models.front().name);
  if (!loss.shapes.empty())
    figure.caption += Markup::bold(both ? "Left: training loss" : "Training loss") +
                      fmt::format(" of the {}, each split (thin) and their mean. ", name);
  if (!calibration.shapes.empty())
    figure.caption +=
        Markup::bold(both ? "Right: can its probabilities be believed?"
                          : "Can the model's probabilities be believed?") +
        " On the dashed line they are what they say; below it, the model is too sure of itself. "
        "Larger marks: more predictions (at least 10); the numbers: mean distance from the line, in points.";
  return figure;
}

}  // namespace

std::vector<Figure> report_figures(const Results& results) {
  std::vector<Figure> figures;
  if (results.models.empty() || hardest_result(results, results.models.front().name) == nullptr)
    return figures;
  const std::string name = model_title(results.models.front().name);
  const std::string& noun = results.dataset.group_noun;
  const auto n_models = model_names(results.models).size();

  add(figures, {"confusion_matrices", "confusion matrices", confusion_caption(results),
                confusion_drawing(results, results.models.front().name, wide_width), true});
  add(figures,
      {"accuracy", "accuracy of each model under each protocol",
       Markup::bold("How often each model is right") + ", in per cent; " + intervals_words(results) + ".",
       model_accuracy_drawing(results, column_width), false});
  if (n_models > 1)
    add(figures,
        {"accuracy_and_time", "accuracy against computing time",
         Markup::bold("What accuracy costs.") +
             fmt::format(" Accuracy on {} against the CPU time, of all threads together, of one training "
                         "with its options given, and of one clip's prediction from its features.",
                         protocol_title(hardest_result(results, results.models.front().name)->protocol,
                                        results.dataset)),
         cost_drawing(results, column_width), false});
  add(figures,
      {"labels", "F1 of each label",
       Markup::bold("Which labels are easy.") +
           fmt::format(
               " F1, the harmonic mean of precision and recall, of the {}, in per cent{}.", name,
               results.dataset.labels.size() > most_class_rows
                   ? fmt::format("; of {} labels the {} best and the {} worst", results.dataset.labels.size(),
                                 most_class_rows / 2, most_class_rows / 2)
                   : std::string()),
       class_drawing(results, column_width), false});
  add(figures,
      {"leak", "accuracy with and without a sibling clip in training",
       Markup::bold("What a random split leaks.") +
           fmt::format(" Accuracy of {} where a sibling of the clip is in the training set, and where "
                       "none is.",
                       protocol_title(Protocol::random, results.dataset)),
       leak_drawing(results, column_width), false});
  add(figures, loss_and_calibration(results));
  add(figures, {"learning_curve", "accuracy over the number of training clips",
                Markup::bold("What more recordings would bring.") +
                    " Accuracy in per cent on a network's training clips and on the clips of the fold that "
                    "it was not trained on; bands: standard deviation over the folds.",
                learning_drawing(results, column_width, panel_height), false});
  const ProtocolResult* hardest = hardest_result(results, results.models.front().name);
  add(figures,
      {"subgroups", "accuracy by subgroup",
       Markup::bold("For whom it works.") +
           fmt::format(" Accuracy of the {} on {}, in per cent, with 95 % intervals (Wilson). Dashed: all "
                       "together.",
                       name, protocol_title(hardest->protocol, results.dataset)),
       subgroup_drawing(results, column_width), false});
  if (has_own(results))
    add(figures,
        {"drift", "features in which the own recordings differ",
         Markup::bold("In what the own recordings differ") +
             fmt::format(" from the data set: the features whose means lie farthest from the data set's, "
                         "beside the median distance of a {} of the data set.",
                         noun),
         drift_drawing(results, column_width), false});
  add(figures, {"throughput", "throughput of melgrad and others",
                Markup::bold("How fast it is.") +
                    " By the CPU time of one thread, of several by the clock; the median of some repeats and "
                    "their range. \u00d7: least CPU time, times melgrad's on one thread.",
                throughput_drawing(results, column_width), false});
  return figures;
}

}  // namespace melgrad
