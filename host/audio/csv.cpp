#include "host/audio/csv.hpp"

#include <algorithm>
#include <cstddef>

#include "host/audio/utf8.hpp"
#include "host/core/error.hpp"

namespace melgrad {
namespace {

class CsvParser {
 public:
  explicit CsvParser(std::string_view text) : rest_(text) {}

  std::vector<CsvRow> rows() {
    std::vector<CsvRow> rows;
    while (!rest_.empty()) {
      if (skip_line_end()) continue;
      CsvRow row{line_, {}};
      do row.fields.push_back(field());
      while (skip(","));
      rows.push_back(std::move(row));
      skip_line_end();
    }
    return rows;
  }

 private:
  bool skip(std::string_view prefix) {
    if (!rest_.starts_with(prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }

  bool skip_line_end() {
    if (!skip("\r\n") && !skip("\n") && !skip("\r")) return false;
    ++line_;
    return true;
  }

  std::string take(std::size_t length) {
    const std::string taken(rest_.substr(0, length));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string field() {
    if (skip("\"")) return quoted_field();
    const std::string value = take(std::min(rest_.find_first_of(",\"\r\n"), rest_.size()));
    if (rest_.starts_with('"'))
      fail("line {}: a quote after '{}'; a field with quotes stands in quotes, its own doubled", line_,
           value);
    return value;
  }

  std::string quoted_field() {
    const int first_line = line_;
    std::string value;
    for (;;) {
      const std::size_t quote = rest_.find('"');
      if (quote == std::string_view::npos) fail("line {}: a quote that never ends", first_line);
      const std::string text = take(quote);
      line_ += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
      value += text;
      rest_.remove_prefix(1);
      if (!skip("\"")) break;
      value += '"';
    }
    if (!rest_.empty() && std::string_view(",\r\n").find(rest_[0]) == std::string_view::npos)
      fail("line {}: '{}' after the closing quote of a field", line_,
           rest_.substr(0, rest_.find_first_of(",\r\n")));
    return value;
  }

  std::string_view rest_;
  int line_ = 1;
};

// Line by line, to name the one that is wrong.
void check_text(std::string_view text) {
  int line = 1;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view content = text.substr(0, length);
    if (!is_utf8(content)) fail("line {}: not UTF-8 text", line);
    if (content.find('\0') != std::string_view::npos) fail("line {}: a zero byte", line);
    text.remove_prefix(length);
    ++line;
  }
}

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text) {
  check_text(text);
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  return CsvParser(text).rows();
}

}  // namespace melgrad
