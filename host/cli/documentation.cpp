#include "host/cli/documentation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "host/cli/help.hpp"

namespace melgrad {
namespace {

// "auto|cpu|cuda|cuda:N": the words that stand for themselves. What is in capitals stands for something else.
std::vector<std::string> choices_of(const std::string& type) {
  std::vector<std::string> choices;
  if (type.find('|') == type.npos) return choices;
  for (const std::string& word : CLI::detail::split(type, '|'))
    if (std::ranges::none_of(word, [](unsigned char c) { return std::isupper(c) || c == '.'; }))
      choices.push_back(word);
  return choices;
}

// Numbers, texts and patterns are what the user makes up; anything else in capitals is on the disk.
bool names_a_file(const std::string& type) {
  static const std::vector<std::string> made_up = {"N", "X", "S", "I/N", "TEXT", "PATTERN", "NAME", "VALUES"};
  for (const std::string& word : CLI::detail::split(type, '|')) {
    const bool is_list = word.ends_with(",...");
    const bool is_capital = !word.empty() && std::isupper(static_cast<unsigned char>(word.front()));
    if (!is_list && is_capital && std::ranges::find(made_up, word) == made_up.end()) return true;
  }
  return false;
}

OptionText text_of(const CLI::Option& option) {
  OptionText text;
  if (option.get_positional()) {
    text.names = {option.get_name(true)};
    text.takes_file = true;
  } else {
    for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
    if (option.get_type_size() != 0) text.type = option.get_type_name();
    text.choices = choices_of(text.type);
    text.takes_file = names_a_file(text.type);
  }
  text.description = option.get_description();
  if (!option.get_default_str().empty()) text.description += fmt::format(" ({})", option.get_default_str());
  text.group = option.get_group();
  return text;
}

}  // namespace

std::vector<CommandText> command_texts(const CLI::App& program) {
  std::vector<CommandText> texts;
  for (const CLI::App* app :
       program.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); })) {
    CommandText& text = texts.emplace_back();
    text.name = app->get_name();
    text.description = app->get_description();
    const std::string usage = HelpFormatter().make_usage(app, "");
    const std::string_view title = "Usage: ";
    text.usage = CLI::detail::trim_copy(usage.substr(usage.find(title) + title.size()));
    text.footer = app->get_footer();
    const auto options = app->get_options([](const CLI::Option* each) { return !each->get_group().empty(); });
    for (const CLI::Option* option : options) {
      if (option->get_positional()) text.arguments.push_back(text_of(*option));
    }
    for (const std::string& group : app->get_groups())
      for (const CLI::Option* option : options)
        if (!option->get_positional() && option->get_group() == group)
          text.options.push_back(text_of(*option));
  }
  return texts;
}

}  // namespace melgrad
