#pragma once
// The report as one HTML file that loads nothing.

#include <filesystem>
#include <string>

#include "host/report/document.hpp"

namespace melgrad {

// `folder`: where the file is to lie. Clips that are found from here (the data set's name as the run was
// given it, relative to the working folder) are linked relative to that, and playable.
std::string report_html(const Results& results, const Document& document,
                        const std::filesystem::path& folder);

}  // namespace melgrad
