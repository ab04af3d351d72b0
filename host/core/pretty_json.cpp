#include "host/core/pretty_json.hpp"

#include <algorithm>

namespace melgrad {
namespace {

void write_pretty(const Json& json, std::size_t indent, std::string& text) {
  constexpr std::size_t longest_object = 320;
  const auto is_flat = std::ranges::none_of(json, [](const Json& each) { return each.is_structured(); });
  if (!json.is_structured() || json.empty() || (json.is_array() && is_flat)) {
    text += json.dump();
    return;
  }
  if (is_flat) {
    std::string line = json.dump();
    if (line.size() <= longest_object) {
      text += line;
      return;
    }
  }
  const std::string margin(indent + 2, ' ');
  text += json.is_object() ? "{\n" : "[\n";
  bool first = true;
  for (const auto& [name, value] : json.items()) {
    text += first ? margin : ",\n" + margin;
    first = false;
    if (json.is_object()) text += Json(name).dump() + ": ";
    write_pretty(value, indent + 2, text);
  }
  text += '\n' + std::string(indent, ' ') + (json.is_object() ? '}' : ']');
}

}  // namespace

std::string pretty_text(const Json& json) {
  std::string text;
  write_pretty(json, 0, text);
  return text + '\n';
}

}  // namespace melgrad
