#pragma once
// JSON whose members keep the order in which they were written.

#include <nlohmann/json.hpp>

namespace melgrad {

using Json = nlohmann::ordered_json;

}  // namespace melgrad
