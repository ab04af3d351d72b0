// The emulator's half of the audit as JSON, for tools/audit: one object for each route of the chroma pass,
// with figures per kernel and, under "sites", what each place in the source asks of memory.

#include <cstdio>
#include <exception>

#include "audit.hpp"
#include "host/core/json.hpp"

namespace melgrad::emulated {
namespace {

const char* const kinds[] = {"read", "write", "atomic"};

Json to_json(const KernelAudit& kernel) {
  const emulation::KernelTrace& trace = kernel.trace;
  Json json = {{"name", trace.name},
               {"launches", trace.launches},
               {"blocks", trace.blocks},
               {"threads", trace.threads},
               {"shared_bytes", trace.max_shared_bytes},
               {"device_bytes", kernel.device_bytes},
               {"useful_share", kernel.useful_share},
               {"global_requests", kernel.global.requests},
               {"global_sectors", kernel.global.sectors},
               {"shared_requests", kernel.shared.requests},
               {"shared_wavefronts", kernel.shared.wavefronts},
               {"least_shared_wavefronts", kernel.shared.least_wavefronts},
               {"sites", Json::array()}};
  for (const emulation::SiteTrace& site : trace.sites)
    json["sites"].push_back({{"code", site.code},
                             {"space", site.is_shared ? "shared" : "global"},
                             {"kind", kinds[static_cast<int>(site.kind)]},
                             {"size", site.access_size},
                             {"requests", site.traffic.requests},
                             {"wavefronts", site.traffic.wavefronts},
                             {"sectors", site.traffic.sectors}});
  return json;
}

Json to_json(const FeatureAudit& audit) {
  Json json = {{"n_clips", audit.n_clips},
               {"n_frames", audit.n_frames},
               {"compulsory_bytes", audit.compulsory_bytes},
               {"device_bytes", audit.device_bytes},
               {"kernels", Json::array()}};
  for (const auto& kernel : audit.kernels) json["kernels"].push_back(to_json(kernel));
  return json;
}

}  // namespace
}  // namespace melgrad::emulated

int main() {
  using namespace melgrad::emulated;
  try {
    const melgrad::Json json = {{"recomputed", to_json(audit_features(ChromaRoute::recomputed))},
                                {"stored", to_json(audit_features(ChromaRoute::stored))}};
    std::puts(json.dump(1).c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "audit: %s\n", error.what());
    return 1;
  }
  return 0;
}
