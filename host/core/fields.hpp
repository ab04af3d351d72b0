#pragma once
// Field reflection: a specification lists its fields once, and JSON, command line options, help and checks
// follow.
//
//   enum class Activation { identity, logistic, tanh, relu };
//   template <> inline constexpr auto enum_names<Activation> = std::array{"identity", "logistic", "tanh",
//   "relu"};
//
//   struct StftSpec {
//     int n_fft = 2048;
//     Window window = Window::hann;
//     static constexpr auto fields() {
//       return std::tuple{field("n_fft", &StftSpec::n_fft, "samples in a window", 16, 65536),
//                         field("window", &StftSpec::window, "window function")};
//     }
//     bool operator==(const StftSpec&) const = default;
//   };
//
//   Json json = to_json_fields(spec);   StftSpec spec = from_json_fields<StftSpec>(json);
//
// A field's type is bool, an integer, double, std::string, an enumeration with enum_names, or a std::vector
// or std::optional (null in JSON) of those. Reading refuses unknown names, wrong types and values outside the
// limits, naming each; absent fields keep their defaults.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/json.hpp"

namespace melgrad {

template <class Enum>
inline constexpr auto enum_names = nullptr;  // specialise with std::array of names in the order of the values

template <class Spec, class T>
struct Field {
  const char* name;  // snake_case; the command line shows it in kebab-case
  T Spec::*member;
  const char* help;
  double minimum;
  double maximum;
};

template <class Spec, class T>
constexpr Field<Spec, T> field(const char* name, T Spec::*member, const char* help,
                               double minimum = -std::numeric_limits<double>::infinity(),
                               double maximum = std::numeric_limits<double>::infinity()) {
  return {name, member, help, minimum, maximum};
}

// Calls f(field) for each field of Spec in order.
template <class Spec, class F>
constexpr void for_each_field(F&& f) {
  std::apply([&](const auto&... each) { (f(each), ...); }, Spec::fields());
}

template <class Enum>
std::string enum_choices() {
  return fmt::format("{}", fmt::join(enum_names<Enum>, ", "));
}

template <class Enum>
std::string_view to_name(Enum value) {
  return enum_names<Enum>.at(static_cast<std::size_t>(value));
}

template <class Enum>
Enum from_name(std::string_view name) {
  for (std::size_t i = 0; i < enum_names<Enum>.size(); ++i)
    if (name == enum_names<Enum>[i]) return static_cast<Enum>(i);
  fail_usage("'{}' is not one of: {}", name, enum_choices<Enum>());
}

namespace detail {

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

template <class T>
Json value_to_json(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(to_name(value));
  } else if constexpr (is_vector<T>::value) {
    Json array = Json::array();
    for (const auto& each : value) array.push_back(value_to_json(each));
    return array;
  } else if constexpr (is_optional<T>::value) {
    return value ? value_to_json(*value) : Json(nullptr);
  } else {
    return value;
  }
}

template <class T>
void value_from_json(const Json& json, double minimum, double maximum, T& value) {
  if constexpr (std::is_enum_v<T>) {
    if (!json.is_string()) fail_usage("{} is not one of: {}", json.dump(), enum_choices<T>());
    value = from_name<T>(json.get_ref<const std::string&>());
  } else if constexpr (is_vector<T>::value) {
    if (!json.is_array()) fail_usage("{} is not a list", json.dump());
    value.clear();
    for (const auto& each : json) value_from_json(each, minimum, maximum, value.emplace_back());
  } else if constexpr (is_optional<T>::value) {
    if (json.is_null())
      value.reset();
    else
      value_from_json(json, minimum, maximum, value.emplace());
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_boolean()) fail_usage("{} is not true or false", json.dump());
    value = json.get<bool>();
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!json.is_string()) fail_usage("{} is not a string", json.dump());
    value = json.get<std::string>();
  } else {
    if (!json.is_number()) fail_usage("{} is not a number", json.dump());
    const auto number = json.get<double>();
    if (std::is_integral_v<T> && !json.is_number_integer())
      fail_usage("{} is not a whole number", json.dump());
    double low = minimum, high = maximum;
    bool fits = true;
    if constexpr (std::is_integral_v<T>) {
      low = std::max(low, static_cast<double>(std::numeric_limits<T>::min()));
      high = std::min(high, static_cast<double>(std::numeric_limits<T>::max()));
      // Not by the number above alone: as a double, 2^63 is the greatest int64.
      fits = json.is_number_unsigned() ? std::in_range<T>(json.get<std::uint64_t>())
                                       : std::in_range<T>(json.get<std::int64_t>());
    }
    if (!(fits && number >= low && number <= high))
      fail_usage("{} is not in [{}, {}]", json.dump(), low, high);
    value = json.get<T>();
  }
}

}  // namespace detail

template <class Spec>
Json to_json_fields(const Spec& spec) {
  Json json = Json::object();
  for_each_field<Spec>([&](const auto& each) { json[each.name] = detail::value_to_json(spec.*each.member); });
  return json;
}

template <class Spec>
Spec from_json_fields(const Json& json) {
  if (!json.is_object()) fail_usage("{} is not an object", json.dump());
  Spec spec;
  for (const auto& item : json.items()) {
    const std::string& name = item.key();
    const Json& value = item.value();
    bool known = false;
    for_each_field<Spec>([&](const auto& each) {
      if (name != each.name) return;
      known = true;
      with_context(name,
                   [&] { detail::value_from_json(value, each.minimum, each.maximum, spec.*each.member); });
    });
    if (!known) {
      std::vector<std::string> names;
      for_each_field<Spec>([&](const auto& each) { names.emplace_back(each.name); });
      fail_usage("unknown name '{}'; known are: {}", name, fmt::join(names, ", "));
    }
  }
  return spec;
}

}  // namespace melgrad
