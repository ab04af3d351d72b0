// libFuzzer's entry for the target MELGRAD_FUZZ_TARGET.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>

#include "fuzz/targets.hpp"

namespace {

const melgrad::fuzz::Target& this_target() {
  for (const melgrad::fuzz::Target& target : melgrad::fuzz::targets())
    if (std::strcmp(target.name, MELGRAD_FUZZ_TARGET) == 0) return target;
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const melgrad::fuzz::Target& target = this_target();
  target.run(
      {reinterpret_cast<const char*>(data), size});  // an exception ends the fuzzer, which keeps the input
  return 0;
}
