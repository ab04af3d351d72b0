#pragma once
// JSON without the times in it, for comparing what two runs found out.

#include <iterator>

#include "host/core/json.hpp"

namespace melgrad::test {

// Without "date" and without members whose names end in "seconds", at any depth.
inline Json without_clocks(const Json& json) {
  Json rest = json;
  if (rest.is_object())
    for (auto item = rest.begin(); item != rest.end();)
      item = item.key().ends_with("seconds") || item.key() == "date" ? rest.erase(item) : std::next(item);
  if (rest.is_structured())
    for (Json& each : rest) each = without_clocks(each);
  return rest;
}

}  // namespace melgrad::test
