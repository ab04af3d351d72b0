#pragma once
// The program's options as data, for what is generated from them: the manual page and the shells'
// completions.

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace melgrad {

struct OptionText {
  std::vector<std::string> names;    // "-o", "--output"; of an argument, its one name
  std::string type;                  // "auto|cpu|cuda|cuda:N", "DIR"; empty for a flag
  std::string description;           // with its default
  std::string group;                 // "Common options"
  std::vector<std::string> choices;  // words that may stand there, where the type names them
  bool takes_file = false;
};

struct CommandText {
  std::string name;
  std::string description;
  std::string usage;                  // "melgrad extract DATA --output FEATURES.h5 [OPTIONS]"
  std::string footer;                 // examples and notes
  std::vector<OptionText> arguments;  // in order
  std::vector<OptionText> options;    // those that the help shows, group by group
};

// Of every command that the help shows, in its order.
std::vector<CommandText> command_texts(const CLI::App& program);

// melgrad(1) in the man macros. `version` as "melgrad 0.1.0".
std::string man_page(const CLI::App& program, const std::string& version);

std::string bash_completion(const CLI::App& program);
std::string zsh_completion(const CLI::App& program);
std::string fish_completion(const CLI::App& program);

}  // namespace melgrad
