#include "host/report/measurements.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "host/report/json_members.hpp"

namespace melgrad {

namespace {

// Of one part of the bench, work by work in the order of the first of each.
std::vector<std::vector<Measurement>> works_of(const Json& part) {
  std::vector<std::vector<Measurement>> works;
  for (const Json& row : member(part, "rows")) {
    if (row.contains("missing")) continue;
    Measurement each;
    read_member(row, "work", each.work);
    read_member(row, "who", each.who);
    read_member(row, "unit", each.unit);
    read_member(member(row, "per_second"), "units", each.per_second);
    read_member(row, "cpu_spread", each.spread);
    if (row.contains("cpu_time_ratio")) read_member(row, "cpu_time_ratio", each.ratio);
    if (!(each.per_second > 0 && each.spread >= 0))
      fail("'{}' by {} has no speed that could be", each.work, each.who);
    auto of_work =
        std::ranges::find_if(works, [&](const auto& known) { return known.front().work == each.work; });
    if (of_work == works.end()) of_work = works.emplace(works.end());
    of_work->push_back(std::move(each));
  }
  return works;
}

}  // namespace

std::vector<std::vector<Measurement>> measurements_from_json(const Json& bench) {
  std::vector<std::vector<Measurement>> found;
  if (bench.is_null()) return found;
  if (!bench.is_object()) fail("the measurements are not an object");
  for (const auto& part : bench.items()) {
    if (part.key() == "peaks") continue;  // of the machine
    std::vector<std::vector<Measurement>> works =
        with_context(part.key(), [&] { return works_of(part.value()); });
    const auto is_compared = [](const std::vector<Measurement>& work) {
      return !std::ranges::all_of(work, &Measurement::is_ours);
    };
    if (std::ranges::none_of(works, is_compared))
      works.resize(std::min<std::size_t>(works.size(), 1));
    else
      std::erase_if(works, std::not_fn(is_compared));
    for (std::vector<Measurement>& work : works) {
      std::ranges::stable_sort(work, std::greater(), &Measurement::per_second);
      found.push_back(std::move(work));
    }
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
