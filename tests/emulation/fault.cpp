#include "fault.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <span>
#include <vector>

#include "block.hpp"

extern "C" const char __executable_start;  // by the linker: where the program lies in memory

namespace melgrad::emulation {
namespace {

std::string file_of(std::string_view path) {
  return std::string(path.substr(path.find_last_of('/') + 1));
}

// Lines that addr2line prints for each address: function, then file:line, for each inlined frame from inside
// out. One process for all: it reads the program's symbols anew each time.
using Lines = std::vector<std::string>;
std::vector<Lines> symbolize(std::span<const void* const> addresses) {
  std::vector<Lines> lines(addresses.size());
  std::array<char, 4096> program{};
  const ssize_t length = readlink("/proc/self/exe", program.data(), program.size() - 1);
  if (length <= 0) return lines;
  // A position-independent program is linked at 0, any other where it runs.
  const auto start = reinterpret_cast<std::uintptr_t>(&__executable_start);
  std::string command = fmt::format("addr2line -e '{}' -a -f -C -i", program.data());
  for (const void* address : addresses)
    command +=
        fmt::format(" {:#x}", reinterpret_cast<std::uintptr_t>(address) - (start > 0x10000000 ? start : 0));
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (!pipe) return lines;
  std::array<char, 4096> line{};
  std::size_t n_begun = 0;  // -a prints each address before its lines
  while (std::fgets(line.data(), line.size(), pipe)) {
    std::string text(line.data());
    text.pop_back();  // the newline
    if (text.starts_with("0x"))
      ++n_begun;
    else if (n_begun > 0 && n_begun <= lines.size())
      lines[n_begun - 1].push_back(std::move(text));
  }
  pclose(pipe);
  return lines;
}
Lines symbolize(const void* address) {
  return symbolize(std::span(&address, 1)).front();
}

bool is_emulator_header(std::string_view line) {
  return line.find("tests/emulation/") != line.npos &&
         (line.find("device_functions.hpp") != line.npos || line.find("math_functions.hpp") != line.npos ||
          line.find("half_types.hpp") != line.npos || line.find("cuda_types.hpp") != line.npos);
}

// Cuts "void melgrad::emulated::scan<float>(float*)" down to "scan<float>".
std::string short_name(std::string name) {
  int depth = 0;
  std::size_t begin = 0, end = name.size();
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name.compare(i, 21, "(anonymous namespace)") == 0) {
      i += 20;
      continue;
    }
    const char c = name[i];
    if (c == '<') ++depth;
    if (c == '>') --depth;
    if (depth > 0) continue;
    if (c == '(') {
      end = i;
      break;
    }
    if (c == ' ' || c == ':') begin = i + 1;
  }
  return name.substr(begin, end - begin);
}

}  // namespace

std::string describe(const Site& site) {
  return fmt::format("{}:{}", file_of(site.file_name()), site.line());
}

namespace {

std::string code_line(const void* address, const Lines& lines) {
  std::string text;
  for (std::size_t i = 1; i < lines.size(); i += 2) {
    if (lines[i].starts_with("??")) break;
    text = file_of(lines[i].substr(0, lines[i].find(" (discriminator")));
    if (!is_emulator_header(lines[i])) break;
  }
  return text.empty() ? fmt::format("{}", address) : text;
}

}  // namespace

std::vector<std::string> code_lines(std::span<const void* const> addresses) {
  static std::map<const void*, std::string> known;
  std::vector<const void*> unknown, calls;
  for (const void* address : addresses) {
    if (known.contains(address)) continue;
    unknown.push_back(address);
    calls.push_back(static_cast<const char*>(address) - 1);  // the call, not what follows it
  }
  const std::vector<Lines> lines = unknown.empty() ? std::vector<Lines>() : symbolize(calls);
  for (std::size_t i = 0; i < unknown.size(); ++i) known[unknown[i]] = code_line(unknown[i], lines[i]);
  std::vector<std::string> result;
  for (const void* address : addresses) result.push_back(known.at(address));
  return result;
}

std::string code_line(const void* address) {
  return code_lines(std::span(&address, 1)).front();
}

std::string function_name(const void* address) {
  static std::map<const void*, std::string> known;
  const auto [found, is_new] = known.try_emplace(address);
  if (!is_new) return found->second;
  const auto lines = symbolize(address);
  const bool is_known = !lines.empty() && !lines.front().starts_with("??");
  found->second = is_known ? short_name(lines.front()) : fmt::format("{}", address);
  return found->second;
}

void fault(const std::string& message) {
  if (running_thread()) stop_block(fmt::format("{}: {}", describe_running_thread(), message));
  throw Fault(message);
}

}  // namespace melgrad::emulation
