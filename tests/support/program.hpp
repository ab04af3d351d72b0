#pragma once
// Runs the program under test as a person would.

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/audio_files.hpp"

namespace melgrad::test {

struct ProgramRun {
  int status = -1;  // exit status; 128 + signal where one ended it
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::filesystem::path working_folder = {};  // empty: this process's
  std::filesystem::path stdout_file = {};     // empty: captured in ProgramRun::out
  std::vector<std::string> variables = {};    // "NAME=VALUE", besides this process's environment
  // Root reads everything; without these capabilities it is refused like anybody.
  bool without_root_access = false;
  // Pipes that nobody reads any more.
  bool closed_stdout = false;
  bool closed_stderr = false;
};

// melgrad with these arguments, stdin closed, stderr captured, while it runs.
class RunningProgram {
 public:
  explicit RunningProgram(const std::vector<std::string>& arguments, const ProgramOptions& options = {});
  // Ends the program if it still runs.
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  bool runs();
  void send(int signal);
  ProgramRun wait();

 private:
  TemporaryFolder folder_;
  std::string out_, err_;
  bool captures_stdout_;
  bool captures_stderr_;
  pid_t child_;
  int status_ = 0;
  bool ended_ = false;
};

// The same, to its end.
ProgramRun run_melgrad(const std::vector<std::string>& arguments, const ProgramOptions& options = {});

}  // namespace melgrad::test
