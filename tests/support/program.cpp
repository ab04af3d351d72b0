#include "support/program.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "support/audio_files.hpp"

namespace melgrad::test {
namespace {

// In the child: only async-signal-safe calls until exec.
[[noreturn]] void become_program(char* const* arguments, const char* out, const char* err,
                                 const ProgramOptions& options) {
  const int in_file = open("/dev/null", O_RDONLY);
  const int out_file = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err_file = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  bool ready = dup2(in_file, 0) == 0 && dup2(out_file, 1) == 1 && dup2(err_file, 2) == 2;
  if (!options.working_folder.empty()) ready = ready && chdir(options.working_folder.c_str()) == 0;
  if (options.without_root_access && geteuid() == 0)
    for (const int capability : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH})
      ready = ready && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;
  if (ready) execv(arguments[0], arguments);
  _exit(126);
}

}  // namespace

ProgramRun run_melgrad(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  const TemporaryFolder folder;
  const std::string out =
      options.stdout_file.empty() ? (folder / "out").string() : options.stdout_file.string();
  const std::string err = (folder / "err").string();
  std::vector<std::string> words = {MELGRAD_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) become_program(argv.data(), out.c_str(), err.c_str(), options);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid failed");
  ProgramRun run;
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (options.stdout_file.empty()) run.out = read_bytes(out);
  run.err = read_bytes(err);
  return run;
}

}  // namespace melgrad::test
