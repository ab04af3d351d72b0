#include "host/report/text.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>
#include <utility>

namespace melgrad {
namespace {

// The first character of non-empty UTF-8 and its length in bytes; a byte that is not UTF-8 stands for itself.
std::pair<char32_t, std::size_t> first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = byte(0) < 0x80   ? 1
                             : byte(0) < 0xC0 ? 0
                             : byte(0) < 0xE0 ? 2
                             : byte(0) < 0xF0 ? 3
                                              : 4;
  if (length <= 1 || length > text.size()) return {byte(0), 1};
  char32_t code = byte(0) & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {byte(0), 1};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  return {code, length};
}

struct Range {
  char32_t first, last;
};

bool in_any(char32_t code, std::span<const Range> ranges) {
  return std::ranges::any_of(ranges, [&](Range range) { return range.first <= code && code <= range.last; });
}

// The blocks that labels are likely to use, after Unicode's EastAsianWidth.txt and the general category Mn.
int character_width(char32_t code) {
  static constexpr std::array<Range, 10> combining = {{{0x0300, 0x036F},
                                                       {0x0483, 0x0489},
                                                       {0x0591, 0x05BD},
                                                       {0x064B, 0x065F},
                                                       {0x093C, 0x093C},
                                                       {0x0941, 0x094D},
                                                       {0x200B, 0x200F},
                                                       {0x2066, 0x2069},
                                                       {0x20D0, 0x20FF},
                                                       {0xFE00, 0xFE0F}}};
  static constexpr std::array<Range, 9> wide = {{{0x1100, 0x115F},
                                                 {0x2E80, 0x303E},
                                                 {0x3041, 0xA4CF},
                                                 {0xAC00, 0xD7A3},
                                                 {0xF900, 0xFAFF},
                                                 {0xFE30, 0xFE6F},
                                                 {0xFF00, 0xFF60},
                                                 {0x1F300, 0x1F9FF},
                                                 {0x20000, 0x3FFFD}}};
  return in_any(code, combining) ? 0 : in_any(code, wide) ? 2 : 1;
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string lower = value;
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

// Red, green and blue of a colour of the 6 x 6 x 6 cube or of the grey ramp.
std::array<int, 3> palette_rgb(int colour) {
  if (colour >= 232) {
    const int grey = 8 + 10 * (colour - 232);
    return {grey, grey, grey};
  }
  const auto level = [](int step) { return step == 0 ? 0 : 55 + 40 * step; };
  const int cube = colour - 16;
  return {level(cube / 36), level(cube / 6 % 6), level(cube % 6)};
}

}  // namespace

TextStyle text_style(std::FILE* stream, bool allow_colour) {
  TextStyle style;
  const int descriptor = fileno(stream);
  const bool terminal = isatty(descriptor) == 1;
  winsize size{};
  if (terminal && ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.width = std::max<int>(size.ws_col, 60);
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  style.colour = allow_colour && terminal && (no_color == nullptr || *no_color == '\0') && term != nullptr &&
                 std::string_view(term) != "dumb";
  style.unicode = locale_is_utf8();
  return style;
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const auto [code, length] = first_character(text);
    width += character_width(code);
    text.remove_prefix(length);
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const auto [code, length] = first_character(text);
    const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E);
    clean += control ? "?" : text.substr(0, length);
    text.remove_prefix(length);
  }
  return clean;
}

std::string isolated(std::string_view text) {
  // Hebrew, Arabic, Syriac, Thaana and their presentation forms
  static constexpr std::array<Range, 3> right_to_left = {
      {{0x0590, 0x08FF}, {0xFB1D, 0xFDFF}, {0xFE70, 0xFEFF}}};
  const std::string name = printable(text);
  for (std::string_view rest = name; !rest.empty();) {
    const auto [code, length] = first_character(rest);
    if (in_any(code, right_to_left)) return "\u2068" + name + "\u2069";
    rest.remove_prefix(length);
  }
  return name;
}

std::string cut(std::string_view text, int width) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto [code, length] = first_character(rest);
    width -= character_width(code);
    if (width < 0) break;
    rest.remove_prefix(length);
  }
  return std::string(text.substr(0, text.size() - rest.size()));
}

std::string shortened(std::string_view text, int width, const TextStyle& style) {
  if (display_width(text) <= width) return std::string(text);
  if (width <= 0) return {};
  return cut(text, width - 1) + std::string(symbol("…", "~", style));
}

std::string left_aligned(std::string_view text, int width, const TextStyle& style) {
  std::string fitted = shortened(text, width, style);
  fitted.append(static_cast<std::size_t>(std::max(width - display_width(fitted), 0)), ' ');
  return fitted;
}

std::string right_aligned(std::string_view text, int width, const TextStyle& style) {
  const std::string fitted = shortened(text, width, style);
  return std::string(static_cast<std::size_t>(std::max(width - display_width(fitted), 0)), ' ') + fitted;
}

