#include "host/core/parse_json.hpp"

#include <string>

#include "host/core/error.hpp"

namespace melgrad {

Json parse_json(std::string_view text) {
  const auto check_depth = [](int depth, Json::parse_event_t event, Json&) {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= max_json_depth) fail("not JSON of ours: nested deeper than {}", max_json_depth);
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: ...": what follows the bracket.
    // 1e999 is an out_of_range.
    const std::string message = error.what();
    fail("not JSON: {}", message.substr(message.find("] ") + 2));
  }
}

}  // namespace melgrad
