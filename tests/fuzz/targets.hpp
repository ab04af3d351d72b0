#pragma once
// Every reader of foreign bytes, as a function of those bytes. Whatever they are, a target returns: what it
// read is sound, or the reader threw an Error. Anything else (another exception, a failed check, a
// sanitizer's finding, a crash, minutes of work, gigabytes of memory) is a bug.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace melgrad::fuzz {

struct Target {
  const char* name;
  void (*run)(std::string_view bytes);
  // Good inputs of every kind: what the fuzzer begins with.
  std::vector<std::string> (*seeds)();
};

std::span<const Target> targets();

}  // namespace melgrad::fuzz
