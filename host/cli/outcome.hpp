#pragma once
// How commands that evaluate end: with Results, as JSON or as text.

#include "host/cli/options.hpp"
#include "host/report/results.hpp"

namespace melgrad {

// Results with everything but the data and the models.
Results begin_results(const CommonOptions& common, const MadeEngine& made, Json options);

// On stdout; the exit status tells whether inputs were refused.
int report_results(const Results& results, Console& console);

}  // namespace melgrad
