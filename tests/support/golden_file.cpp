#include "support/golden_file.hpp"

#include <fstream>
#include <map>
#include <mutex>
#include <string>

#include "host/core/error.hpp"

namespace melgrad::testing {

const Json& golden_file(const char* name) {
  static std::mutex mutex;
  static std::map<std::string, Json> files;
  const std::lock_guard lock(mutex);
  auto known = files.find(name);
  if (known == files.end()) {
    const std::string file = std::string(MELGRAD_GOLDEN "/") + name;
    std::ifstream stream(file);
    if (!stream) fail("{}: cannot be read", file);
    known = files.emplace(name, Json::parse(stream)).first;
  }
  return known->second;
}

}  // namespace melgrad::testing
