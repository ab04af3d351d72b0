// The CUDA engine's training against the CPU engine's, on the emulator or on a GPU.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gpu_session.hpp"
#include "host/core/error.hpp"
#include "host/cpu/cpu_mlp.hpp"
#include "host/models/trainer.hpp"
#include "kernels/cuda_engine.hpp"
#include "kernels/cuda_mlp_stack.hpp"
#include "support/fake_engine.hpp"
#include "support/mlp_problem.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

using emulation::FiberOrder;
using emulation::Session;
using testing::MlpProblem;

// All that training says of a model.
struct Trained {
  MlpProgress progress;
  MlpParameters parameters;
  Matrix<float> probabilities;  // of all rows
  bool operator==(const Trained&) const = default;
};

std::vector<Trained> trained(MlpStack& stack, const MlpProblem& problem, int n_models, int n_epochs) {
  stack.train(n_epochs);
  std::vector<Trained> models(static_cast<std::size_t>(n_models));
  for (int i = 0; i < n_models; ++i) {
    Trained& model = models[static_cast<std::size_t>(i)];
    model.progress = stack.progress(i);
    model.parameters = stack.parameters(i);
    model.probabilities = Matrix<float>(problem.view().rows, problem.n_classes);
    stack.predict_proba(i, problem.view(), model.probabilities.view());
  }
  return models;
}

std::vector<MlpJob> jobs_of(const MlpProblem& problem, const std::vector<MlpSpec>& specs) {
  std::vector<MlpJob> jobs;
  for (const MlpSpec& spec : specs) jobs.push_back(problem.job(spec));
  return jobs;
}

std::vector<Trained> by_cuda(const MlpProblem& problem, const std::vector<MlpSpec>& specs, int n_epochs,
                             const CudaMlpOptions& options, FiberOrder order = FiberOrder::ascending) {
  Session session({.order = order});
  std::vector<Trained> models;
  {
    const auto stack = make_cuda_mlp_stack(problem.training_set(), jobs_of(problem, specs), options);
    models = trained(*stack, problem, static_cast<int>(specs.size()), n_epochs);
  }
  session.finish();
  return models;
}

std::vector<Trained> by_cpu(const MlpProblem& problem, const std::vector<MlpSpec>& specs, int n_epochs) {
  const auto stack = make_cpu_mlp_stack(problem.training_set(), jobs_of(problem, specs), 1);
  return trained(*stack, problem, static_cast<int>(specs.size()), n_epochs);
}

// The largest difference as a share of the largest magnitude of its matrix; infinite where shapes differ or
// one is NaN.
double distance(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0, scale = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::fabs(double{a[i]} - double{b[i]}));
    if (std::isnan(a[i]) || std::isnan(b[i])) worst = std::numeric_limits<double>::infinity();
    scale = std::max(scale, std::fabs(double{b[i]}));
  }
  return worst / scale;
}

double distance(const Trained& a, const Trained& b) {
  double worst = distance(a.probabilities.values, b.probabilities.values);
  if (a.parameters.weights.size() != b.parameters.weights.size() ||
      a.parameters.batch_norms.size() != b.parameters.batch_norms.size())
    return std::numeric_limits<double>::infinity();
  for (std::size_t l = 0; l < a.parameters.weights.size(); ++l) {
    worst = std::max(worst, distance(a.parameters.weights[l].values, b.parameters.weights[l].values));
    worst = std::max(worst, distance(a.parameters.biases[l], b.parameters.biases[l]));
  }
  for (std::size_t l = 0; l < a.parameters.batch_norms.size(); ++l) {
    const BatchNorm &x = a.parameters.batch_norms[l], &y = b.parameters.batch_norms[l];
    worst = std::max({worst, distance(x.gamma, y.gamma), distance(x.running_mean, y.running_mean),
                      distance(x.running_var, y.running_var)});
  }
  return worst;
}

// What rounding makes of float32 training over a few epochs: 1e-7 a step, grown by the steps that follow it.
constexpr double tolerance = 2e-5;

void check_equal(const std::vector<Trained>& got, const std::vector<Trained>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(distance(got[i], expected[i]) < tolerance);
    const MlpProgress &a = got[i].progress, &b = expected[i].progress;
    CHECK(a.n_iter == b.n_iter);
    CHECK(a.stop_reason == b.stop_reason);
    CHECK(a.validation_scores == b.validation_scores);
    REQUIRE(a.loss_curve.size() == b.loss_curve.size());
    for (std::size_t epoch = 0; epoch < a.loss_curve.size(); ++epoch)
      CHECK(a.loss_curve[epoch] == doctest::Approx(b.loss_curve[epoch]).epsilon(tolerance));
  }
}

MlpSpec small_spec() {
  return {.hidden_layer_sizes = {7, 5},
          .alpha = 0.01,
          .batch_size = 12,
          .learning_rate_init = 0.01,
          .random_state = 3,
          .epsilon = 1e-5};
}

