// melgrad: from labelled recordings to features, trained classifiers and their evaluation.

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "host/cli/commands.hpp"
#include "host/cli/help.hpp"
#include "host/core/error.hpp"

namespace melgrad {
namespace {

constexpr const char* examples = R"(Examples:
  melgrad run recordings/                    the whole job: features, models, evaluation
  melgrad run recordings/ --own mine/        and the model's trial on recordings of your own
  melgrad predict results/model.h5 a.wav     what the model makes of a recording
  melgrad COMMAND --help                     the options of a command

DATA is a folder of recordings (WAV, FLAC, OGG, MP3...): RAVDESS names are recognised, otherwise each
file's folder is its label, or --pattern says what file names hold; or it is a CSV file with a header
and the columns path,label[,group][,split].

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done, but some inputs were refused (each is named),
130 interrupted (143 by SIGTERM): the same command goes on; 141 nobody reads stdout.)";

int fail_parse(const std::string& message, const std::string& help_command) {
  fmt::print(stderr, "melgrad: {}\n({} shows what there is)\n", message, help_command);
  return exit_usage;
}

// A word that is no command: what was meant?
int unknown_command(const std::string& word, const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.app->get_name());
  const std::string suggestion = nearest(word, names);
  const std::string kind = word.starts_with('-') ? "a command comes first, not" : "unknown command";
  return fail_parse(
      fmt::format("{} '{}'{}", kind, word, suggestion.empty() ? "" : ": did you mean '" + suggestion + "'?"),
      "melgrad --help");
}

int run_command(const Command& command, const CommonOptions& common) {
  Console console(common);
  try {
    return command.run(console);
  } catch (const UsageError& error) {
    console.error(error.what());
    return exit_usage;
  } catch (const Interrupted&) {
    return console.interrupted_status();
  } catch (const ClosedPipe&) {
    return exit_closed_pipe;
  } catch (const std::bad_alloc&) {
    console.error("out of memory");
  } catch (const std::exception& error) {
    console.error(error.what());
  }
  return exit_failed;
}

// What a shell would have to be given.
std::string shell_line(int argc, const char* const* argv) {
  std::string line = "melgrad";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789-_=+:,./@%") == std::string_view::npos;
    line += ' ';
    if (plain) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

int run_program(int argc, const char* const* argv) {
  CLI::App program("melgrad " MELGRAD_VERSION
                   ": from labelled recordings to trained, honestly evaluated classifiers.");
  program.formatter(std::make_shared<HelpFormatter>());
  program.footer(examples);
  program.set_help_flag("-h,--help", "this help");
  program.set_help_all_flag("--help-all", "the help of every command");
  program.set_version_flag("--version", "melgrad " MELGRAD_VERSION, "the version");
  CommonOptions common;
  common.command_line = shell_line(argc, argv);
  const std::vector<Command> commands = {make_run_command(program, common),
                                         make_extract_command(program, common),
                                         make_train_command(program, common),
                                         make_evaluate_command(program, common),
                                         make_predict_command(program, common),
                                         make_export_command(program, common),
                                         make_sweep_command(program, common),
                                         make_merge_command(program, common),
                                         make_validation_curve_command(program, common),
                                         make_learning_curve_command(program, common),
                                         make_report_command(program, common),
                                         make_info_command(program, common),
                                         make_bench_command(program, common),
                                         make_generate_command(program, common)};

  if (argc < 2) {
    fmt::print(stderr, "{}", program.help());
    return exit_usage;
  }
  const std::string first = argv[1];
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& each) { return each.app->get_name() == first; });
  const bool is_program_option =
      first == "-h" || first == "--help" || first == "--help-all" || first == "--version";
  if (command == commands.end() && !is_program_option) return unknown_command(first, commands);
  const CLI::App& parsed = command == commands.end() ? program : *command->app;
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return program.exit(wanted);
  } catch (const CLI::ExtrasError&) {
    return fail_parse(explain_unexpected(parsed, parsed.remaining()),
                      fmt::format("melgrad {} --help", first));
  } catch (const CLI::ParseError& error) {
    return fail_parse(error.what(), fmt::format("melgrad {} --help", first));
  }
  return run_command(*command, common);
}

}  // namespace
}  // namespace melgrad

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a pipe that is closed shows where it is written to
  try {
    return melgrad::run_program(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "melgrad: {}\n", error.what());
    return melgrad::exit_failed;
  }
}
