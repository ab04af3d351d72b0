#include "host/models/search_grid.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "host/core/error.hpp"
#include "host/core/file_system.hpp"
#include "host/core/philox.hpp"

namespace melgrad {
namespace {

// An error of body() gets the node's line in front, unless it names a line already.
template <class Body>
decltype(auto) at_line(const toml::node& node, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const UsageError& error) {
    const std::string message = error.what();
    if (message.starts_with("line ")) throw;
    throw UsageError(fmt::format("line {}: {}", node.source().begin.line, message));
  }
}

Json to_json(const toml::node& node) {
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_floating_point()) {
    if (!std::isfinite(value->get())) fail_usage("{} is not a finite number", value->get());
    return value->get();
  }
  if (const auto* array = node.as_array()) {
    Json json = Json::array();
    for (const toml::node& each : *array) json.push_back(to_json(each));
    return json;
  }
  fail_usage("a {} where a number, a text, true, false or a list is expected",
             node.is_table() ? "table" : "date");
}

// Throws unless the field of that name exists and may have that value.
void check_value(const std::string& name, const Json& value) {
  from_json_fields<MlpSpec>(Json{{name, value}});
}

bool is_whole(const std::string& name) {
  bool whole = false;
  for_each_field<MlpSpec>([&](const auto& each) {
    using Value = std::remove_cvref_t<decltype(MlpSpec().*each.member)>;
    if (name == each.name) whole = std::is_integral_v<Value> && !std::is_same_v<Value, bool>;
  });
  return whole;
}

// 53 random bits in [0, 1).
double uniform01_double(PhiloxSequence& random) {
  const std::uint64_t high = random.next(), low = random.next();
  return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
}

// A number between two, both included; whole where the field is.
struct Distribution {
  bool logarithmic = false;
  bool whole = false;
  double low = 0, high = 0;

  Json draw(PhiloxSequence& random) const {
    const double u = uniform01_double(random);
    const double end = whole ? high + 1 : high;
    double value =
        logarithmic ? std::exp(std::log(low) + u * (std::log(end) - std::log(low))) : low + u * (end - low);
    if (whole) value = std::floor(value);
    value = std::clamp(value, low, high);
    return whole ? Json(static_cast<std::int64_t>(value)) : Json(value);
  }
};

// What a table says of one parameter: choices, or a distribution.
struct Axis {
  std::string name;
  std::vector<Json> choices;
  std::optional<Distribution> distribution;
};

std::vector<Json> read_choices(const std::string& name, const toml::array& array) {
  std::vector<Json> choices;
  for (const toml::node& node : array)
    at_line(node, [&] {
      const Json value = to_json(node);
      if (name == "hidden_layer_sizes" && !value.is_array())
        fail_usage(
            "hidden_layer_sizes: each choice is a list: [[100, 50]] is one network of two layers, "
            "[[100], [50]] two networks of one");
      check_value(name, value);
      choices.push_back(value);
    });
  if (choices.empty()) fail_usage("{}: a list of no choices", name);
  return choices;
}

Distribution read_distribution(const std::string& name, const toml::table& table) {
  const Json ends = [&] {
    if (table.size() == 1 && table.begin()->second.is_array()) return to_json(table.begin()->second);
    fail_usage("{}: expected {{ uniform = [low, high] }} or {{ log_uniform = [low, high] }}", name);
  }();
  const std::string kind(table.begin()->first.str());
  if (kind != "uniform" && kind != "log_uniform")
    fail_usage("{}: '{}' is not one of: uniform, log_uniform", name, kind);
  if (ends.size() != 2 || !ends[0].is_number() || !ends[1].is_number())
    fail_usage("{}: {} = {} is not [low, high]", name, kind, ends.dump());
  for (const Json& end : ends) check_value(name, end);
  const Distribution distribution{.logarithmic = kind == "log_uniform",
                                  .whole = is_whole(name),
                                  .low = ends[0].get<double>(),
                                  .high = ends[1].get<double>()};
  if (!(distribution.low < distribution.high)) fail_usage("{}: {} is not [low, high]", name, ends.dump());
  if (distribution.logarithmic && !(distribution.low > 0))
    fail_usage("{}: log_uniform from {}: must begin above 0", name, ends[0].dump());
  return distribution;
}

