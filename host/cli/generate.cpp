// melgrad generate man|bash|zsh|fish: what `cmake --install` puts beside the program.

#include <memory>
#include <string>

#include "host/cli/commands.hpp"
#include "host/cli/documentation.hpp"

namespace melgrad {

Command make_generate_command(CLI::App& program, CommonOptions&) {
  CLI::App& app = add_command(program, "generate", "the manual page, or a shell's completion",
                              "  melgrad generate man | man -l -\n"
                              "  source <(melgrad generate bash)");
  app.group("");  // installing does it; it would only make the list of commands longer
  auto what = std::make_shared<std::string>();
  app.add_option("WHAT", *what, "man, bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"man", "bash", "zsh", "fish"}));
  app.set_help_flag("-h,--help", "this help");
  return {&app, [what, &program](Console& console) {
            console.result(*what == "man"    ? man_page(program, "melgrad " MELGRAD_VERSION)
                           : *what == "bash" ? bash_completion(program)
                           : *what == "zsh"  ? zsh_completion(program)
                                             : fish_completion(program));
            return static_cast<int>(exit_done);
          }};
}

}  // namespace melgrad
