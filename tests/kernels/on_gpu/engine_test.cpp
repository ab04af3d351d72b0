// The CUDA engine on the GPUs of this machine; skipped, and not passed, where there is none.

#include <doctest/doctest.h>

#include <string>

#include "host/engine/cuda_status.hpp"
#include "host/engine/engine.hpp"

using namespace melgrad;

TEST_SUITE("gpu_engine") {
  TEST_CASE("every usable device passes its self-check and is found by its name") {
    const CudaStatus cuda = cuda_status();
    if (!cuda.why_not.empty()) {
      MESSAGE("skipped: no GPU: " << cuda.why_not);
      return;
    }
    for (const CudaDevice& device : cuda.devices) {
      if (!device.why_not.empty()) continue;
      const std::string name = "cuda:" + std::to_string(device.index);
      CHECK(make_engine(name, {}).engine->name() == name);
    }
    CHECK(make_engine("auto", {}).engine->name().starts_with("cuda:"));
  }
}
