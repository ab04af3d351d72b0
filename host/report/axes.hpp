#pragma once
// Scales, their ticks, and the parts that charts share.

#include <string>
#include <vector>

#include "host/report/drawing.hpp"

namespace melgrad {

// From values to points along one direction.
struct Scale {
  double low = 0;  // value at `from`
  double high = 1;
  double from = 0;  // points
  double to = 100;
  bool logarithmic = false;  // low and high above 0
  double at(double value) const;
};

// At most `most` multiples of 1, 2 or 5 times a power of ten from low to high, both included.
std::vector<double> ticks(double low, double high, int most);
// At most `most` powers of ten, equally far apart; with less than two of them between low and high, 1, 2 and
// 5 times those.
std::vector<double> log_ticks(double low, double high, int most = 6);

// "0.5 ms", "20 s", "3 h": a tick of a time axis.
std::string duration_tick(double seconds);

// A number as short as it can be: "0.05", "1e-6".
std::string tick_text(double value);

// A room for data with its margins in a drawing.
struct Frame {
  Box box;
  Scale x;
  Scale y;  // upwards: from the box's bottom to its top
};

inline constexpr Font tick_font{6.2};
inline constexpr Font axis_font{6.6};
inline constexpr Font label_font{6.6};

// Vertical grid lines with a label below each, and the axis's title under them.
void draw_x_axis(Drawing& drawing, const Frame& frame, const std::vector<double>& at,
                 const std::vector<std::string>& labels, const std::string& title);
// Horizontal grid lines with a label left of each; the title stands above the axis, to be read without a turn
// of the head.
void draw_y_axis(Drawing& drawing, const Frame& frame, const std::vector<double>& at,
                 const std::vector<std::string>& labels, const std::string& title);

// Percentages of shares.
std::vector<std::string> percent_labels(const std::vector<double>& at);

// Names beside their points such that none hides another or a point: to be added in the order of importance.
class LabelPlacer {
 public:
  explicit LabelPlacer(const Box& room) : room_(room) {}
  void keep_clear(const Box& box) { taken_.push_back(box); }
  // The text beside a mark of that radius, or at an end of its upright whisker, which reaches up and down
  // that far from the mark: at the first place where it overlaps nothing; else where it overlaps least.
  Text place(const std::string& words, Point mark, double radius, const Font& font, const Colour& colour,
             double up = 0, double down = 0);

 private:
  Box room_;
  std::vector<Box> taken_;
};

}  // namespace melgrad
