#include "host/report/measurements.hpp"

#include <algorithm>

#include "host/report/json_members.hpp"

namespace melgrad {

std::vector<Measurement> measurements_from_json(const Json& bench) {
  std::vector<Measurement> found;
  if (bench.is_null()) return found;
  if (!bench.is_object()) fail("the measurements are not an object");
  for (const auto& [name, report] : bench.items()) {
    if (name == "peaks") continue;  // of the machine
    with_context(name, [&] {
      for (const Json& row : member(report, "rows")) {
        if (row.contains("missing")) continue;
        Measurement each;
        double n_units = 0;
        read_member(row, "work", each.work);
        read_member(row, "who", each.who);
        read_member(row, "unit", each.unit);
        read_member(row, "n_units", n_units);
        const Json& seconds = member(row, "cpu_seconds");
        read_member(seconds, "median", each.seconds);
        read_member(seconds, "minimum", each.least_seconds);
        read_member(seconds, "maximum", each.most_seconds);
        if (row.contains("cpu_time_ratio")) read_member(row, "cpu_time_ratio", each.ratio);
        if (!(n_units > 0 && each.least_seconds > 0 && each.least_seconds <= each.seconds &&
              each.seconds <= each.most_seconds))
          fail("'{}' by {} has no time that could be", each.work, each.who);
        each.seconds /= n_units;
        each.least_seconds /= n_units;
        each.most_seconds /= n_units;
        found.push_back(std::move(each));
      }
    });
  }
  return found;
}

std::vector<LearningPoint> learning_points_from_json(const Json& curve) {
  std::vector<LearningPoint> found;
  if (curve.is_null()) return found;
  for (const Json& point : member(curve, "points")) {
    LearningPoint each;
    read_member(point, "n_train", each.n_train);
    if (member(point, "mean_test_accuracy").is_null()) continue;
    read_member(point, "mean_train_accuracy", each.train_accuracy);
    read_member(point, "std_train_accuracy", each.train_std);
    read_member(point, "mean_test_accuracy", each.test_accuracy);
    read_member(point, "std_test_accuracy", each.test_std);
    if (!(each.n_train > 0)) fail("'n_train' is {}", each.n_train);
    found.push_back(each);
  }
  std::ranges::stable_sort(found, {}, &LearningPoint::n_train);
  return found;
}

}  // namespace melgrad
