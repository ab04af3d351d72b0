#pragma once
// Reading members of a JSON object, with errors that name what is missing or wrong.

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

template <class T>
void read_member(const Json& json, const char* name, T& value) {
  const Json& found = member(json, name);
  try {
    value = found.get<T>();
  } catch (const Json::exception&) {
    fail("'{}' is {}, which is not what it should be", name, found.dump().substr(0, 40));
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
