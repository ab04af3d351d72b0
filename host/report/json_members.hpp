#pragma once
// Reading members of a JSON object, with errors that name what is missing or wrong.

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/fields.hpp"
#include "host/core/json.hpp"

namespace melgrad {

inline const Json& member(const Json& json, const char* name) {
  if (!json.is_object()) fail("{} is not an object", json.dump().substr(0, 40));
  const auto found = json.find(name);
  if (found == json.end()) fail("'{}' is missing", name);
  return *found;
}

// Whether a number, or each of a list, is what Json::get would not round and not wrap.
template <class T>
bool fits(const Json& json, const T&) {
  if constexpr (!std::is_integral_v<T> || std::is_same_v<T, bool>)
    return true;
  else if (json.is_number_unsigned())
    return std::in_range<T>(json.get<std::uint64_t>());
  else
    return json.is_number_integer() && std::in_range<T>(json.get<std::int64_t>());
}
template <class T>
bool fits(const Json& json, const std::vector<T>&) {
  return std::ranges::all_of(json, [](const Json& each) { return fits(each, T()); });
}

template <class T>
void read_member(const Json& json, const char* name, T& value) {
  const Json& found = member(json, name);
  const auto refuse = [&] {
    fail("'{}' is {}, which is not what it should be", name, found.dump().substr(0, 40));
  };
  if (!fits(found, value)) refuse();
  try {
    value = found.get<T>();
  } catch (const Json::exception&) {
    refuse();
  }
}

// null is `otherwise`.
inline void read_member(const Json& json, const char* name, double otherwise, double& value) {
  value = otherwise;
  if (!member(json, name).is_null()) read_member(json, name, value);
}

// The fields of T, as to_json_fields wrote them, among other members.
template <class T>
void read_fields(const Json& json, T& value) {
  Json fields = Json::object();
  for_each_field<T>([&](const auto& each) { fields[each.name] = member(json, each.name); });
  value = from_json_fields<T>(fields);
}

}  // namespace melgrad
