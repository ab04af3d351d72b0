#include "audit.hpp"

#include <span>

#include "host/engine/speech_division.hpp"
#include "kernels/cuda_mlp_stack.hpp"
#include "kernels/cuda_speech_extractor.hpp"
#include "session.hpp"
#include "support/feature_clips.hpp"
#include "support/mlp_problem.hpp"

namespace melgrad::emulated {
namespace {

using emulation::KernelTrace;

std::vector<KernelTrace> trace_kernels(const FeaturePlan& plan, Index n_samples, int n_clips,
                                       const CudaFeatureOptions& options) {
  testing::Clips<std::int16_t> clips(plan.sample_rate);
  for (int clip = 0; clip < n_clips; ++clip)
    clips.add(testing::test_sound(n_samples, static_cast<std::uint32_t>(clip)));
  emulation::Session session({.trace = true});
  {
    Matrix<float> rows(n_clips, plan.n_features);
    const auto extractor =
        plan.speech ? make_cuda_speech_extractor(plan, options) : make_cuda_feature_extractor(plan, options);
    extractor->extract(clips.batch(), rows.view());
  }
  std::vector<KernelTrace> kernels = session.kernel_traces();
  session.finish();
  return kernels;
}

double device_bytes(const KernelTrace& kernel) {
  return 32.0 * static_cast<double>(kernel.unique_sectors_read + kernel.unique_sectors_written);
}

KernelAudit audit_kernel(const KernelTrace& one_clip, const KernelTrace& clips, int n_clips) {
  KernelAudit audit{.trace = clips, .global = {}, .shared = {}};
  audit.device_bytes = (device_bytes(clips) - device_bytes(one_clip)) / (n_clips - 1);
  audit.useful_share = static_cast<double>(clips.unique_bytes) / device_bytes(clips);
  for (const auto& traffic : {clips.global_read, clips.global_write, clips.global_atomic})
    audit.global += traffic;
  for (const auto& traffic : {clips.shared_read, clips.shared_write, clips.shared_atomic})
    audit.shared += traffic;
  return audit;
}

FeatureAudit audit(const FeaturePlan& plan, Index n_samples, const CudaFeatureOptions& options) {
  FeatureAudit audit{.n_clips = 3, .kernels = {}};
  audit.n_frames = static_cast<double>(audit.n_clips * plan.n_frames(n_samples));
  audit.compulsory_bytes = 2.0 * static_cast<double>(n_samples) + 4.0 * static_cast<double>(plan.n_features);
  const auto one_clip = trace_kernels(plan, n_samples, 1, options);
  const auto clips = trace_kernels(plan, n_samples, audit.n_clips, options);
  for (std::size_t i = 0; i < clips.size(); ++i) {  // the same kernels, in order of names
    audit.kernels.push_back(audit_kernel(one_clip.at(i), clips[i], audit.n_clips));
    audit.device_bytes += audit.kernels.back().device_bytes;
  }
  return audit;
}

std::vector<KernelTrace> trace_training(const testing::MlpProblem& problem, const MlpSpec& spec, int n_models,
                                        MlpRoute route) {
  emulation::Session session({.trace = true});
  {
    const std::vector<MlpJob> jobs(static_cast<std::size_t>(n_models), problem.job(spec));
    make_cuda_mlp_stack(problem.training_set(), jobs, {.route = route, .norm = NormRoute::own})->train(1);
  }
  std::vector<KernelTrace> kernels = session.kernel_traces();
  session.finish();
  std::erase_if(kernels, [](const KernelTrace& kernel) { return kernel.name == "gemm_kernel"; });
  return kernels;
}

}  // namespace

FeatureAudit audit_features(ChromaRoute chroma) {
  const FeaturePlan plan = make_feature_plan(feature_spec("notebook"), 48000);
  return audit(plan, 37 * 4800, {.chroma = chroma});
}

FeatureAudit audit_speech(double duration_s) {
  FeatureSpec spec = feature_spec("speech");
  Speech speech;
  std::erase_if(speech.groups, [](SpeechGroup group) { return !has_kernels(group); });
  spec.descriptors = {{speech, {}}};
  return audit(make_feature_plan(spec, speech_sample_rate),
               static_cast<Index>(duration_s * speech_sample_rate), {});
}

TrainingAudit audit_training(MlpRoute route) {
  TrainingAudit audit{.n_models = 3, .shape = {{180, 100, 50, 8}, 128, 128}, .kernels = {}};
  const testing::MlpProblem problem(audit.shape.n_rows, audit.shape.units.front(), audit.shape.units.back());
  const MlpSpec spec{.hidden_layer_sizes = {100, 50}, .batch_size = audit.shape.batch_size};
  audit.compulsory_bytes = 4 * (6 * routes::parameters(audit.shape.units) +
                                (audit.shape.units.front() + 1.0) * audit.shape.n_rows);
  const auto one = trace_training(problem, spec, 1, route);
  const auto several = trace_training(problem, spec, audit.n_models, route);
  for (std::size_t i = 0; i < several.size(); ++i) {  // the same kernels, in order of names
    audit.kernels.push_back(audit_kernel(one.at(i), several[i], audit.n_models));
    audit.device_bytes += audit.kernels.back().device_bytes;
  }
  return audit;
}

}  // namespace melgrad::emulated
