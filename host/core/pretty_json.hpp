#pragma once

#include <string>

#include "host/core/json.hpp"

namespace melgrad {

// A file's text: lists of numbers or words on one line, and objects of them that fit on one; the rest
// indented.
std::string pretty_text(const Json& json);

}  // namespace melgrad
