#include <fmt/format.h>

#include <algorithm>

#include "host/cli/documentation.hpp"

namespace melgrad {
namespace {

constexpr const char* common_group = "Common options";

constexpr const char* environment = R"(.SH ENVIRONMENT
.TP
.B MELGRAD_SIMD
.B avx2
or
.B baseline
take a lesser instruction set than the processor has.
.TP
.B CUDA_VISIBLE_DEVICES
GPUs that may be used, as for every CUDA program.
.TP
.BR OMPI_COMM_WORLD_RANK ", " PMI_RANK ", " SLURM_PROCID
and their
.BR _SIZE " or " SLURM_NTASKS :
which of several processes this one is, where
.B \-\-shard
does not say.
)";

constexpr const char* files = R"(.SH FILES
.TP
.I results.json
Everything that
.B melgrad run
found out.
.TP
.I features.h5
A feature cache; while work goes on, with
.IR features.h5.segments ,
and, where several processes share it, with
.IR features.h5.shards .
.TP
.I model.h5
A network with its features, scaling and labels.
)";

// Text in a line of roff.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  // A line that begins with one of these would be a request.
  if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out.insert(0, "\\&");
  return out;
}

// Lines as they stand.
std::string verbatim(const std::string& text) {
  std::string out = ".nf\n";
  for (const std::string& line : CLI::detail::split(text, '\n')) out += escaped(line) + "\n";
  return out + ".fi\n";
}

std::string option_text(const OptionText& option) {
  std::string names;
  for (const std::string& name : option.names)
    names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", escaped(name));
  if (!option.type.empty()) names += fmt::format(" \\fI{}\\fR", escaped(option.type));
  return fmt::format(".TP\n{}\n{}\n", names, escaped(option.description));
}

std::string command_section(const CommandText& command) {
  std::string text =
      fmt::format(".SH \"MELGRAD {}\"\n{}.\n.PP\n\\fB{}\\fR\n", CLI::detail::to_lower(command.name),
                  escaped(command.description), escaped(command.usage));
  for (const OptionText& argument : command.arguments) text += option_text(argument);
  std::string group;
  for (const OptionText& option : command.options) {
    if (option.group == common_group) continue;
    if (option.group != group) text += fmt::format(".SS \"{}\"\n", escaped(group = option.group));
    text += option_text(option);
  }
  return text + ".SS Notes\n" + verbatim(command.footer);
}

}  // namespace

std::string man_page(const CLI::App& program, const std::string& version) {
  const std::vector<CommandText> commands = command_texts(program);
  std::string text = fmt::format(
      ".TH MELGRAD 1 \"\" \"{}\" \"User Commands\"\n.ad l\n.nh\n.SH NAME\n"
      "melgrad \\- from labelled recordings to trained, honestly evaluated classifiers\n"
      ".SH SYNOPSIS\n",
      version);
  for (const CommandText& command : commands)
    text += fmt::format("\\fB{}\\fR\n.br\n", escaped(command.usage));
  text += ".SH DESCRIPTION\n" + verbatim(program.get_footer());
  text += ".SH COMMANDS\n";
  for (const CommandText& command : commands)
    text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", escaped(command.name), escaped(command.description));
  for (const CommandText& command : commands) text += command_section(command);
  text += ".SH \"COMMON OPTIONS\"\nOf every command.\n";
  for (const OptionText& option : commands.front().options)
    if (option.group == common_group) text += option_text(option);
  return text + environment + files;
}

}  // namespace melgrad
