#include "host/cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace melgrad {
namespace {

// Levenshtein's distance, where two neighbours that changed places count 1 (optimal string alignment).
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

HelpFormatter::HelpFormatter() {
  column_width(34);
  label("Positionals", "Arguments");
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  const std::string type = option->get_type_name();
  return option->get_positional() || type.empty() ? "" : " " + type;
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  std::string text = option->get_description();
  if (!option->get_default_str().empty()) text += fmt::format(" ({})", option->get_default_str());
  return text;
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string /*name*/) const {
  const bool is_program = app->get_parent() == nullptr;
  std::string usage = is_program ? "melgrad COMMAND" : fmt::format("melgrad {}", app->get_name());
  for (const CLI::Option* option : app->get_options()) {
    if (!option->get_positional()) {
      if (option->get_required()) usage += fmt::format(" {} {}", option->get_name(), option->get_type_name());
      continue;
    }
    usage += " " + option->get_name(true) + (option->get_expected_max() > 1 ? "..." : "");
  }
  return fmt::format("\nUsage: {} [OPTIONS]\n", usage);
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  return app->get_footer().empty() ? "" : "\n" + app->get_footer() + "\n";
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const {
  std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
  // One empty line between groups, whatever CLI11's version puts there.
  for (std::size_t at = help.find("\n\n\n"); at != std::string::npos; at = help.find("\n\n\n", at))
    help.erase(at, 1);
  return help;
}

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& each : known) {
    // What was begun and not finished is near, too: "--hidden" for "--hidden-layer-sizes".
    const bool begun = word.size() >= 4 && each.starts_with(word);
    const std::size_t distance = begun ? 1 : edit_distance(word, each);
    if (distance < least) {
      least = distance;
      best = each;
    }
  }
  return best;
}

std::string explain_unexpected(const CLI::App& app, const std::vector<std::string>& unexpected) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  for (const std::string& argument : unexpected) {
    if (!argument.starts_with('-')) continue;
    const std::string word = argument.substr(0, argument.find('='));
    const std::string suggestion = nearest(word, known);
    return fmt::format("unknown option {}{}", word,
                       suggestion.empty() ? "" : ": did you mean " + suggestion + "?");
  }
  return fmt::format("unexpected argument '{}'", unexpected.empty() ? "" : unexpected.front());
}

}  // namespace melgrad