Axis read_axis(const std::string& name, const toml::node& node, bool is_random,
               const SearchDefaults& defaults) {
  if (defaults.given.contains(name)) fail_usage("{} is given on the command line, too", name);
  from_json_fields<MlpSpec>(Json{{name, to_json_fields(MlpSpec{})[name]}});  // is it a field at all?
  if (const auto* array = node.as_array()) return {name, read_choices(name, *array), {}};
  if (const auto* table = node.as_table(); table != nullptr && is_random)
    return {name, {}, read_distribution(name, *table)};
  fail_usage("{}: expected a list of choices{}", name,
             is_random ? ", { uniform = [low, high] } or { log_uniform = [low, high] }" : "");
}

// Sorted by name, but for the keys that are `reserved`.
std::vector<Axis> read_axes(const toml::table& table, const std::set<std::string>& reserved, bool is_random,
                            const SearchDefaults& defaults) {
  std::vector<Axis> axes;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (reserved.contains(name)) continue;
    at_line(node, [&, &value = node] { axes.push_back(read_axis(name, value, is_random, defaults)); });
  }
  std::ranges::sort(axes, {}, &Axis::name);
  return axes;
}

std::size_t n_combinations(const std::vector<Axis>& axes) {
  std::size_t n = 1;
  for (const Axis& axis : axes) n = std::min(n * axis.choices.size(), most_candidates + 1);
  return n;
}

// Number `index` in ParameterGrid's order.
Json combination(const std::vector<Axis>& axes, std::size_t index) {
  std::map<std::string, Json> chosen;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    chosen[axis->name] = axis->choices[index % axis->choices.size()];
    index /= axis->choices.size();
  }
  Json parameters = Json::object();
  for (const auto& [name, value] : chosen) parameters[name] = value;
  return parameters;
}

// A number of its own in a [[random]] table, else `otherwise`; below 0: it has to be there.
std::int64_t own_number(const toml::table& table, const char* name, std::int64_t otherwise,
                        std::int64_t least) {
  const toml::node* node = table.get(name);
  if (node == nullptr && otherwise < 0) fail_usage("[[random]] without {}", name);
  if (node == nullptr) return otherwise;
  return at_line(*node, [&] {
    const auto* number = node->as_integer();
    if (number == nullptr || number->get() < least)
      fail_usage("{}: {} is not a whole number of at least {}", name, to_json(*node).dump(), least);
    return number->get();
  });
}

// n of the numbers below n_all, each at most once (Robert Floyd's sampling); all where there are fewer.
std::set<std::size_t> draw_without_repetition(std::size_t n, std::size_t n_all, PhiloxSequence& random) {
  std::set<std::size_t> drawn;
  for (std::size_t last = n_all - std::min(n, n_all); last < n_all; ++last) {
    const std::size_t index = random.next_below(static_cast<std::uint32_t>(last + 1));
    drawn.insert(drawn.contains(index) ? last : index);
  }
  return drawn;
}

std::vector<Json> grid_table(const toml::table& table, const SearchDefaults& defaults) {
  const std::vector<Axis> axes = read_axes(table, {}, false, defaults);
  const std::size_t n = n_combinations(axes);
  if (n > most_candidates) fail_usage("[[grid]] of more than {} combinations", most_candidates);
  std::vector<Json> parameters;
  for (std::size_t index = 0; index < n; ++index) parameters.push_back(combination(axes, index));
  return parameters;
}

// `index` of this [[random]] table among all of them: each reads its own stream of random numbers.
std::vector<Json> random_table(const toml::table& table, std::uint32_t index,
                               const SearchDefaults& defaults) {
  const auto n_iter = static_cast<std::size_t>(own_number(table, "n_iter", -1, 1));
  const std::int64_t random_state = own_number(table, "random_state", defaults.random_state, 0);
  if (n_iter > most_candidates) fail_usage("n_iter {}: at most {}", n_iter, most_candidates);
  const std::vector<Axis> axes = read_axes(table, {"n_iter", "random_state"}, true, defaults);
  if (axes.empty()) fail_usage("[[random]] without a parameter to draw");
  PhiloxSequence random(static_cast<std::uint64_t>(random_state), RandomStream::search, index);
  const bool lists_alone =
      std::ranges::none_of(axes, [](const Axis& axis) { return axis.distribution.has_value(); });
  std::vector<Json> candidates;
  if (lists_alone && n_combinations(axes) <= most_candidates) {
    for (const std::size_t each : draw_without_repetition(n_iter, n_combinations(axes), random))
      candidates.push_back(combination(axes, each));
    return candidates;
  }
  for (std::size_t i = 0; i < n_iter; ++i) {
    Json& parameters = candidates.emplace_back(Json::object());
    for (const Axis& axis : axes)
      parameters[axis.name] =
          axis.distribution
              ? axis.distribution->draw(random)
              : axis.choices[random.next_below(static_cast<std::uint32_t>(axis.choices.size()))];
  }
  return candidates;
}

