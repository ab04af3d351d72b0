#pragma once
// Statistics of small tracks, as numpy and scipy define them. Of nothing, each is 0.

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

double mean_of(std::span<const double> x);
double std_of(std::span<const double> x);  // of the population
double sum_of(std::span<const double> x);
double largest_of(std::span<const double> x);
// Where the first largest or smallest value stands.
Index place_of_largest(std::span<const double> x);
Index place_of_smallest(std::span<const double> x);

// numpy.percentile, linear between neighbours, of values in any order; keeps its memory.
class Percentiles {
 public:
  Percentiles& of(std::span<const double> x);
  double operator()(double percent) const;

 private:
  std::vector<double> sorted_;
};

// Of the least-squares line of y over x; 0 where x does not vary.
double slope_of(std::span<const double> x, std::span<const double> y);
// Pearson's; 0 where x or y hardly varies (std of 1e-6).
double correlation_of(std::span<const double> x, std::span<const double> y);

// Lines between values at ascending places, constant beyond: numpy.interp(arange(out.size()), ...).
void interpolate(std::span<const Index> places, std::span<const double> values, std::span<double> out);

// scipy.signal.savgol_filter(x, 9, polyorder=1, deriv=1), librosa's delta: the slope of the line through 9
// values, at the ends that of the first and the last 9; zeros where x has no more than 9.
void savgol_slope(std::span<const double> x, std::span<double> out);
// savgol_filter(x, 7, polyorder=1): the line through 7 values; x itself where it has no more than 7.
void savgol_smooth(std::span<const double> x, std::span<double> out);

// scipy.signal.find_peaks(x, distance, prominence); keeps its memory.
class PeakFinder {
 public:
  std::span<const Index> find(std::span<const double> x, Index distance, double prominence);

 private:
  std::vector<Index> peaks_, order_;
  std::vector<std::uint8_t> keep_;
};

// The first coefficients of the orthonormal DCT-II of x read at 48 even places; zeros of fewer than 2
// values.
void contour_dct(std::span<const double> x, std::span<double> out);

// [begin, end) of the part-th of n_parts of n values, as numpy.array_split cuts them.
struct Part {
  Index begin = 0, end = 0;
  Index size() const { return end - begin; }
};
Part part_of(Index n, Index n_parts, Index part);

}  // namespace melgrad
