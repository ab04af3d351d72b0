#pragma once
// Faults planted on purpose: a table of them is a list of what the emulator claims to catch.

#include <doctest/doctest.h>

#include <functional>
#include <span>
#include <string>

#include "access.hpp"
#include "sanitizer.hpp"
#include "session.hpp"

namespace melgrad::emulation {

enum class Caught {
  always,       // by every program
  with_access,  // where accesses are seen: the race program
  with_asan,    // by AddressSanitizer, which ends the program
  by_end,       // by every program, which ends
};

struct Planted {
  std::string sentence;
  Caught how;
  std::string message;  // what the fault must say; "*" stands for anything
  std::function<void()> body;
  Options options = {};
};

inline bool is_claimed(Caught how) {
  switch (how) {
    case Caught::always:
      return true;
    case Caught::with_access:
      return accesses_are_seen();
    case Caught::with_asan:
      return has_asan;
    case Caught::by_end:
      return true;
  }
  return false;
}

// What is said about `body`, run in a Session; empty: nothing is wrong with it.
std::string fault_of(const Planted& planted);
// The same in a process of its own, for what ends it: its standard error, if it failed.
std::string death_of(const Planted& planted);

// Whether the parts of `pattern` between its "*" occur in `text`, in that order.
bool matches(const std::string& text, const std::string& pattern);

// One case of doctest for a table.
void check_planted(std::span<const Planted> table);

}  // namespace melgrad::emulation
