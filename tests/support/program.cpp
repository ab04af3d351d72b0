#include "support/program.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace melgrad::test {
namespace {

// In the child: only async-signal-safe calls until exec.
[[noreturn]] void become_program(char* const* arguments, const char* out, const char* err,
                                 char* const* environment, const ProgramOptions& options) {
  const int in_file = open("/dev/null", O_RDONLY);
  const auto open_file = [](const char* file, bool is_closed_pipe) {
    int ends[2] = {-1, -1};
    if (!is_closed_pipe) return open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (pipe(ends) == 0) close(ends[0]);
    return ends[1];
  };
  const int out_file = open_file(out, options.closed_stdout);
  const int err_file = open_file(err, options.closed_stderr);
  // As from a terminal, whatever started the tests.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(number, SIG_DFL);
  bool ready = dup2(in_file, 0) == 0 && dup2(out_file, 1) == 1 && dup2(err_file, 2) == 2;
  if (!options.working_folder.empty()) ready = ready && chdir(options.working_folder.c_str()) == 0;
  if (options.without_root_access && geteuid() == 0)
    for (const int capability : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH})
      ready = ready && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;
  if (ready) execve(arguments[0], arguments, environment);
  _exit(126);
}

}  // namespace

RunningProgram::RunningProgram(const std::vector<std::string>& arguments, const ProgramOptions& options)
    : out_(options.stdout_file.empty() ? (folder_ / "out").string() : options.stdout_file.string()),
      err_((folder_ / "err").string()),
      captures_stdout_(options.stdout_file.empty() && !options.closed_stdout),
      captures_stderr_(!options.closed_stderr) {
  std::vector<std::string> words = {MELGRAD_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables = options.variables;
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
  environment.push_back(nullptr);
  child_ = fork();
  if (child_ < 0) throw std::runtime_error("fork failed");
  if (child_ == 0) become_program(argv.data(), out_.c_str(), err_.c_str(), environment.data(), options);
}

RunningProgram::~RunningProgram() {
  if (ended_) return;
  kill(child_, SIGKILL);
  waitpid(child_, &status_, 0);
}

bool RunningProgram::runs() {
  if (!ended_) ended_ = waitpid(child_, &status_, WNOHANG) == child_;
  return !ended_;
}

void RunningProgram::send(int signal) {
  if (!ended_) kill(child_, signal);
}

ProgramRun RunningProgram::wait() {
  if (!ended_ && waitpid(child_, &status_, 0) != child_) throw std::runtime_error("waitpid failed");
  ended_ = true;
  ProgramRun run;
  run.status = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  if (captures_stdout_) run.out = read_bytes(out_);
  if (captures_stderr_) run.err = read_bytes(err_);
  return run;
}

ProgramRun run_melgrad(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  return RunningProgram(arguments, options).wait();
}

}  // namespace melgrad::test
