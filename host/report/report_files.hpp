#pragma once
// The report's files.

#include <filesystem>
#include <string>
#include <vector>

#include "host/report/results.hpp"

namespace melgrad {

struct ReportFiles {
  std::filesystem::path pdf;
  std::filesystem::path html;
  std::filesystem::path figures;      // a folder
  std::vector<std::string> warnings;  // figures without room on the pages, names without glyphs
};

// Writes `pdf` and, beside it, the same name with .html and figures/NAME.svg and .png. Each file is whole or
// as it was before; the same results make the same bytes.
ReportFiles write_report(const Results& results, const std::filesystem::path& pdf);

}  // namespace melgrad
