// The emulator's half of the audit as JSON, for tools/audit: one object for each route of the chroma pass and
// of training, with figures per kernel and, under "sites", what each place in the source asks of memory; and
// the projections of kernels/mlp_routes.hpp for the notebook's grid.

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

Json to_json(const TrainingAudit& audit) {
  Json json = {{"n_models", audit.n_models},
               {"compulsory_bytes", audit.compulsory_bytes},
               {"device_bytes", audit.device_bytes},
               {"kernels", Json::array()}};
  for (const auto& kernel : audit.kernels) json["kernels"].push_back(to_json(kernel));
  return json;
}

// Seconds of the notebook's 3600 fits, 720 of each architecture in ten folds, at 200 epochs each.
Json project_grid() {
  Json json = Json::array();
  for (const std::vector<int>& hidden :
       std::vector<std::vector<int>>{{8}, {180}, {300}, {100, 50}, {10, 10, 10}}) {
    MlpShape shape{{180}, 1036, 256};
    shape.units.insert(shape.units.end(), hidden.begin(), hidden.end());
    shape.units.push_back(8);
    Json row = {{"hidden_layer_sizes", hidden},
                {"graph_nodes", n_steps(shape) * stack_step_nodes(shape) + 1},
                {"boards", Json::object()}};
    for (const GpuRates& gpu : {a100, h100, rtx4090})
      row["boards"][std::string(gpu.name)] = {{"block", 200e-6 * block_epoch_us(gpu, shape, 720)},
                                              {"stack", 200e-6 * stack_epoch_us(gpu, shape, 720)}};
    json.push_back(std::move(row));
  }
  return json;
}

}  // namespace
}  // namespace melgrad::emulated

int main() {
  using namespace melgrad::emulated;
  try {
    using melgrad::MlpRoute;
    const melgrad::Json json = {{"features",
                                 {{"recomputed", to_json(audit_features(ChromaRoute::recomputed))},
                                  {"stored", to_json(audit_features(ChromaRoute::stored))}}},
                                {"speech", to_json(audit_speech(3.7))},
                                {"training",
                                 {{"block", to_json(audit_training(MlpRoute::block))},
                                  {"stack", to_json(audit_training(MlpRoute::stack))}}},
                                {"grid", project_grid()}};
    std::puts(json.dump(1).c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "audit: %s\n", error.what());
    return 1;
  }
  return 0;
}
