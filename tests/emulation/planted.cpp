#include "planted.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace melgrad::emulation {

std::string fault_of(const Planted& planted) {
  try {
    Session session(planted.options);
    planted.body();
    session.finish();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

std::string death_of(const Planted& planted) {
  std::fflush(nullptr);
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::runtime_error("pipe");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    const std::string fault = fault_of(planted);
    std::fprintf(stderr, "lived on, and said: %s\n", fault.c_str());
    std::fflush(stderr);
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t n = 0; (n = read(ends[0], part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : text;
}

bool matches(const std::string& text, const std::string& pattern) {
  std::size_t at = 0, begin = 0;
  while (begin <= pattern.size()) {
    const std::size_t end = std::min(pattern.find('*', begin), pattern.size());
    const std::string part = pattern.substr(begin, end - begin);
    const std::size_t found = text.find(part, at);
    if (found == text.npos) return false;
    at = found + part.size();
    begin = end + 1;
  }
  return true;
}

void check_planted(std::span<const Planted> table) {
  int n_claimed = 0;
  for (const Planted& planted : table) {
    if (!is_claimed(planted.how)) continue;
    ++n_claimed;
    const bool ends = planted.how == Caught::with_asan || planted.how == Caught::by_end;
    const std::string said = ends ? death_of(planted) : fault_of(planted);
    CHECK_MESSAGE(matches(said, planted.message),
                  planted.sentence << "\n  expected: " << planted.message
                                   << "\n  said:     " << (said.empty() ? "nothing" : said));
  }
  MESSAGE(n_claimed << " of " << table.size() << " planted faults concern this program");
}

}  // namespace melgrad::emulation
