#pragma once
// JSON from files, which may hold anything.

#include <string_view>

#include "host/core/json.hpp"

namespace melgrad {

// Lists and objects within each other: none of ours is nested deeper than 10.
inline constexpr int max_json_depth = 100;

// An Error says where the text is no JSON ("not JSON: line 1, column 5: ..."), or that it is nested deeper
// than max_json_depth, which would overflow the stack of who walks through it.
Json parse_json(std::string_view text);

}  // namespace melgrad
