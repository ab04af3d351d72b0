#include "support/golden_file.hpp"

#include <fstream>
#include <string>

#include "host/core/error.hpp"

namespace melgrad::testing {

Json golden_file(const char* name) {
  const std::string file = std::string(MELGRAD_GOLDEN "/") + name;
  std::ifstream stream(file);
  if (!stream) fail("{}: cannot be read", file);
  return Json::parse(stream);
}

}  // namespace melgrad::testing
