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
  void weigh(double share_done) override {
    CHECK(share_done >= share);
    CHECK(share_done <= 1);
    share = share_done;
  }
  bool stop_asked() const override { return last >= stop_after; }
  void end() override { ++n_ended; }
  void warn(std::string_view) override {}

  std::vector<std::string> stages;
  Index n_expected = 0, last = 0;
  int n_ended = 0;
  double share = 0;
  Index stop_after = 1'000'000;
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
                           const StackLimits& limits = {}) {
  const auto engine = make_cpu_engine({.n_threads = n_threads});
  std::vector<MlpJob> jobs;
  for (const MlpSpec& spec : specs) jobs.push_back(problem.job(spec));
  NoProgress quiet;
  return Trainer(*engine, limits).fit(problem.training_set(), jobs, quiet);
}

}  // namespace

TEST_SUITE("trainer") {
  TEST_CASE("jobs come back in their order, each as if trained alone, whatever the stacks and threads") {
    const MlpProblem problem(60, 11, 4);
    const std::vector<MlpSpec> specs = mixed_specs();
    for (int n_threads : {1, 3}) {
      for (const StackLimits& limits :
           {StackLimits{.bytes = 1}, StackLimits{.bytes = 5000}, StackLimits{.seconds = 0}, StackLimits{}}) {
        const std::vector<FittedMlp> together = fit(problem, specs, n_threads, limits);
        REQUIRE(together.size() == specs.size());
        for (std::size_t i = 0; i < specs.size(); ++i) {
          const FittedMlp alone = fit(problem, {specs[i]}, 1).front();
          CHECK(together[i].parameters == alone.parameters);
          CHECK(together[i].progress == alone.progress);
          CHECK(together[i].progress.n_iter == specs[i].max_iter);
          CHECK(together[i].times.wall_seconds > 0);
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
    CHECK(progress.share == 1);
    CHECK(progress.last_note.ends_with(" epochs/s"));
  }

  TEST_CASE("stacks are handed over once each job has stopped, and none after a stop was asked for") {
    const MlpProblem problem(60, 11, 4);
    const auto engine = make_cpu_engine({.n_threads = 1});
    std::vector<MlpJob> jobs;
    for (const MlpSpec& spec : mixed_specs()) jobs.push_back(problem.job(spec));
    for (Index stop_after : {Index{3}, Index{100}}) {
      RecordingProgress progress;
      progress.stop_after = stop_after;
      std::vector<std::size_t> finished;
      const auto take = [&](const FinishedStack& stack) {
        REQUIRE(stack.times.size() == stack.jobs.size());
        for (std::size_t i = 0; i < stack.jobs.size(); ++i) {
          finished.push_back(stack.jobs[i]);
          CHECK(stack.models.progress(static_cast<int>(i)).stop_reason == StopReason::max_iter);
          CHECK(stack.times[i].wall_seconds > 0);
        }
      };
      Trainer trainer(*engine);
      if (stop_after == 3)
        CHECK_THROWS_AS(trainer.train(problem.training_set(), jobs, progress, take), Interrupted);
      else
        trainer.train(problem.training_set(), jobs, progress, take);
      const std::vector<std::size_t> first = {0, 3, 6}, all = {0, 3, 6, 1, 4, 7, 2, 5, 8};
      CHECK(finished == (stop_after == 3 ? first : all));
      CHECK(progress.stages.empty());
    }
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