// Every option beyond scikit-learn's, one a model, then all of them at once; without batch_norm, which makes
// another architecture.
std::vector<MlpSpec> specs_of_options(const MlpSpec& base) {
  std::vector<MlpSpec> specs(10, base);
  specs[0].dropout = 0.3;
  specs[1].label_smoothing = 0.1;
  specs[2].mixup = 0.4;
  specs[3].class_weight = ClassWeight::balanced;
  specs[4].learning_rate = LearningRate::cosine;
  specs[5].solver = Solver::adamw;
  specs[6].shuffle = false;
  specs[7].learning_rate = LearningRate::one_cycle;
  specs[7].max_iter = 6;
  specs[8].clip = 1.2;
  MlpSpec& all = specs[9];
  all.clip = 1.5;
  all.dropout = 0.2;
  all.label_smoothing = 0.05;
  all.mixup = 0.2;
  all.class_weight = ClassWeight::balanced;
  all.learning_rate = LearningRate::cosine;
  all.solver = Solver::adamw;
  return specs;
}

const std::vector<MlpRoute> all_routes = {MlpRoute::block, MlpRoute::stack};

}  // namespace

TEST_SUITE("kernels_mlp") {
  TEST_CASE("five epochs equal the CPU engine's for every activation and solver") {
    const MlpProblem problem(17, 9, 3);
    for (int activation = 0; activation < 5; ++activation) {
      if (is_slow && activation % 2 == 1) continue;
      std::vector<MlpSpec> specs(4, small_spec());
      for (std::size_t i = 0; i < specs.size(); ++i) {
        specs[i].activation = static_cast<Activation>(activation);
        specs[i].solver = i < 3 ? static_cast<Solver>(i) : Solver::sgd;
        specs[i].nesterovs_momentum = i != 3;
      }
      const auto expected = by_cpu(problem, specs, 5);
      for (MlpRoute route : all_routes) {
        CAPTURE(activation);
        CAPTURE(static_cast<int>(route));
        check_equal(by_cuda(problem, specs, 5, {.route = route}), expected);
      }
    }
  }

  TEST_CASE("five epochs equal the CPU engine's for depths, widths and classes that meet every tile") {
    struct Case {
      int n_rows, n_features, n_classes;
      std::vector<int> hidden_layer_sizes;
      int batch_size;
    };
    for (const Case& each : std::vector<Case>{{17, 5, 2, {}, 8},
                                              {17, 5, 3, {1}, 17},
                                              {23, 97, 2, {18}, 7},
                                              {19, 4, 20, {16, 3, 9}, 5},
                                              {140, 3, 4, {70}, 132},
                                              {9, 130, 3, {131, 15}, 9},
                                              {3, 2, 17, {200}, 1}}) {
      if (is_slow && each.n_features < 5) continue;
      const MlpProblem problem(each.n_rows, each.n_features, each.n_classes);
      MlpSpec spec = small_spec();
      spec.hidden_layer_sizes = each.hidden_layer_sizes;
      spec.activation = Activation::tanh;
      spec.batch_size = each.batch_size;
      spec.learning_rate_init = 1e-3;
      const auto expected = by_cpu(problem, {spec}, 5);
      for (MlpRoute route : all_routes) {
        CAPTURE(problem.n_features());
        CAPTURE(each.n_classes);
        CAPTURE(static_cast<int>(route));
        check_equal(by_cuda(problem, {spec}, 5, {.route = route}), expected);
      }
    }
  }

  TEST_CASE("each option, with copies of the rows and without, equals the CPU engine's") {
    for (int n_classes : {2, 3}) {
      MlpProblem problem(17, 9, n_classes);
      if (n_classes == 3) problem.add_copies(2);
      MlpSpec base = small_spec();
      base.activation = n_classes == 2 ? Activation::relu : Activation::gelu;
      const auto specs = specs_of_options(base);
      const auto expected = by_cpu(problem, specs, 5);
      for (MlpRoute route : all_routes) {
        CAPTURE(n_classes);
        CAPTURE(static_cast<int>(route));
        check_equal(by_cuda(problem, specs, 5, {.route = route}), expected);
      }
    }
  }

  TEST_CASE("batch_norm equals the CPU engine's, alone and with every other option") {
    for (int n_classes : {2, 3}) {
      MlpProblem problem(17, 9, n_classes);
      if (n_classes == 2) problem.add_copies(3);
      MlpSpec base = small_spec();
      base.hidden_layer_sizes = {35, 5};
      base.batch_norm = true;
      base.activation = n_classes == 2 ? Activation::tanh : Activation::gelu;
      const std::vector<MlpSpec> all = specs_of_options(base);
      std::vector<MlpSpec> specs = {base, all.back(), all.back()};
      specs[2].input_dropout = 0.3;
      const auto expected = by_cpu(problem, specs, 5);
      for (const NormRoute norm : {NormRoute::own, NormRoute::vendor}) {
        CAPTURE(static_cast<int>(norm));
        check_equal(by_cuda(problem, specs, 5, {.norm = norm}), expected);
      }
    }
  }

  TEST_CASE("batch_norm has the same bits alone and in a stack whose last minibatches differ") {
    MlpProblem problem(30, 9, 3);
    MlpSpec spec = small_spec();
    spec.batch_norm = true;
    spec.activation = Activation::tanh;
    std::vector<MlpJob> jobs(3, problem.job(spec));
    jobs[1].rows = std::span(jobs[1].rows).first(26);
    jobs[2].rows = std::span(jobs[2].rows).first(24);
    for (const NormRoute norm : {NormRoute::own, NormRoute::vendor}) {
      Session session;
      {
        const CudaMlpOptions options{.norm = norm};
        const auto together = make_cuda_mlp_stack(problem.training_set(), jobs, options);
        const auto models = trained(*together, problem, 3, 3);
        for (std::size_t i = 0; i < jobs.size(); ++i) {
          const auto alone = make_cuda_mlp_stack(problem.training_set(), {&jobs[i], 1}, options);
          CHECK(trained(*alone, problem, 1, 3)[0] == models[i]);
        }
      }
      session.finish();
    }
  }

  TEST_CASE("input_dropout takes the route `stack`, equals the CPU engine's, and `block` refuses it") {
    MlpProblem problem(17, 9, 3);
    problem.add_copies(1);
    std::vector<MlpSpec> specs(2, small_spec());
    specs[1].input_dropout = 0.4;
    specs[1].mixup = 0.3;
    check_equal(by_cuda(problem, specs, 5, {}), by_cpu(problem, specs, 5));
    Session session;
    CHECK_THROWS_WITH_AS(
        make_cuda_mlp_stack(problem.training_set(), jobs_of(problem, specs), {.route = MlpRoute::block}),
        "the CUDA engine's route `block` has no input_dropout", Error);
    session.finish();
  }

  TEST_CASE("models stop by the rules of the CPU engine, and early_stopping keeps the best epoch") {
    MlpProblem problem(40, 6, 3);
    problem.validation_rows.assign(problem.rows.begin() + 28, problem.rows.end());
    problem.rows.resize(28);
    std::vector<MlpSpec> specs(4, small_spec());
    for (MlpSpec& spec : specs) spec.max_iter = 16;
    specs[0].early_stopping = true;
    specs[0].n_iter_no_change = 3;
    specs[1].max_iter = 4;
    specs[2].tol = 0.05;
    specs[2].n_iter_no_change = 2;
    specs[3].solver = Solver::sgd;
    specs[3].learning_rate = LearningRate::adaptive;
    specs[3].tol = 0.02;
    specs[3].n_iter_no_change = 1;
    const auto expected = by_cpu(problem, specs, 20);
    CHECK(expected[1].progress.stop_reason == StopReason::max_iter);
    CHECK(expected[2].progress.stop_reason == StopReason::no_improvement);
    for (MlpRoute route : all_routes) check_equal(by_cuda(problem, specs, 20, {.route = route}), expected);
  }

  TEST_CASE("a model has the same bits alone, in a stack, on one block, and by launches of one epoch") {
    MlpProblem problem(17, 9, 3);
    problem.add_copies(2);
    const auto specs = specs_of_options(small_spec());
    for (MlpRoute route : all_routes) {
      CAPTURE(static_cast<int>(route));
      const auto together = by_cuda(problem, specs, 3, {.route = route});
      CHECK(by_cuda(problem, specs, 3, {.route = route, .workspace_bytes = 20000}) == together);
      CHECK(by_cuda(problem, specs, 3, {.route = route, .launch_seconds = 1e-9}) == together);
      for (std::size_t i : {std::size_t{0}, std::size_t{9}})
        CHECK(by_cuda(problem, {specs[i]}, 3, {.route = route})[0] == together[i]);
    }
  }

  TEST_CASE("three orders of threads give the same bits") {
    const MlpProblem problem(17, 9, 3);
    const auto specs = specs_of_options(small_spec());
    for (MlpRoute route : all_routes) {
      const auto ascending = by_cuda(problem, specs, 2, {.route = route});
      for (FiberOrder order : {FiberOrder::descending, FiberOrder::random})
        CHECK(by_cuda(problem, specs, 2, {.route = route}, order) == ascending);
    }
  }

  TEST_CASE("a model that is not finite stops alone") {
    const MlpProblem problem(17, 9, 3);
    std::vector<MlpSpec> specs(3, small_spec());
    specs[1].solver = Solver::sgd;
    specs[1].activation = specs[0].activation;
    specs[1].learning_rate_init = 1e3;
    specs[1].alpha = 1e6;
    for (MlpRoute route : all_routes) {
      const auto models = by_cuda(problem, specs, 6, {.route = route});
      CHECK(models[1].progress.stop_reason == StopReason::not_finite);
      CHECK(models[1].progress.n_iter < 6);
      CHECK(models[0].progress.n_iter == 6);
      CHECK(models[0] == by_cuda(problem, {specs[0]}, 6, {.route = route})[0]);
      CHECK(models[2] == models[0]);
    }
  }

  TEST_CASE("given parameters come back, and training goes on from them as the CPU engine's does") {
    const MlpProblem problem(17, 9, 3);
    const MlpSpec spec = small_spec();
    MlpSpec other = spec;
    other.random_state = 99;
    const MlpParameters given = by_cpu(problem, {other}, 2)[0].parameters;
    const auto cpu = make_cpu_mlp_stack(problem.training_set(), jobs_of(problem, {spec}), 1);
    cpu->set_parameters(0, given);
    const auto expected = trained(*cpu, problem, 1, 3);
    for (MlpRoute route : all_routes) {
      Session session;
      {
        const auto stack =
            make_cuda_mlp_stack(problem.training_set(), jobs_of(problem, {spec}), {.route = route});
        stack->set_parameters(0, given);
        CHECK(stack->parameters(0) == given);
        check_equal(trained(*stack, problem, 1, 3), expected);
      }
      session.finish();
    }
  }

  TEST_CASE("predictions of more rows than blocks take at once equal the CPU engine's") {
    const MlpProblem problem(700, 9, 3);
    const MlpSpec spec = small_spec();
    const auto expected = by_cpu(problem, {spec}, 0);
    Session session({.device = {.multiprocessors = 2}});
    {
      const auto stack = make_cuda_mlp_stack(problem.training_set(), jobs_of(problem, {spec}));
      Matrix<float> probabilities(700, 3);
      stack->predict_proba(0, problem.view(), probabilities.view());
      CHECK(distance(probabilities.values, expected[0].probabilities.values) < tolerance);
    }
    session.finish();
  }

#ifndef MELGRAD_ON_GPU
  TEST_CASE("a device that computes wrong is noticed by either route") {
    const MlpProblem problem(17, 9, 3);
    const auto expected = by_cpu(problem, {small_spec()}, 1);
    for (MlpRoute route : all_routes) {
      std::vector<Trained> got;
      on_gpu(
          [&] {
            const auto stack = make_cuda_mlp_stack(problem.training_set(), jobs_of(problem, {small_spec()}),
                                                   {.route = route});
            got = trained(*stack, problem, 1, 1);
          },
          {.broken_lane = 0});
      // Shuffles add up the loss.
      CHECK(std::fabs(got[0].progress.loss_curve[0] / expected[0].progress.loss_curve[0] - 1) > 1e-3);
    }
  }

  TEST_CASE("a device with little memory trains the same models in smaller stacks, or says what it lacks") {
    const MlpProblem problem(17, 9, 3);
    const std::vector<MlpJob> jobs = jobs_of(problem, std::vector<MlpSpec>(12, small_spec()));
    test::RecordedProgress progress;
    const auto fitted_in = [&](std::size_t memory) {
      Session session({.device = {.memory = memory}});
      std::vector<FittedMlp> fitted;
      {
        const auto engine = make_cuda_engine(0);
        fitted = Trainer(*engine).fit(problem.training_set(), jobs, progress);
      }
      session.finish();
      return fitted;
    };
    const auto expected = fitted_in(std::size_t{64} << 20);
    CHECK(progress.warnings.empty());
    const auto fitted = fitted_in(12'000);
    CHECK(!progress.warnings.empty());
    MESSAGE(progress.warnings.front());
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      CHECK(fitted[i].parameters == expected[i].parameters);
      CHECK(fitted[i].progress.loss_curve == expected[i].progress.loss_curve);
    }
    Session session({.device = {.memory = 1000}});
    {
      const auto engine = make_cuda_engine(0);
      CHECK_THROWS_WITH_AS(Trainer(*engine).fit(problem.training_set(), jobs, progress),
                           doctest::Contains("bytes of device memory, of which"), OutOfDeviceMemory);
    }
    session.finish();
  }

#endif

  TEST_CASE("minibatches that do not fit into device memory are refused with the figures") {
    const MlpProblem problem(17, 9, 3);
    Session session;
    {
      const auto stack = make_cuda_mlp_stack(problem.training_set(), jobs_of(problem, {small_spec()}),
                                             {.workspace_bytes = 100});
      CHECK_THROWS_AS(stack->train(1), OutOfDeviceMemory);
    }
    session.finish();
  }
}

}  // namespace melgrad::MELGRAD_KERNELS
