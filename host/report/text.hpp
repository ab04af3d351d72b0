#pragma once
// Text on a terminal: styles, display widths of UTF-8, padding, bars.

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace melgrad {

struct TextStyle {
  int width = 100;      // columns, at least 60
  bool colour = false;  // ANSI escapes with 256 colours
  bool unicode = true;  // block elements and box drawing; else ASCII
};

// What `stream` can show: its width if it is a terminal, else 100 columns; colours if it is a terminal, the
// environment does not set NO_COLOR, TERM is not "dumb" and colour is allowed; Unicode if LC_ALL, LC_CTYPE or
// LANG, whichever is set first, says UTF-8.
TextStyle text_style(std::FILE* stream, bool allow_colour = true);

// Columns that UTF-8 text takes on a terminal: 0 for combining marks, 2 for East Asian wide characters and
// emoji.
int display_width(std::string_view text);

// Control characters, which could move the cursor, become '?'.
std::string printable(std::string_view text);

// printable(text) in Unicode's isolating marks where it is written from right to left, so that what follows a
// name in a sentence stays where it belongs.
std::string isolated(std::string_view text);

// The characters that fit into the first `width` columns.
std::string cut(std::string_view text, int width);
// At most `width` columns of the text, with an ellipsis where it was longer.
std::string shortened(std::string_view text, int width, const TextStyle& style);
// Shortened and padded to exactly `width` columns.
std::string left_aligned(std::string_view text, int width, const TextStyle& style);
std::string right_aligned(std::string_view text, int width, const TextStyle& style);
// All texts in at most `width` columns and still told apart: by their beginnings, else by beginnings and
// ends, else by numbers.
std::vector<std::string> distinct_names(const std::vector<std::string>& texts, int width,
                                        const TextStyle& style);
// Lines of at most style.width columns, broken between words: the first begins with `first`, the others with
// as many blanks.
std::string wrapped(std::string_view text, std::string_view first, const TextStyle& style);

enum class Ink { plain, bold, dim, heading, figure, good, bad };
std::string painted(std::string_view text, Ink ink, const TextStyle& style);
// Black or white, whichever reads better, on a colour of the 256-colour palette.
std::string on_background(std::string_view text, int palette_colour, const TextStyle& style);

// `share` of `width` columns, in eighths of a column in Unicode; no blanks follow.
std::string bar(double share, int width, const TextStyle& style);
// The values, stretched or averaged to `width` columns, as heights between the least and the greatest.
std::string sparkline(std::span<const double> values, int width, const TextStyle& style);

std::string percent(double share);                        // "65.4 %"
std::string time_text(double seconds);                    // "0.8 s", "3 min 20 s", "2 h 05 min"
std::string counted(long long n, std::string_view noun);  // "1 clip", "1 200 clips"

// An empty line, a title and what it shows.
std::string heading(std::string_view title, std::string_view explanation, const TextStyle& style);

// The symbol where the style has Unicode, else its ASCII stand-in.
std::string_view symbol(std::string_view unicode, std::string_view ascii, const TextStyle& style);

}  // namespace melgrad
