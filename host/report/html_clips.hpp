#pragma once

#include <filesystem>
#include <string>

#include "host/report/results.hpp"

namespace melgrad {

// The clips that the first model got wrong, those first of which it was surest, as a section of report.html.
// Where a clip is found it is linked relative to `folder`, and playable.
std::string mistakes_html(const Results& results, const std::filesystem::path& folder);

}  // namespace melgrad
