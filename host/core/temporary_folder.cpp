#include "host/core/temporary_folder.hpp"

#include <stdlib.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "host/core/error.hpp"

namespace melgrad {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "melgrad-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr)
    fail("{}: cannot make a temporary folder: {}", name, std::system_category().message(errno));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a destructor has nobody to tell
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace melgrad
