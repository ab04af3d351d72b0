#pragma once
// The report as a reader meets it, before it is set on pages or in HTML.

#include <string>
#include <variant>
#include <vector>

#include "host/report/figures.hpp"

namespace melgrad {

struct Heading {
  std::string title;
};
// Rows of words; the first column's are left aligned, the others right.
struct Table {
  Markup caption;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> emphasised;  // [n_rows]
};
// A line for a shell.
struct Command {
  std::string words;
};
using DocumentItem = std::variant<Heading, Markup, Command, Figure, Table>;

struct Document {
  std::string title;
  std::string byline;
  Markup abstract;
  std::vector<DocumentItem> items;
  std::string program;  // "melgrad 0.1.0"
  std::string date;     // ISO 8601
};

Document make_document(const Results& results);

// Booktabs: a rule above, below and under the header.
Drawing table_drawing(const Table& table, double width);

}  // namespace melgrad
