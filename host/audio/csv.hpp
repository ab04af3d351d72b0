#pragma once
// Comma-separated values by RFC 4180.

#include <string>
#include <string_view>
#include <vector>

namespace melgrad {

struct CsvRow {
  int line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
};

// Rows end with LF, CRLF or CR; a field in quotes may hold commas, line ends and doubled quotes; empty lines
// are left out; a byte order mark at the start is dropped. An Error names the line: text that is not UTF-8 or
// holds a zero byte, a quote that never ends, text before or after a field's quotes.
std::vector<CsvRow> parse_csv(std::string_view text);

}  // namespace melgrad
