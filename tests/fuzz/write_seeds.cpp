// Writes FOLDER/TARGET/NUMBER for each seed of each target.

#include <cstdio>
#include <filesystem>
#include <string>

#include "fuzz/targets.hpp"
#include "support/audio_files.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  for (const melgrad::fuzz::Target& target : melgrad::fuzz::targets()) {
    int number = 0;
    for (const std::string& seed : target.seeds())
      melgrad::test::write_bytes(std::filesystem::path(argv[1]) / target.name / std::to_string(number++),
                                 seed);
  }
  return 0;
}
