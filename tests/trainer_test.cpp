#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "host/core/error.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/models/trainer.hpp"
#include "support/mlp_problem.hpp"

using namespace melgrad;
using namespace melgrad::testing;

namespace {

class RecordingProgress final : public Progress {
 public:
  void begin(std::string_view stage, Index n_steps) override {
    stages.emplace_back(stage);
    n_expected = n_steps;
  }
  void update(Index done, std::string_view note) override {
    CHECK(done >= last);
    last = done;
    last_note = note;
  }
  void end() override { ++n_ended; }
  void warn(std::string_view) override {}

  std::vector<std::string> stages;
  Index n_expected = 0, last = 0;
  int n_ended = 0;
  std::string last_note;
};

// Jobs of three architectures, mixed.
std::vector<MlpSpec> mixed_specs() {
  std::vector<MlpSpec> specs;
  for (int i = 0; i < 9; ++i) {
    MlpSpec spec{.batch_size = 16, .max_iter = 4 + i, .random_state = i};
    if (i % 3 == 0) spec.hidden_layer_sizes = {7};
    if (i % 3 == 1) spec.hidden_layer_sizes = {7, 5};
    if (i % 3 == 2) spec = {.hidden_layer_sizes = {7}, .activation = Activation::tanh, .max_iter = 4 + i};
    specs.push_back(spec);
  }
  return specs;
}

std::vector<FittedMlp> fit(const MlpProblem& problem, const std::vector<MlpSpec>& specs, int n_threads,
                           Index stack_bytes = default_stack_bytes) {
  const auto engine = make_cpu_engine({.n_threads = n_threads});
  std::vector<MlpJob> jobs;
  for (const MlpSpec& spec : specs) jobs.push_back(problem.job(spec));
  NoProgress quiet;
  return Trainer(*engine, stack_bytes).fit(problem.training_set(), jobs, quiet);
}

}  // namespace

TEST_SUITE("trainer") {
  TEST_CASE("jobs come back in their order, each as if trained alone, whatever the stacks and threads") {
    const MlpProblem problem(60, 11, 4);
    const std::vector<MlpSpec> specs = mixed_specs();
    for (int n_threads : {1, 3}) {
      for (Index stack_bytes : {Index{1}, Index{5000}, default_stack_bytes}) {
        const std::vector<FittedMlp> together = fit(problem, specs, n_threads, stack_bytes);
        REQUIRE(together.size() == specs.size());
        for (std::size_t i = 0; i < specs.size(); ++i) {
          const FittedMlp alone = fit(problem, {specs[i]}, 1).front();
          CHECK(together[i].parameters == alone.parameters);
          CHECK(together[i].progress == alone.progress);
          CHECK(together[i].progress.n_iter == specs[i].max_iter);
          CHECK(together[i].fit_seconds > 0);
        }
      }
    }
  }

  TEST_CASE("no jobs give no models") {
    CHECK(fit(MlpProblem(10, 3, 2), {}, 1).empty());
  }

  TEST_CASE("progress counts finished models and says how fast") {
    const MlpProblem problem(60, 11, 4);
    const auto engine = make_cpu_engine({.n_threads = 1});
    std::vector<MlpJob> jobs;
    for (const MlpSpec& spec : mixed_specs()) jobs.push_back(problem.job(spec));
    RecordingProgress progress;
    Trainer(*engine).fit(problem.training_set(), jobs, progress);
    CHECK(progress.stages == std::vector<std::string>{"training"});
    CHECK(progress.n_expected == 9);
    CHECK(progress.last == 9);
    CHECK(progress.n_ended == 1);
    CHECK(progress.last_note.ends_with(" epochs/s"));
  }

  TEST_CASE("a model that diverges is told from the others") {
    const MlpProblem problem(60, 11, 4);
    std::vector<MlpSpec> specs(3, MlpSpec{.hidden_layer_sizes = {5},
                                          .activation = Activation::identity,
                                          .solver = Solver::sgd,
                                          .max_iter = 300});
    specs[1].learning_rate_init = 1e3;
    const std::vector<FittedMlp> fitted = fit(problem, specs, 2);
    CHECK(fitted[0].progress.stop_reason != StopReason::not_finite);
    CHECK(fitted[1].progress.stop_reason == StopReason::not_finite);
    CHECK(fitted[2].parameters == fitted[0].parameters);
  }
}
