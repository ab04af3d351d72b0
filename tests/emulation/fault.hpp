#pragma once
// What the emulator says when a kernel or its host code does something that a GPU would not forgive.

#include <cstring>
#include <source_location>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace melgrad::emulation {

using Site = std::source_location;

// One fault ends the work of its Session: later CUDA calls return cudaErrorLaunchFailure, so that destructors
// can run while this travels up.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// For names of operations and files, which are nearly always the very same literal.
inline bool same_text(const char* a, const char* b) {
  return a == b || std::strcmp(a, b) == 0;
}

// "engine.cu:12"
std::string describe(const Site& site);

// "transpose.cu:31" and the like for a code address, by addr2line; "0x4005d0" where that is not installed.
// Frames inlined from the emulator's own headers are skipped.
std::string code_line(const void* address);
// The same for many: addr2line is started once.
std::vector<std::string> code_lines(std::span<const void* const> addresses);

// "transpose<float>" for the address of a kernel: no namespace, no parameters.
std::string function_name(const void* address);

// On a kernel's thread: stops the block and throws on the host, with kernel, block and thread in front of the
// message. On the host: throws.
[[noreturn]] void fault(const std::string& message);

}  // namespace melgrad::emulation
