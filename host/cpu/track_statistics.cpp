#include "host/cpu/track_statistics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <numeric>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Slope of the line through consecutive values.
double line_slope(std::span<const double> x) {
  const double n = static_cast<double>(x.size()), middle = (n - 1) / 2;
  double moment = 0;
  for (std::size_t i = 0; i < x.size(); ++i) moment += (static_cast<double>(i) - middle) * x[i];
  return moment / (n * (n * n - 1) / 12);
}

// Local maxima, a plateau's at its middle; not at the ends.
void find_maxima(std::span<const double> x, std::vector<Index>& peaks) {
  peaks.clear();
  const Index last = static_cast<Index>(x.size()) - 1;
  for (Index i = 1; i < last; ++i) {
    if (x[at(i - 1)] >= x[at(i)]) continue;
    Index ahead = i + 1;
    while (ahead < last && x[at(ahead)] == x[at(i)]) ++ahead;
    if (x[at(ahead)] < x[at(i)]) peaks.push_back((i + ahead - 1) / 2);
    i = ahead - 1;
  }
}

// Height over the higher of the two lowest points on the ways to a higher value, or to the end.
double prominence_of(std::span<const double> x, Index peak) {
  const double height = x[at(peak)];
  const auto lowest = [&](Index step) {
    double low = height;
    for (Index i = peak; i >= 0 && i < static_cast<Index>(x.size()) && x[at(i)] <= height; i += step)
      low = std::min(low, x[at(i)]);
    return low;
  };
  return height - std::max(lowest(-1), lowest(1));
}

}  // namespace

double sum_of(std::span<const double> x) {
  return std::accumulate(x.begin(), x.end(), 0.0);
}

double mean_of(std::span<const double> x) {
  return x.empty() ? 0 : sum_of(x) / static_cast<double>(x.size());
}

double std_of(std::span<const double> x) {
  const double mean = mean_of(x);
  double squares = 0;
  for (const double value : x) squares += (value - mean) * (value - mean);
  return x.empty() ? 0 : std::sqrt(squares / static_cast<double>(x.size()));
}

double largest_of(std::span<const double> x) {
  return x.empty() ? 0 : *std::max_element(x.begin(), x.end());
}

Index place_of_largest(std::span<const double> x) {
  return std::max_element(x.begin(), x.end()) - x.begin();
}

Index place_of_smallest(std::span<const double> x) {
  return std::min_element(x.begin(), x.end()) - x.begin();
}

Percentiles& Percentiles::of(std::span<const double> x) {
  sorted_.assign(x.begin(), x.end());
  std::sort(sorted_.begin(), sorted_.end());
  return *this;
}

double Percentiles::operator()(double percent) const {
  if (sorted_.empty()) return 0;
  const double place = percent / 100 * static_cast<double>(sorted_.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted_.size() - 1);
  return std::lerp(sorted_[below], sorted_[above], place - static_cast<double>(below));
}

double slope_of(std::span<const double> x, std::span<const double> y) {
  assert(x.size() == y.size());
  const double x_mean = mean_of(x), y_mean = mean_of(y);
  double squares = 0, products = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    squares += (x[i] - x_mean) * (x[i] - x_mean);
    products += (x[i] - x_mean) * (y[i] - y_mean);
  }
  return squares == 0 ? 0 : products / squares;
}

double correlation_of(std::span<const double> x, std::span<const double> y) {
  assert(x.size() == y.size());
  const double x_std = std_of(x), y_std = std_of(y);
  if (x_std <= 1e-6 || y_std <= 1e-6) return 0;
  const double x_mean = mean_of(x), y_mean = mean_of(y);
  double products = 0;
  for (std::size_t i = 0; i < x.size(); ++i) products += (x[i] - x_mean) * (y[i] - y_mean);
  return products / static_cast<double>(x.size()) / (x_std * y_std);
}

void interpolate(std::span<const Index> places, std::span<const double> values, std::span<double> out) {
  assert(!places.empty() && places.size() == values.size());
  std::fill(out.begin(), out.begin() + places.front(), values.front());
  for (std::size_t i = 0; i + 1 < places.size(); ++i) {
    const double step = (values[i + 1] - values[i]) / static_cast<double>(places[i + 1] - places[i]);
    for (Index place = places[i]; place < places[i + 1]; ++place)
      out[at(place)] = values[i] + step * static_cast<double>(place - places[i]);
  }
  std::fill(out.begin() + places.back(), out.end(), values.back());
}

