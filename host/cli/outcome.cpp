#include "host/cli/outcome.hpp"

#include <algorithm>

#include "host/audio/utf8.hpp"
#include "host/core/date.hpp"
#include "host/report/terminal.hpp"

namespace melgrad {

Results begin_results(const CommonOptions& common, const MadeEngine& made, Json options) {
  Results results;
  results.version = MELGRAD_VERSION;
  results.date = utc_date();
  results.device = made.engine->name();
  results.device_description = made.engine->description();
  results.device_choice = made.choice;
  results.options = {{"command_line", as_utf8(common.command_line)}};
  results.options.update(options);
  results.random_state = common.random_state;
  return results;
}

int report_results(const Results& results, Console& console) {
  if (console.json())
    console.result(results_file_text(results));
  else
    console.result(results_text(results, console.style()));
  const bool refused =
      !results.dataset.refused.empty() || (results.own && !results.own->refused.empty()) ||
      std::ranges::any_of(results.models, [](const auto& each) { return !each.refused.empty(); });
  return refused ? exit_refused : exit_done;
}

}  // namespace melgrad
