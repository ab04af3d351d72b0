#pragma once
// Help that can be read, and suggestions for what was mistyped.

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace melgrad {

// How the program's help looks: defaults at the end of each line, examples at the end.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_footer(const CLI::App* app) const override;
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

// The known word nearest to a mistyped one; empty if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

// Of the options of `app` to the arguments it did not expect: "unknown option --alhpa: did you mean --alpha?"
std::string explain_unexpected(const CLI::App& app, const std::vector<std::string>& unexpected);

}  // namespace melgrad