void savgol_slope(std::span<const double> x, std::span<double> out) {
  constexpr std::size_t width = 9, half = width / 2;
  if (x.size() <= width) {
    std::fill(out.begin(), out.end(), 0.0);
    return;
  }
  for (std::size_t i = half; i + half < x.size(); ++i) out[i] = line_slope(x.subspan(i - half, width));
  std::fill_n(out.begin(), half, out[half]);
  std::fill(out.end() - half, out.end(), out[x.size() - 1 - half]);
}

void savgol_smooth(std::span<const double> x, std::span<double> out) {
  constexpr std::size_t width = 7, half = width / 2;
  if (x.size() <= width) {
    std::copy(x.begin(), x.end(), out.begin());
    return;
  }
  for (std::size_t i = half; i + half < x.size(); ++i) out[i] = mean_of(x.subspan(i - half, width));
  const double first = line_slope(x.first(width)), last = line_slope(x.last(width));
  for (std::size_t i = 1; i <= half; ++i) {
    out[half - i] = out[half] - first * static_cast<double>(i);
    out[x.size() - 1 - half + i] = out[x.size() - 1 - half] + last * static_cast<double>(i);
  }
}

std::span<const Index> PeakFinder::find(std::span<const double> x, Index distance, double prominence) {
  find_maxima(x, peaks_);
  // Highest first, and of equal ones the later (scipy's argsort, read from its end); each removes its lower
  // neighbours.
  order_.resize(peaks_.size());
  std::iota(order_.begin(), order_.end(), Index{0});
  std::sort(order_.begin(), order_.end(), [&](Index a, Index b) {
    const double left = x[at(peaks_[at(a)])], right = x[at(peaks_[at(b)])];
    return left != right ? left > right : a > b;
  });
  keep_.assign(peaks_.size(), 1);
  const Index n = static_cast<Index>(peaks_.size());
  for (const Index high : order_) {
    if (keep_[at(high)] == 0) continue;
    const auto is_near = [&](Index i) { return std::abs(peaks_[at(i)] - peaks_[at(high)]) < distance; };
    for (Index i = high - 1; i >= 0 && is_near(i); --i) keep_[at(i)] = 0;
    for (Index i = high + 1; i < n && is_near(i); ++i) keep_[at(i)] = 0;
  }
  Index n_kept = 0;
  for (Index i = 0; i < n; ++i)
    if (keep_[at(i)] != 0 && prominence_of(x, peaks_[at(i)]) >= prominence)
      peaks_[at(n_kept++)] = peaks_[at(i)];
  return {peaks_.data(), at(n_kept)};
}

void contour_dct(std::span<const double> x, std::span<double> out) {
  constexpr int n = 48;
  std::fill(out.begin(), out.end(), 0.0);
  if (x.size() < 2) return;
  static const auto cosines = [] {  // by j of cos(pi j / (2 n))
    std::array<double, 4 * n> table{};
    for (int j = 0; j < 4 * n; ++j) table[at(j)] = std::cos(std::numbers::pi * j / (2 * n));
    return table;
  }();
  for (int i = 0; i < n; ++i) {
    const double place = static_cast<double>(x.size() - 1) * i / (n - 1);
    const std::size_t below = std::min(static_cast<std::size_t>(place), x.size() - 2);
    const double value = std::lerp(x[below], x[below + 1], place - static_cast<double>(below));
    for (std::size_t k = 0; k < out.size(); ++k)
      out[k] += value * cosines[k * at(2 * i + 1) % cosines.size()];
  }
  for (std::size_t k = 0; k < out.size(); ++k) out[k] *= std::sqrt((k == 0 ? 1.0 : 2.0) / n);
}

Part part_of(Index n, Index n_parts, Index part) {
  const Index size = n / n_parts, longer = n % n_parts;
  const Index begin = part * size + std::min(part, longer);
  return {begin, begin + size + (part < longer ? 1 : 0)};
}

}  // namespace melgrad