std::vector<std::string> distinct_names(const std::vector<std::string>& texts, int width,
                                        const TextStyle& style) {
  const std::set<std::string> different(texts.begin(), texts.end());
  const auto made_by = [&](auto&& shorten) {
    std::vector<std::string> names;
    for (const std::string& text : texts) names.push_back(shorten(printable(text), names.size()));
    return names;
  };
  const auto distinct = [&](const std::vector<std::string>& names) {
    return std::set<std::string>(names.begin(), names.end()).size() == different.size();
  };
  const auto head = [&](const std::string& text, std::size_t) { return shortened(text, width, style); };
  const auto head_and_tail = [&](const std::string& text, std::size_t) {
    if (display_width(text) <= width) return text;
    std::string_view tail = text;
    while (display_width(tail) > width / 2) tail.remove_prefix(first_character(tail).second);
    return shortened(text, width - display_width(tail), style) + std::string(tail);
  };
  const auto number = [&](const std::string& text, std::size_t i) {
    return shortened(fmt::format("{} {}", i + 1, text), width, style);
  };
  std::vector<std::string> names = made_by(head);
  if (!distinct(names)) names = made_by(head_and_tail);
  if (!distinct(names)) names = made_by(number);
  return names;
}

std::string wrapped(std::string_view text, std::string_view first, const TextStyle& style) {
  const int margin = display_width(first);
  std::string lines(first);
  int column = margin;
  bool line_is_empty = true;
  while (!text.empty()) {
    std::size_t end = text.find(' ');
    if (end != std::string_view::npos && text.substr(end).starts_with(" %")) end = text.find(' ', end + 1);
    const std::string_view word = text.substr(0, end);  // "65.4 %" is one word
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const int width = display_width(word);
    if (!line_is_empty && column + 1 + width > style.width) {
      lines += '\n' + std::string(static_cast<std::size_t>(margin), ' ');
      column = margin;
      line_is_empty = true;
    }
    if (!line_is_empty) lines += ' ';
    lines += word;
    column += width + !line_is_empty;
    line_is_empty = false;
  }
  return lines + '\n';
}

std::string painted(std::string_view text, Ink ink, const TextStyle& style) {
  static constexpr std::array codes = {"", "1", "2", "1;38;5;39", "38;5;38", "38;5;35", "38;5;208"};
  if (!style.colour || ink == Ink::plain || text.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", codes[static_cast<std::size_t>(ink)], text);
}

std::string on_background(std::string_view text, int palette_colour, const TextStyle& style) {
  if (!style.colour) return std::string(text);
  const auto [red, green, blue] = palette_rgb(palette_colour);
  const bool bright = 0.299 * red + 0.587 * green + 0.114 * blue > 140;  // ITU-R BT.601 luma
  return fmt::format("\x1b[38;5;{};48;5;{}m{}\x1b[0m", bright ? 16 : 231, palette_colour, text);
}

std::string bar(double share, int width, const TextStyle& style) {
  static constexpr std::array<std::string_view, 8> partial = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double filled = std::clamp(std::isfinite(share) ? share : 0.0, 0.0, 1.0) * width;
  if (!style.unicode) return std::string(static_cast<std::size_t>(std::lround(filled)), '#');
  const auto eighths = static_cast<std::size_t>(std::lround(filled * 8));
  std::string text;
  for (std::size_t column = 0; column < eighths / 8; ++column) text += "█";
  return text + std::string(partial[eighths % 8]);
}

std::string sparkline(std::span<const double> values, int width, const TextStyle& style) {
  static constexpr std::array<std::string_view, 8> blocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<std::string_view, 8> letters = {"_", ".", ",", "-", "=", "+", "*", "#"};
  if (values.empty()) return {};
  const auto n_columns = std::min<std::size_t>(static_cast<std::size_t>(std::max(width, 0)), values.size());
  std::vector<double> columns;
  for (std::size_t column = 0; column < n_columns; ++column) {
    const std::size_t first = column * values.size() / n_columns;
    const std::size_t end = (column + 1) * values.size() / n_columns;
    double sum = 0;
    for (std::size_t i = first; i < end; ++i) sum += values[i];
    columns.push_back(sum / static_cast<double>(end - first));
  }
  const auto [least, greatest] = std::ranges::minmax(columns);
  std::string text;
  for (const double value : columns) {
    const double height = greatest > least ? (value - least) / (greatest - least) : 0;
    const auto level = static_cast<std::size_t>(std::lround(height * 7));
    text += style.unicode ? blocks[level] : letters[level];
  }
  return text;
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

std::string time_text(double seconds) {
  if (seconds < 0.0995) return fmt::format("{:.0f} ms", 1000 * seconds);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string counted(long long n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

std::string heading(std::string_view title, std::string_view explanation, const TextStyle& style) {
  std::string line = '\n' + painted(title, Ink::heading, style);
  const std::string fitted = shortened(explanation, style.width - display_width(title) - 2, style);
  if (!fitted.empty()) line += "  " + painted(fitted, Ink::dim, style);
  return line + '\n';
}

std::string_view symbol(std::string_view unicode, std::string_view ascii, const TextStyle& style) {
  return style.unicode ? unicode : ascii;
}

}  // namespace melgrad
