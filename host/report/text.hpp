#pragma once
// Text on a terminal: styles, display widths of UTF-8, padding, bars.

#include <cstdio>
#include <string>
#include <string_view>

namespace melgrad {

struct TextStyle {
  int width = 100;      // columns
  bool colour = false;  // ANSI escapes with 256 colours
  bool unicode = true;  // block elements and box drawing; else ASCII
};

// What `stream` can show: its width if it is a terminal, else 100 columns; colours if it is a terminal, the
// environment does not set NO_COLOR, TERM is not "dumb" and colour is allowed; Unicode if LC_ALL, LC_CTYPE
// or LANG says UTF-8.
TextStyle text_style(std::FILE* stream, bool allow_colour = true);

}  // namespace melgrad
