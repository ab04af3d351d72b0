#pragma once

#include <string>
#include <string_view>

namespace melgrad {

// Any text as HTML or XML text or attribute value: valid UTF-8, no control characters, & < > " ' escaped.
std::string html_escaped(std::string_view text);

// A path's bytes as the path of a URL: everything but letters, digits and /-._~ as %XX.
std::string url_path(std::string_view path);

}  // namespace melgrad
