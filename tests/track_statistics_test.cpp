#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "host/cpu/track_statistics.hpp"
#include "support/golden_file.hpp"

namespace melgrad {
namespace {

using namespace testing;

void check_equal(const std::vector<double>& ours, const Json& truth) {
  REQUIRE(ours.size() == truth.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    CAPTURE(i);
    CHECK(ours[i] == doctest::Approx(truth.at(i).get<double>()).epsilon(1e-10).scale(1));
  }
}

}  // namespace

TEST_SUITE("track_statistics") {
  TEST_CASE("statistics are numpy's and scipy's") {
    const Json golden = golden_file("track_statistics.json");
    std::size_t n_case = 0;
    for (const Json& each : golden.at("cases")) {
      CAPTURE(n_case);
      ++n_case;
      const auto x = each.at("x").get<std::vector<double>>();
      const auto places = each.at("places").get<std::vector<Index>>();
      std::vector<double> squares, out(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) squares.push_back(static_cast<double>(i * i));
      Percentiles percentiles;
      std::vector<double> values;
      percentiles.of(x);
      for (const double percent : {0, 5, 10, 25, 50, 90, 98, 100}) values.push_back(percentiles(percent));
      check_equal(values, each.at("percentiles"));
      check_equal({mean_of(x), std_of(x), slope_of(squares, x), correlation_of(squares, x)},
                  {each.at("mean"), each.at("std"), each.at("line_slope"), each.at("correlation")});
      interpolate(places, std::span(x).first(places.size()), out);
      check_equal(out, each.at("interpolated"));
      savgol_slope(x, out);
      check_equal(out, each.at("savgol_slope"));
      savgol_smooth(x, out);
      check_equal(out, each.at("savgol_smooth"));
      PeakFinder finder;
      const auto peaks = finder.find(x, each.at("distance"), 1.0);
      CHECK(std::vector<Index>(peaks.begin(), peaks.end()) == each.at("peaks").get<std::vector<Index>>());
      std::vector<double> dct(14);
      contour_dct(x, dct);
      check_equal(dct, each.at("dct"));
    }
    CHECK(n_case >= 6);
  }

  TEST_CASE("of nothing, one value or equal values, statistics are finite") {
    CHECK(mean_of({}) == 0);
    CHECK(std_of({}) == 0);
    CHECK(Percentiles().of({})(50) == 0);
    const std::vector<double> one{3}, equal{2, 2, 2};
    CHECK(Percentiles().of(one)(90) == 3);
    CHECK(slope_of(one, one) == 0);
    CHECK(correlation_of(equal, equal) == 0);
    std::vector<double> dct(3, 1.0);
    contour_dct(one, dct);
    CHECK(dct == std::vector<double>(3));
    CHECK(PeakFinder().find(equal, 1, 0).empty());
    CHECK(PeakFinder().find({}, 1, 0).empty());
  }

  TEST_CASE("parts of n values are numpy.array_split's") {
    Index end = 0;
    for (const auto& [part, size] : std::vector<std::pair<Index, Index>>{{0, 3}, {1, 3}, {2, 2}, {3, 2}}) {
      CHECK(part_of(10, 4, part).begin == end);
      CHECK(part_of(10, 4, part).size() == size);
      end += size;
    }
    CHECK(part_of(2, 3, 2).size() == 0);
  }
}

}  // namespace melgrad
