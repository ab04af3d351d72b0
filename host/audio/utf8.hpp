#pragma once
// File names are bytes; JSON, HDF5 and terminals want UTF-8.

#include <string>
#include <string_view>

namespace melgrad {

// Well-formed by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

// The same text with every byte that is not part of well-formed UTF-8 as \xNN.
std::string as_utf8(std::string_view bytes);

}  // namespace melgrad
