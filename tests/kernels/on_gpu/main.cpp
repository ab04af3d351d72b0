// Tests of the emulator that run on a GPU; skipped, and not passed, where there is none.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "host/engine/cuda_status.hpp"

int main(int argc, char** argv) {
  const melgrad::CudaStatus cuda = melgrad::cuda_status();
  if (!cuda.why_not.empty()) {
    std::printf("skipped: no GPU: %s\n", cuda.why_not.c_str());
    return 0;
  }
  return doctest::Context(argc, argv).run();
}