// Calls body(table) for [name] or for each [[name]].
template <class Body>
void for_each_table(const toml::node& node, std::string_view name, Body&& body) {
  if (const auto* table = node.as_table()) return at_line(node, [&] { body(*table); });
  const auto* array = node.as_array();
  if (array == nullptr || array->empty())
    at_line(node, [&] { fail_usage("'{}' is not a table: [[{}]]", name, name); });
  for (const toml::node& each : *array)
    at_line(each, [&] {
      if (!each.is_table()) fail_usage("'{}' is not a table: [[{}]]", name, name);
      body(*each.as_table());
    });
}

// [mlp], with what was given on the command line before it.
Json common_values(const toml::table& root, const SearchDefaults& defaults) {
  Json values = to_json_fields(defaults.spec);
  if (const toml::node* node = root.get("mlp")) {
    if (!node->is_table()) at_line(*node, [] { fail_usage("'mlp' is not a table: [mlp]"); });
    for (const auto& [key, each] : *node->as_table())
      at_line(each, [&, name = std::string(key.str()), &value = each] {
        const Json json = to_json(value);
        check_value(name, json);
        values[name] = json;
      });
  }
  values.update(defaults.given);
  return values;
}

std::vector<Candidate> read_candidates(const toml::table& root, const SearchDefaults& defaults) {
  for (const auto& [key, node] : root)
    if (const std::string_view name = key.str(); name != "mlp" && name != "grid" && name != "random")
      at_line(node, [&] { fail_usage("unknown name '{}'; known are: [mlp], [[grid]], [[random]]", name); });
  const Json common = common_values(root, defaults);
  std::vector<Candidate> candidates;
  const auto add = [&](const std::vector<Json>& table) {
    if (candidates.size() + table.size() > most_candidates)
      fail_usage("more than {} candidates", most_candidates);
    for (const Json& parameters : table) {
      Json values = common;
      values.update(parameters);
      candidates.push_back({parameters, from_json_fields<MlpSpec>(values)});
    }
  };
  std::uint32_t n_random = 0;
  if (const toml::node* node = root.get("grid"))
    for_each_table(*node, "grid", [&](const toml::table& table) { add(grid_table(table, defaults)); });
  if (const toml::node* node = root.get("random"))
    for_each_table(*node, "random",
                   [&](const toml::table& table) { add(random_table(table, n_random++, defaults)); });
  if (candidates.empty()) fail_usage("neither [[grid]] nor [[random]]");
  return candidates;
}

}  // namespace

std::vector<Candidate> parse_search_grid(std::string_view text, std::string_view name,
                                         const SearchDefaults& defaults) {
  return with_context(name, [&] {
    try {
      return read_candidates(toml::parse(text), defaults);
    } catch (const toml::parse_error& error) {
      fail_usage("line {}: {}", error.source().begin.line, error.description());
    }
  });
}

std::vector<Candidate> read_search_grid(const std::filesystem::path& file, const SearchDefaults& defaults) {
  const std::string text = with_context(file.string(), [&] { return read_text_file(file); });
  return parse_search_grid(text, file.string(), defaults);
}

std::vector<Candidate> sample_candidates(const std::vector<Candidate>& candidates, std::size_t n,
                                         std::int64_t random_state) {
  // The stream after those of the [[random]] tables.
  PhiloxSequence random(static_cast<std::uint64_t>(random_state), RandomStream::search, 0xffffffff);
  std::vector<Candidate> sample;
  for (const std::size_t index : draw_without_repetition(n, candidates.size(), random))
    sample.push_back(candidates[index]);
  return sample;
}

MlpSpec effective_spec(const MlpSpec& spec) {
  const MlpSpec defaults;
  MlpSpec effective = spec;
  const bool is_sgd = spec.solver == Solver::sgd;
  if (is_sgd) {
    effective.beta_1 = defaults.beta_1;
    effective.beta_2 = defaults.beta_2;
    effective.epsilon = defaults.epsilon;
  } else {
    effective.momentum = defaults.momentum;
    effective.nesterovs_momentum = defaults.nesterovs_momentum;
    if (spec.learning_rate == LearningRate::invscaling || spec.learning_rate == LearningRate::adaptive)
      effective.learning_rate = LearningRate::constant;
  }
  if (effective.learning_rate != LearningRate::invscaling) effective.power_t = defaults.power_t;
  if (!spec.early_stopping) effective.validation_fraction = defaults.validation_fraction;
  return effective;
}

}  // namespace melgrad
