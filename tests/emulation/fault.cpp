#include "fault.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <vector>

#include "block.hpp"

extern "C" const char __executable_start;  // by the linker: where the program lies in memory

namespace melgrad::emulation {
namespace {

std::string file_of(std::string_view path) {
  return std::string(path.substr(path.find_last_of('/') + 1));
}

// Lines that addr2line prints for an address: function, then file:line, for each inlined frame from inside
// out.
std::vector<std::string> symbolize(const void* address) {
  std::array<char, 4096> program{};
  const ssize_t length = readlink("/proc/self/exe", program.data(), program.size() - 1);
  if (length <= 0) return {};
  // A position-independent program is linked at 0, any other where it runs.
  const auto start = reinterpret_cast<std::uintptr_t>(&__executable_start);
  const auto offset = reinterpret_cast<std::uintptr_t>(address) - (start > 0x10000000 ? start : 0);
  const std::string command =
      fmt::format("addr2line -e '{}' -f -C -i {:#x} 2>/dev/null", program.data(), offset);
  std::vector<std::string> lines;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return lines;
  std::array<char, 4096> line{};
  while (std::fgets(line.data(), line.size(), pipe)) {
    lines.emplace_back(line.data());
    lines.back().pop_back();  // the newline
  }
  pclose(pipe);
  return lines;
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

std::string code_line(const void* address) {
  static std::map<const void*, std::string> known;
  const auto [found, is_new] = known.try_emplace(address);
  if (!is_new) return found->second;
  std::string& text = found->second;
  const auto lines = symbolize(static_cast<const char*>(address) - 1);  // the call, not what follows it
  for (std::size_t i = 1; i < lines.size(); i += 2) {
    if (lines[i].starts_with("??")) break;
    text = file_of(lines[i].substr(0, lines[i].find(" (discriminator")));
    if (!is_emulator_header(lines[i])) break;
  }
  if (text.empty()) text = fmt::format("{}", address);
  return text;
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
