// The CUDA engine's feature extractor against the CPU engine's and against foreign truth: emulated, or on a GPU.

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "host/cpu/cpu_features.hpp"
#include "kernels/cuda_feature_extractor.hpp"
#include "session.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_features.hpp"
#include "support/reference_features.hpp"

namespace melgrad {
namespace {

using namespace testing;
namespace gpu = emulated;

TEST_SUITE("gpu_features") {
  TEST_CASE("first try") {
    FeatureSpec spec = feature_spec("notebook");
    const FeaturePlan plan = make_feature_plan(spec, 48000);
    const Clips clips(48000, test_sound(20000, 3));
    const auto cpu = make_cpu_feature_extractor(plan, 1);
    const auto truth = rows_of(*cpu, plan, clips);
    emulation::Session session;
    {
      const auto extractor = gpu::make_cuda_feature_extractor(plan);
      const auto rows = rows_of(*extractor, plan, clips);
      for (Index i = 0; i < plan.n_features; ++i)
        if (i < 16 || i % 10 == 0) MESSAGE(i << " " << truth(0, i) << " " << rows(0, i));
    }
    session.finish();
  }
}

}  // namespace
}  // namespace melgrad
