#pragma once
// Validation and learning curves as JSON (search_schema.md) and as bars on a terminal.

#include <string>

#include "host/core/json.hpp"
#include "host/evaluation/curves.hpp"
#include "host/report/text.hpp"

namespace melgrad {

Json to_json(const Curve& curve);
std::string curve_text(const Curve& curve, const TextStyle& style);

}  // namespace melgrad
