#pragma once
// Errors of the world and of the user. Programmers' errors are asserts.

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace melgrad {

// Something that was asked for cannot be done. The message names the value, the limit and the file.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The command line or a specification is wrong: exit status 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

// Calls body(); an error on its way up gets "context: " in front of its message.
template <class Body>
decltype(auto) with_context(std::string_view context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", context, error.what()));
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", context, error.what()));
  }
}

}  // namespace melgrad
