// The kernels' memory traffic, which needs no GPU to be known, does not grow. tools/audit shows all figures,
// and what is asked for with --check.

#include "audit.hpp"

#include <doctest/doctest.h>

#include <string>

#include "access.hpp"

namespace melgrad::emulated {

TEST_SUITE("kernels_audit") {
  TEST_CASE("device-memory traffic, sectors and bank conflicts stay within their limits") {
    if (!emulation::accesses_are_seen()) {
      MESSAGE("skipped: accesses are counted in kernel_tests_race only");
      return;
    }
    for (const ChromaRoute route : {ChromaRoute::recomputed, ChromaRoute::stored}) {
      const FeatureAudit audit = audit_features(route);
      const double ratio = audit.device_bytes / audit.compulsory_bytes;
      const std::string name = route == ChromaRoute::stored ? "stored" : "recomputed";
      MESSAGE(name << ": " << ratio << " of the compulsory bytes");
      // Samples twice, dB of 128 bands written and read once, and what is small; instead of the second time,
      // magnitudes of 16 bits written and read.
      CHECK(ratio > 1);
      CHECK(ratio <= (route == ChromaRoute::stored ? 6.5 : 3.3));
      int n_passes = 0;
      for (const KernelAudit& kernel : audit.kernels) {
        CAPTURE(name);
        CAPTURE(kernel.trace.name);
        const bool is_pass =
            kernel.trace.name.starts_with("analyse_kernel") || kernel.trace.name.starts_with("chroma_kernel");
        n_passes += is_pass;
        // The others move a tenth of the bytes, or less.
        if (kernel.device_bytes >= 0.1 * audit.compulsory_bytes) CHECK(kernel.useful_share >= 0.9);
        if (is_pass) CHECK(static_cast<double>(kernel.shared.wavefronts) / audit.n_frames <= 555);
      }
      CHECK(n_passes == 2);
    }
  }

  TEST_CASE("speech moves few bytes beyond its tracks") {
    if (!emulation::accesses_are_seen()) {
      MESSAGE("skipped: accesses are counted in kernel_tests_race only");
      return;
    }
    const FeatureAudit audit = audit_speech(0.4);
    const double ratio = audit.device_bytes / audit.compulsory_bytes;
    MESSAGE("speech: " << ratio << " of the compulsory bytes");
    for (const KernelAudit& kernel : audit.kernels) {
      CAPTURE(kernel.trace.name);
      // Of prosody, which reads a few numbers a frame, half a sector of a clip is a share.
      if (kernel.device_bytes >= 0.2 * audit.compulsory_bytes) CHECK(kernel.useful_share >= 0.9);
    }
    // A frame has 160 new samples and 216 floats of tracks, which most kernels read or write.
    CHECK(ratio > 1);
    CHECK(ratio <= 9.5);
  }

  TEST_CASE("training moves whole sectors, and few bytes beyond the compulsory ones") {
    if (!emulation::accesses_are_seen()) {
      MESSAGE("skipped: accesses are counted in kernel_tests_race only");
      return;
    }
    for (const MlpRoute route : {MlpRoute::block, MlpRoute::stack}) {
      const TrainingAudit audit = audit_training(route);
      const double ratio = audit.device_bytes / audit.compulsory_bytes;
      const std::string name = route == MlpRoute::block ? "block" : "stack";
      MESSAGE(name << ": " << ratio << " of the compulsory bytes of a step");
      CHECK(ratio > 0.9);  // the rows of the resident matrix are shared
      CHECK(ratio <= (route == MlpRoute::block ? 2.0 : 4.0));
      for (const KernelAudit& kernel : audit.kernels) {
        CAPTURE(name);
        CAPTURE(kernel.trace.name);
        if (kernel.device_bytes >= 0.1 * audit.compulsory_bytes) CHECK(kernel.useful_share >= 0.9);
      }
    }
  }
}

}  // namespace melgrad::emulated
