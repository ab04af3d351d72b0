// Lines: loss over epochs, and how far probabilities can be believed.

#include <algorithm>
#include <cmath>

#include "host/core/error.hpp"
#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/measurements.hpp"
#include "host/report/text.hpp"

namespace melgrad {
namespace {

constexpr double left_margin = 24;
constexpr Index fewest_predictions = 10;  // of a bin whose accuracy is worth a mark
constexpr double top_margin = 13;
constexpr double bottom_margin = 20;

struct LossCurve {
  const ProtocolResult* result = nullptr;
  std::vector<double> mean;  // over the splits that are still training
};

std::vector<LossCurve> loss_curves(const Results& results) {
  std::vector<LossCurve> curves;
  for (const ProtocolResult* result : main_results(results)) {
    LossCurve curve{result, {}};
    std::vector<double> n_training;
    for (const SplitResult& split : result->splits) {
      const auto& losses = split.training.loss_curve;
      if (losses.size() > curve.mean.size()) {
        curve.mean.resize(losses.size(), 0.0);
        n_training.resize(losses.size(), 0.0);
      }
      for (std::size_t epoch = 0; epoch < losses.size(); ++epoch) {
        curve.mean[epoch] += losses[epoch];
        ++n_training[epoch];
      }
    }
    for (std::size_t epoch = 0; epoch < curve.mean.size(); ++epoch) curve.mean[epoch] /= n_training[epoch];
    if (curve.mean.size() > 1) curves.push_back(std::move(curve));
  }
  return curves;
}

// At most one point for each half point of width.
Path polyline(const std::vector<double>& values, const Frame& frame, const Colour& colour, double width) {
  Path path{{}, {colour, width}};
  const auto step = std::max<std::size_t>(1, values.size() / static_cast<std::size_t>(2 * frame.box.width));
  for (std::size_t i = 0; i < values.size(); i += step)
    path.points.push_back(
        {frame.x.at(static_cast<double>(i + 1)), frame.y.at(std::max(values[i], frame.y.low))});
  return path;
}

}  // namespace

Drawing loss_drawing(const Results& results, double width, double height) {
  const std::vector<LossCurve> curves = loss_curves(results);
  if (curves.empty()) return {};
  double low = INFINITY, high = 0;
  std::size_t n_epochs = 0;
  for (const LossCurve& curve : curves) {
    n_epochs = std::max(n_epochs, curve.mean.size());
    for (const SplitResult& split : curve.result->splits)
      for (const double loss : split.training.loss_curve)
        if (std::isfinite(loss) && loss > 0) {
          low = std::min(low, loss);
          high = std::max(high, loss);
        }
  }
  if (!(low < high)) return {};
  Drawing drawing{width, height};
  Frame frame;
  frame.box = {left_margin, top_margin, width - left_margin - 4, height - top_margin - bottom_margin};
  frame.x = {1, static_cast<double>(n_epochs), frame.box.x, frame.box.right()};
  frame.y = {low * 0.9, high * 1.1, frame.box.bottom(), frame.box.y, true};
  std::vector<double> y_ticks = log_ticks(frame.y.low, frame.y.high);
  if (y_ticks.size() < 2) y_ticks = ticks(frame.y.low, frame.y.high, 4);
  std::vector<std::string> y_labels;
  for (const double tick : y_ticks) y_labels.push_back(tick_text(tick));
  draw_y_axis(drawing, frame, y_ticks, y_labels, "training loss");
  std::vector<double> x_ticks =
      ticks(frame.x.low, frame.x.high, std::max(2, static_cast<int>(frame.box.width / 26)));
  std::vector<std::string> x_labels;
  for (const double tick : x_ticks) x_labels.push_back(tick_text(tick));
  draw_x_axis(drawing, frame, x_ticks, x_labels, "epoch");
  // Losses fall: the names have the upper right corner for themselves.
  double name_y = frame.box.y + 6;
  for (const LossCurve& curve : curves) {
    const DotSeries series = protocol_series(curve.result->protocol, results.dataset);
    Colour faint = series.colour;
    faint.opacity = 0.22;
    for (const SplitResult& split : curve.result->splits)
      if (split.training.loss_curve.size() > 1 && curve.result->splits.size() > 1)
        drawing.add(polyline(split.training.loss_curve, frame, faint, 0.5));
    drawing.add(polyline(curve.mean, frame, series.colour, 1.1));
    drawing.text(fitted(series.title, label_font, 0.75 * frame.box.width), {frame.box.right() - 2, name_y},
                 label_font, series.colour, Anchor::end);
    name_y += 8;
  }
  return drawing;
}

Drawing learning_drawing(const Results& results, double width, double height) {
  const std::vector<LearningPoint> points = learning_points_from_json(results.learning_curve);
  if (points.size() < 2) return {};
  double low = 1, high = 0;
  for (const LearningPoint& each : points) {
    low = std::min({low, each.train_accuracy - each.train_std, each.test_accuracy - each.test_std});
    high = std::max({high, each.train_accuracy + each.train_std, each.test_accuracy + each.test_std});
  }
  low = std::max(low - 0.02, 0.0);
  high = std::min(high + 0.02, 1.02);
  const std::string train_title = "training clips", test_title = "test clips";
  const double names = text_width(train_title, label_font);
  Drawing drawing{width, height};
  Frame frame;
  frame.box = {left_margin, top_margin, width - left_margin - names - 6, height - top_margin - bottom_margin};
  frame.x = {0, 1.03 * points.back().n_train, frame.box.x, frame.box.right()};
  frame.y = {low, high, frame.box.bottom(), frame.box.y};
  const std::vector<double> y_ticks = ticks(low, high, 6);
  draw_y_axis(drawing, frame, y_ticks, percent_labels(y_ticks), "accuracy");
  const std::vector<double> x_ticks =
      ticks(0, frame.x.high, std::max(2, static_cast<int>(frame.box.width / 30)));
  std::vector<std::string> x_labels;
  for (const double tick : x_ticks) x_labels.push_back(tick_text(tick));
  draw_x_axis(drawing, frame, x_ticks, x_labels, "clips in the training set");
  const auto draw = [&](double LearningPoint::*mean, double LearningPoint::*std, const Colour& colour,
                        const std::string& title) {
    Path line{{}, {colour, 1}}, band{{}, {}, colour};
    band.fill->opacity = 0.15;
    const auto at = [&](const LearningPoint& each, double share) {
      return Point{frame.x.at(each.n_train), frame.y.at(std::clamp(share, low, high))};
    };
    for (const LearningPoint& each : points) band.points.push_back(at(each, each.*mean + each.*std));
    for (auto each = points.rbegin(); each != points.rend(); ++each)
      band.points.push_back(at(*each, (*each).*mean - (*each).*std));
    for (const LearningPoint& each : points) line.points.push_back(at(each, each.*mean));
    drawing.add(band);
    drawing.add(line);
    for (const LearningPoint& each : points)
      drawing.add(Mark{at(each, each.*mean), 2, colour, Marker::disc,
                       fmt::format("{}, of {:.0f}: {} \u00b1 {:.1f}", title, each.n_train,
                                   percent(each.*mean), 100 * each.*std)});
  };
  draw(&LearningPoint::train_accuracy, &LearningPoint::train_std, palette::dim, train_title);
  draw(&LearningPoint::test_accuracy, &LearningPoint::test_std, palette::blue, test_title);
  // The names stand where the lines end, but not on one another.
  const double train_y = frame.y.at(points.back().train_accuracy),
               test_y = frame.y.at(points.back().test_accuracy);
  const double apart = std::max(8 - std::abs(test_y - train_y), 0.0) / 2 * (test_y < train_y ? -1 : 1);
  drawing.text(train_title, {frame.box.right() + 4, train_y - apart + 2.3}, label_font, palette::dim);
  drawing.text(test_title, {frame.box.right() + 4, test_y + apart + 2.3}, label_font, palette::blue);
  return drawing;
}

Drawing calibration_drawing(const Results& results, double width, double height) {
  const std::vector<const ProtocolResult*> shown = main_results(results);
  Drawing drawing{width, height};
  Frame frame;
  frame.box = {left_margin, top_margin, width - left_margin - 4, height - top_margin - bottom_margin};
  frame.x = {0, 1, frame.box.x, frame.box.right()};
  frame.y = {0, 1, frame.box.bottom(), frame.box.y};
  const std::vector<double> at = {0, 0.25, 0.5, 0.75, 1};
  draw_y_axis(drawing, frame, at, percent_labels(at), "share that is right");
  draw_x_axis(drawing, frame, at, percent_labels(at), "probability that the model gives");
  drawing.line({frame.box.x, frame.box.bottom()}, {frame.box.right(), frame.box.y}, palette::rule, 0.6,
               {2, 1.5});
  struct KeyEntry {
    DotSeries series;
    std::string error;  // mean distance from the line, in points
  };
  std::vector<KeyEntry> key;
  std::vector<Mark> marks;
  for (const ProtocolResult* result : shown) {
    const DotSeries series = protocol_series(result->protocol, results.dataset);
    const Calibration& calibration = result->statistics.calibration;
    Path path{{}, {series.colour, 0.9}};
    Index most = 1;
    for (const ReliabilityBin& bin : calibration.bins) most = std::max(most, bin.n_test);
    for (const ReliabilityBin& bin : calibration.bins) {
      if (bin.n_test < fewest_predictions) continue;
      const Point centre{frame.x.at(bin.mean_probability), frame.y.at(bin.accuracy)};
      path.points.push_back(centre);
      const double share = static_cast<double>(bin.n_test) / static_cast<double>(most);
      marks.push_back(
          {centre, 1.1 + 1.7 * std::sqrt(share), series.colour, series.marker,
           fmt::format("{}: of {} predictions with a probability around {:.0f} %, {} are right", series.title,
                       bin.n_test, 100 * bin.mean_probability, percent(bin.accuracy))});
    }
    if (path.points.empty()) continue;
    drawing.add(path);
    key.push_back({series, fmt::format("{:.1f}", 100 * calibration.expected_calibration_error)});
  }
  if (key.empty()) return {};
  for (const Mark& mark : marks) drawing.add(mark);
  // The key has the corner with fewer marks: above the line on the left, or below it on the right.
  const auto marks_beyond = [&](double sign) {
    return std::ranges::count_if(marks, [&](const Mark& mark) {
      const double x = (mark.centre.x - frame.box.x) / frame.box.width,
                   y = (frame.box.bottom() - mark.centre.y) / frame.box.height;
      return sign * (y - x) > 0.08;
    });
  };
  // Titles only where they fit beside the line; the marks are those of every figure.
  constexpr double entry_height = 8, indent = 7;
  std::vector<std::string> words;
  double key_width = 0;
  for (const bool titled : {true, false}) {
    words.clear();
    key_width = 0;
    for (const KeyEntry& each : key) {
      words.push_back(titled ? each.series.title + ' ' + each.error : each.error);
      key_width = std::max(key_width, indent + text_width(words.back(), tick_font));
    }
    if (key_width < 0.6 * frame.box.width) break;
  }
  const bool on_the_left = marks_beyond(1) <= marks_beyond(-1);
  const double key_x = on_the_left ? frame.box.x + 3 : frame.box.right() - key_width - 3;
  double key_y = on_the_left
                     ? frame.box.y + 5
                     : frame.box.bottom() - 4 - entry_height * (static_cast<double>(key.size()) - 0.5);
  for (std::size_t i = 0; i < key.size(); ++i) {
    const DotSeries& series = key[i].series;
    drawing.add(Mark{{key_x + 2, key_y}, 2, series.colour, series.marker, {}});
    drawing.text(words[i], {key_x + indent, key_y + 2.2}, tick_font, series.colour);
    key_y += entry_height;
  }
  return drawing;
}

}  // namespace melgrad
