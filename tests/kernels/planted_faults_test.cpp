// Every synchronisation of these kernels and of the engine around them is needed, and the emulator notices
// where one is missing: each is left out once, each mask and each array is made too short once, and each time
// there has to be a fault, or a result that is not the right one.

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gpu_session.hpp"
#include "host/core/error.hpp"
#include "kernels/cuda_mlp_stack.hpp"
#include "sabotage.hpp"
#include "support/feature_clips.hpp"
#include "support/mlp_problem.hpp"

namespace melgrad::emulated {
namespace {

using emulation::Sabotage;
using emulation::SabotagedPlace;
using emulation::Saboteur;

constexpr std::array<const char*, 7> kinds = {"",
                                              "no __syncthreads",
                                              "no __syncwarp",
                                              "a lane short in the mask",
                                              "shared array too short",
                                              "memory short",
                                              "call left out"};

// A piece of work and its results, as floats.
using Work = std::function<std::vector<float>()>;

// Everything that features are made of, of batches that are cut into parts, so that both slots are used
// twice.
std::vector<float> features(TransformRoute transform, ChromaRoute chroma) {
  const FeatureSpec spec{.name = "planted",
                         .stft = {.n_fft = 256, .hop_length = 100},
                         .descriptors = {{ChromaStft{}, {Functional::mean, Functional::std}},
                                         {MelSpectrogram{.n_mels = 20}, {Functional::mean}},
                                         {MelSpectrogram{.n_mels = 10, .power = 1}, {Functional::std}},
                                         {Rms{}, {Functional::mean}},
                                         {Mfcc{.n_mfcc = 5, .n_mels = 20}, {Functional::mean}}}};
  const FeaturePlan plan = make_feature_plan(spec, 16000);
  testing::Clips<std::int16_t> clips(16000);
  for (std::uint32_t clip = 0; clip < 4; ++clip) clips.add(testing::test_sound(300 + 90 * clip, clip));
  CudaFeatureOptions options;
  options.device_bytes = std::size_t{4} << 20;
  options.part_bytes = 1;  // a part for each clip
  options.transform = transform;
  options.chroma = chroma;
  Matrix<float> rows(4, plan.n_features);
  make_cuda_feature_extractor(plan, options)->extract(clips.batch(), rows.view());
  return rows.values;
}

// Two epochs of two models, one of which stops early; every kernel of the route.
std::vector<float> training(MlpRoute route, NormRoute norm, bool batch_norm) {
  testing::MlpProblem problem(14, 5, 3);
  problem.validation_rows.assign(problem.rows.begin() + 11, problem.rows.end());
  problem.rows.resize(11);
  MlpSpec spec{.hidden_layer_sizes = {7, 5},
               .activation = Activation::gelu,
               .alpha = 0.01,
               .batch_size = 6,
               .learning_rate_init = 0.01,
               .random_state = 3,
               .early_stopping = true};
  spec.dropout = 0.2;
  spec.mixup = 0.3;
  spec.batch_norm = batch_norm;
  const std::vector<MlpJob> jobs(2, problem.job(spec));
  const auto stack = make_cuda_mlp_stack(problem.training_set(), jobs, {.route = route, .norm = norm});
  stack->train(2);
  std::vector<float> results;
  for (int model = 0; model < 2; ++model) {
    Matrix<float> probabilities(14, 3);
    stack->predict_proba(model, problem.view(), probabilities.view());
    results.insert(results.end(), probabilities.values.begin(), probabilities.values.end());
    for (const double loss : stack->progress(model).loss_curve) results.push_back(static_cast<float>(loss));
    for (const double score : stack->progress(model).validation_scores)
      results.push_back(static_cast<float>(score));
    for (const auto& weights : stack->parameters(model).weights)
      results.insert(results.end(), weights.values.begin(), weights.values.end());
  }
  return results;
}

// What is said of the work with something spoilt; empty: nothing, and its results are right.
std::string said_of(const Work& work, Saboteur& saboteur, const std::vector<float>& right) {
  emulation::Session session({.saboteur = &saboteur});
  try {
    const std::vector<float> results = work();
    session.finish();
    const bool same = results.size() == right.size() &&
                      std::memcmp(results.data(), right.data(), right.size() * sizeof(float)) == 0;
    return same ? "" : "wrong results";
  } catch (const std::exception& error) {  // a Fault, or what the engine made of one
    return error.what();
  }
}

// Places where nothing happens, with the reason.
struct Needless {
  Sabotage how;
  std::string place;  // without the number of the line
};

void check_all_are_caught(const Work& work, const std::vector<Needless>& needless) {
  if (!emulation::accesses_are_seen()) {
    MESSAGE("skipped: races are seen in kernel_tests_race only");
    return;
  }
  Saboteur watcher{{}};
  std::vector<float> right;
  on_gpu([&] { right = work(); }, {.saboteur = &watcher});
  std::map<std::string, int> n_caught;
  for (const SabotagedPlace& place : watcher.seen()) {
    Saboteur saboteur(place);
    const std::string said = said_of(work, saboteur, right);
    const std::string kind = kinds.at(static_cast<std::size_t>(place.how));
    if (!said.empty()) {
      ++n_caught[kind];
      continue;
    }
    CAPTURE(kind);
    CAPTURE(place.place);
    bool is_known = false;
    for (const Needless& each : needless)
      is_known = is_known || (each.how == place.how && place.place.starts_with(each.place));
    CHECK(is_known);
  }
  for (const auto& [kind, n] : n_caught) MESSAGE(kind << ": " << n << " of them caught");
}

}  // namespace

TEST_SUITE("kernels_planted") {
  TEST_CASE("features by the fused transform") {
    check_all_are_caught([] { return features(TransformRoute::automatic, ChromaRoute::recomputed); }, {});
  }
  TEST_CASE("features with magnitudes kept") {
    check_all_are_caught([] { return features(TransformRoute::automatic, ChromaRoute::stored); }, {});
  }
  TEST_CASE("features by cuFFT") {
    check_all_are_caught([] { return features(TransformRoute::vendor, ChromaRoute::recomputed); }, {});
  }
  TEST_CASE("training by a block for each model") {
    check_all_are_caught([] { return training(MlpRoute::block, NormRoute::own, false); }, {});
  }
  TEST_CASE("training side by side") {
    check_all_are_caught([] { return training(MlpRoute::stack, NormRoute::own, true); }, {});
  }
  TEST_CASE("training side by side, with cuDNN's stand-in") {
    check_all_are_caught([] { return training(MlpRoute::stack, NormRoute::vendor, true); }, {});
  }
}

}  // namespace melgrad::emulated
