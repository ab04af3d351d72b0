#pragma once
// A document on A4 pages in two columns.

#include <memory>
#include <string>
#include <vector>

#include "host/report/document.hpp"

namespace melgrad {

inline constexpr double page_width = 595.28;  // A4, in points
inline constexpr double page_height = 841.89;

// Something at its place on a page.
struct Placed {
  int page = 0;
  Box box;  // what it covers
  // One of: lines of a paragraph, or a drawing.
  std::shared_ptr<const Paragraph> paragraph;
  int first_line = 0;
  int end_line = 0;
  Colour colour = palette::black;
  std::shared_ptr<const Drawing> drawing;
};

struct Pages {
  int n_pages = 0;
  std::vector<Placed> placed;
  std::vector<std::string> left_out;  // names of the figures that the pages have no room for
};

// On two pages where they fit, in smaller type if need be; else on three, without the last figures that do
// not fit there.
Pages lay_out(const Document& document);

// The bytes of a PDF. The same document makes the same bytes.
std::string pdf_bytes(const Document& document, const Pages& pages);

}  // namespace melgrad
