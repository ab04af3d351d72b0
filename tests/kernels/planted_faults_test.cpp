// Every synchronisation of these kernels and of the engine around them is needed, and the emulator notices
// where one is missing: each is left out once, each mask and each array is made too short once, and each time
// there has to be a fault, or a result that is not the right one.

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "gpu_session.hpp"
#include "host/core/error.hpp"
#include "host/engine/speech_division.hpp"
#include "kernels/cuda_mlp_stack.hpp"
#include "kernels/cuda_speech_extractor.hpp"
#include "sabotage.hpp"
#include "support/feature_clips.hpp"
#include "support/golden_speech.hpp"
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

// Every group of speech with kernels, of clips with one frame, with slopes, and with two chunks and a rhythm;
// a part for each.
std::vector<float> speech() {
  FeatureSpec spec = feature_spec("speech");
  Speech groups;
  std::erase_if(groups.groups, [](SpeechGroup group) { return !has_kernels(group); });
  spec.descriptors = {{groups, {}}};
  const FeaturePlan plan = make_feature_plan(spec, speech_sample_rate);
  testing::Clips<std::int16_t> clips(speech_sample_rate);
  for (const Index n : {300, 2001, 7000}) clips.add(testing::speech_signal("noise", n, 1));
  CudaFeatureOptions options;
  options.device_bytes = std::size_t{4} << 20;
  options.part_bytes = 1;
  Matrix<float> rows(3, plan.n_features);
  make_cuda_speech_extractor(plan, options)->extract(clips.batch(), rows.view());
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

// What may be left out without a consequence, in one piece of work: so many places of a file.
struct Needless {
  Sabotage how;
  const char* of;  // in the place's name
  int at_most;
};
const Needless needless[] = {
    // Another barrier follows before anybody touches shared memory: phases end with one, and tiles, sums and
    // loops begin with one.
    {Sabotage::no_barrier, "clip_kernels.cu", 3},
    {Sabotage::no_barrier, "feature_kernels.cu", 1},
    {Sabotage::no_barrier, "feature_stages.cuh", 1},
    {Sabotage::no_barrier, "mlp_block.cu", 5},
    // Before the second time that frames are listed, 256 at a time.
    {Sabotage::no_barrier, "speech_prosody.cu", 1},
    {Sabotage::no_barrier, "mlp_network.cuh", 2},
    // A barrier of the block follows before a warp's count of peaks is read again.
    {Sabotage::no_syncwarp, "feature_stages.cuh", 2},
    // Scratch for the largest bank, and padding behind the last member.
    {Sabotage::short_array, "dynamic array", 2},
    // Rows end in padding that nobody touches.
    {Sabotage::short_allocation, "cuda_mlp_stack.cu", 4},
    {Sabotage::short_allocation, "mlp_stack_run.cu", 6},
    {Sabotage::short_allocation, "cuda_feature_extractor.cu", 1},
    // A stream that goes has been waited for already; what it waits for itself; a wait follows anyway.
    {Sabotage::no_call, "cuda_handles.hpp", 1},
    {Sabotage::no_call, "cuda_feature_extractor.cu", 1},
    {Sabotage::no_call, "mlp_models.cu", 2},
};

void check_all_are_caught(const Work& work) {
  if (!emulation::accesses_are_seen()) {
    MESSAGE("skipped: races are seen in kernel_tests_race only");
    return;
  }
  Saboteur watcher{{}};
  std::vector<float> right;
  on_gpu([&] { right = work(); }, {.saboteur = &watcher});
  std::map<std::string, int> n_caught;
  std::array<int, std::size(needless)> n_needless{};
  for (const SabotagedPlace& place : watcher.seen()) {
    Saboteur saboteur(place);
    const std::string said = said_of(work, saboteur, right);
    const std::string kind = kinds.at(static_cast<std::size_t>(place.how));
    if (!said.empty()) {
      ++n_caught[kind];
      continue;
    }
    bool is_known = false;
    for (std::size_t i = 0; i < n_needless.size(); ++i) {
      if (place.how != needless[i].how || place.place.find(needless[i].of) == std::string::npos) continue;
      is_known = true;
      ++n_needless[i];
    }
    CAPTURE(kind);
    CAPTURE(place.place);
    CHECK(is_known);
  }
  for (std::size_t i = 0; i < n_needless.size(); ++i) {
    const std::string what =
        std::string(kinds.at(static_cast<std::size_t>(needless[i].how))) + " in " + needless[i].of;
    CAPTURE(what);
    CHECK(n_needless[i] <= needless[i].at_most);
  }
  for (const char* const kind : {kinds[1], kinds[3], kinds[5], kinds[6]}) {
    CAPTURE(kind);
    CHECK(n_caught[kind] > 0);
  }
  for (const auto& [kind, n] : n_caught) MESSAGE(kind << ": " << n << " of them caught");
}

}  // namespace

TEST_SUITE("kernels_planted") {
  TEST_CASE("features by the fused transform") {
    check_all_are_caught([] { return features(TransformRoute::automatic, ChromaRoute::recomputed); });
  }
  TEST_CASE("features with magnitudes kept") {
    check_all_are_caught([] { return features(TransformRoute::automatic, ChromaRoute::stored); });
  }
  TEST_CASE("features by cuFFT") {
    check_all_are_caught([] { return features(TransformRoute::vendor, ChromaRoute::recomputed); });
  }
  TEST_CASE("features of speech") {
    check_all_are_caught(speech);
  }
  TEST_CASE("training by a block for each model") {
    check_all_are_caught([] { return training(MlpRoute::block, NormRoute::own, false); });
  }
  TEST_CASE("training side by side") {
    check_all_are_caught([] { return training(MlpRoute::stack, NormRoute::own, true); });
  }
  TEST_CASE("training side by side, with cuDNN's stand-in") {
    check_all_are_caught([] { return training(MlpRoute::stack, NormRoute::vendor, true); });
  }
}

}  // namespace melgrad::emulated
