#pragma once
// Runs the program under test as a person would.

#include <filesystem>
#include <string>
#include <vector>

namespace melgrad::test {

struct ProgramRun {
  int status = -1;  // exit status; 128 + signal where one ended it
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::filesystem::path working_folder = {};  // empty: this process's
  std::filesystem::path stdout_file = {};     // empty: captured in ProgramRun::out
  // Root reads everything; without these capabilities it is refused like anybody.
  bool without_root_access = false;
};

// melgrad with these arguments, stdin closed, stderr captured.
ProgramRun run_melgrad(const std::vector<std::string>& arguments, const ProgramOptions& options = {});

}  // namespace melgrad::test
