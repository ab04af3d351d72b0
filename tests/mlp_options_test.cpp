// The options of training that scikit-learn has not got, and class weights: gradients, stacks, and the engine
// against the double-precision reference.

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "host/core/error.hpp"
#include "host/cpu/cpu_mlp.hpp"
#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/simd.hpp"
#include "host/engine/mlp.hpp"
#include "support/allocations.hpp"
#include "support/mlp_gradients.hpp"
#include "support/mlp_problem.hpp"
#include "support/reference_mlp.hpp"

using namespace melgrad;
using namespace melgrad::testing;

namespace {

class WithSimd {
 public:
  explicit WithSimd(const std::string& name) { use_simd(name); }
  ~WithSimd() { choose_simd(); }
};

// Cut to the 8 bits that bf16 holds.
float to_bf16(float x) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0xffff0000u);
}

std::unique_ptr<MlpStack> make_stack(const MlpProblem& problem, const std::vector<MlpSpec>& specs,
                                     int n_threads = 1) {
  std::vector<MlpJob> jobs;
  for (const MlpSpec& spec : specs) jobs.push_back(problem.job(spec));
  return make_cpu_mlp_stack(problem.training_set(), jobs, n_threads);
}

}  // namespace

TEST_SUITE("mlp_options") {
  TEST_CASE("gradients equal central differences of the loss for every layer, activation and loss option") {
    for (Activation activation : activations) {
      for (int n_classes : {2, 4}) {
        MlpProblem problem(13, 6, n_classes);
        problem.add_copies(2);
        for (const MlpSpec& spec :
             with_options({.hidden_layer_sizes = {5, 4}, .activation = activation, .alpha = 0.1})) {
          CAPTURE(to_json_fields(spec).dump());
          CAPTURE(n_classes);
          const GradientGaps gaps =
              gradient_gaps(problem, spec, [&](const MlpSpec& sgd) { return make_stack(problem, {sgd}); });
          // A difference of losses near 1 over 2e-6 has an error of about 1e-10, curvature of h^2 more.
          CHECK(gaps.reference < 2e-8);
          CHECK(gaps.engine < 2e-6);  // float32 sums of terms near 1
        }
      }
    }
  }

  TEST_CASE("training equals the double-precision reference for every option, shape, solver and SIMD") {
    struct Case {
      int n_rows, n_features, n_classes;
      std::vector<int> hidden_layer_sizes;
      int batch_size;
    };
    const std::vector<Case> cases = {{50, 20, 8, {37}, 20},       {29, 16, 4, {15, 17}, 28},
                                     {64, 48, 2, {8}, 64},        {40, 31, 20, {10, 10, 10}, 13},
                                     {24, 31, 40, {64, 300}, 12}, {25, 9, 5, {}, 10}};
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      int turn = 0;
      for (const Case& each : cases) {
        MlpProblem problem(each.n_rows, each.n_features, each.n_classes);
        if (turn % 2 == 1) problem.add_copies(1 + turn % 4);
        for (Solver solver : {Solver::sgd, Solver::adam, Solver::adamw}) {
          for (const MlpSpec& spec :
               with_options({.hidden_layer_sizes = each.hidden_layer_sizes,
               .activation = activations[static_cast<std::size_t>(turn++) % 5],
               .solver = solver,
               .alpha = 0.01,
               .batch_size = each.batch_size,
               .learning_rate = turn % 4 < 2 ? LearningRate::cosine : LearningRate::one_cycle,
               .learning_rate_init = 1e-3,
               .max_iter = 4,
               .random_state = 7 + turn,
               .epsilon = 1e-4})) {
            CAPTURE(simd);
            CAPTURE(problem.n_features());
            CAPTURE(to_json_fields(spec).dump());
            const auto stack = make_stack(problem, {spec});
            ReferenceMlp reference(problem.training_set(), problem.job(spec));
            CHECK(relative_difference(stack->parameters(0), reference.parameters()) == 0);
            stack->train(3);
            reference.train(3);
            // Rounding of 1e-7 a step over up to 12 steps; see mlp_test.cpp for epsilon.
            CHECK(relative_difference(stack->parameters(0), reference.parameters()) < 1e-5);
            for (std::size_t i = 0; i < 3; ++i)
              CHECK(stack->progress(0).loss_curve[i] ==
                    doctest::Approx(reference.progress().loss_curve[i]).epsilon(1e-5));
            Matrix<float> probabilities(problem.view().rows, each.n_classes);
            stack->predict_proba(0, problem.view(), probabilities.view());
            const Matrix<double> expected = reference.predict_proba(problem.view());
            double worst = 0;
            for (std::size_t i = 0; i < expected.values.size(); ++i)
              worst = std::max(worst,
                               std::abs(static_cast<double>(probabilities.values[i]) - expected.values[i]));
            CHECK(worst < 2e-5);
          }
        }
      }
    }
  }

  TEST_CASE("with every option, a model's bits do not depend on its stack, the threads, or the calls") {
    MlpProblem problem(61, 21, 5);
    problem.add_copies(4);
    std::vector<MlpSpec> specs;
    for (int i = 0; i < 7; ++i) {
      MlpSpec spec = with_every_option({.hidden_layer_sizes = {19, 11},
                                        .activation = Activation::gelu,
                                        .solver = static_cast<Solver>(i % 3),
                                        .alpha = 0.001 * i,
                                        .batch_size = 10 + i,
                                        .max_iter = 5 + i,
                                        .random_state = i});
      spec.dropout = 0.1 * (i % 4);
      spec.mixup = 0.3 * (i % 2);
      spec.input_dropout = 0.1 * (i % 3);
      spec.learning_rate = i % 2 == 0 ? LearningRate::one_cycle : LearningRate::constant;
      specs.push_back(spec);
    }
    for (const int n_threads : {1, 2, 5}) {
      const auto together = make_stack(problem, specs, n_threads);
      for (int epochs : {1, 2, 100}) together->train(epochs);
      for (int i = 0; i < 7; ++i) {
        const auto alone = make_stack(problem, {specs[static_cast<std::size_t>(i)]});
        alone->train(100);
        CHECK(alone->progress(0).n_iter == 5 + i);
        CHECK(together->parameters(i) == alone->parameters(0));
        CHECK(together->progress(i) == alone->progress(0));
      }
    }
  }

  TEST_CASE("with every option, a model that meets NaN stops alone and the others are untouched") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      for (Activation activation : activations) {
        for (int n_classes : {2, 4}) {
          MlpProblem problem(30, 9, n_classes);
          for (const float poison : {NAN, INFINITY}) {
            problem.features(29, 4) = poison;
            const std::vector<int> clean(problem.rows.begin(), problem.rows.end() - 1);
            MlpSpec spec =
                with_every_option({.hidden_layer_sizes = {6, 5}, .activation = activation, .batch_size = 7});
            if (std::isinf(poison)) spec.clip = 0;  // which would make it finite
            MlpJob good = problem.job(spec);
            good.rows = clean;
            const MlpJob bad = problem.job(spec);
            const auto stack = make_cpu_mlp_stack(problem.training_set(), std::vector{good, bad, good}, 1);
            stack->train(3);
            const auto alone = make_cpu_mlp_stack(problem.training_set(), std::vector{good}, 1);
            alone->train(3);
            CAPTURE(simd);
            CAPTURE(to_name(activation));
            CAPTURE(poison);
            CHECK(stack->progress(1).stop_reason == StopReason::not_finite);
            CHECK(stack->progress(1).n_iter == 1);
            for (int model : {0, 2}) {
              CHECK(stack->progress(model) == alone->progress(0));
              CHECK(stack->parameters(model) == alone->parameters(0));
            }
          }
        }
      }
    }
  }

  TEST_CASE("an epoch allocates nothing, with every option and with few") {
    MlpProblem problem(57, 21, 5);
    problem.add_copies(3);
    const MlpSpec plain{.hidden_layer_sizes = {19, 40}, .batch_size = 10};
    std::vector<MlpSpec> specs(3, plain);
    specs[0].activation = Activation::gelu;
    specs[0] = with_every_option(specs[0]);
    specs[1].solver = Solver::sgd;
    if (mlp_kernels().lack_of_bf16.empty()) {
      specs.push_back(specs[0]);
      specs.back().precision = Precision::bf16;
    }
    for (const MlpSpec& spec : specs) {
      const auto stack = make_stack(problem, {spec});
      stack->train(1);
      const auto allocations_of = [&](int n_epochs) {
        const std::size_t before = n_allocations();
        stack->train(n_epochs);
        return n_allocations() - before;
      };
      CHECK(allocations_of(2) == allocations_of(40));
      CHECK(stack->progress(0).n_iter == 43);
    }
  }

  TEST_CASE("a minibatch of one row is left out of an epoch with batch_norm") {
    const MlpProblem problem(41, 6, 3);
    MlpSpec spec{.hidden_layer_sizes = {5}, .batch_size = 10, .batch_norm = true};
    const auto stack = make_stack(problem, {spec});
    ReferenceMlp reference(problem.training_set(), problem.job(spec));
    stack->train(3);
    reference.train(3);
    CHECK(relative_difference(stack->parameters(0), reference.parameters()) < 1e-5);
    CHECK(reference.state().n_steps == 12);
    spec.batch_size = 1;
    CHECK_THROWS_WITH_AS(make_stack(problem, {spec})->train(1),
                         "batch_norm with minibatches of 1 row: a variance needs two at least", Error);
  }

  TEST_CASE("early stopping keeps the running moments of the best epoch too") {
    MlpProblem problem(90, 5, 3);
    problem.validation_rows.assign(problem.rows.end() - 30, problem.rows.end());
    problem.rows.resize(60);
    const MlpSpec spec{.hidden_layer_sizes = {12},
                       .batch_size = 16,
                       .learning_rate_init = 0.02,
                       .early_stopping = true,
                       .n_iter_no_change = 5,
                       .batch_norm = true};
    const auto stack = make_stack(problem, {spec});
    stack->train(1000);
    const MlpProgress& progress = stack->progress(0);
    CHECK(progress.stop_reason == StopReason::no_improvement);
    Matrix<float> probabilities(90, 3);
    stack->predict_proba(0, problem.view(), probabilities.view());
    int n_correct = 0;
    for (int row : problem.validation_rows) {
      const auto p = probabilities.row(row);
      n_correct += std::ranges::max_element(p) - p.begin() == problem.labels[static_cast<std::size_t>(row)];
    }
    CHECK(n_correct / 30.0 == *std::ranges::max_element(progress.validation_scores));
  }

  TEST_CASE("parameters go in and come out as they were, and others are refused") {
    const MlpProblem problem(20, 4, 3);
    const MlpSpec spec{.hidden_layer_sizes = {5, 7}, .batch_norm = true};
    const auto stack = make_stack(problem, {spec, spec});
    stack->train(3);
    stack->set_parameters(1, stack->parameters(0));
    CHECK(stack->parameters(1) == stack->parameters(0));
    MlpParameters parameters = stack->parameters(0);
    parameters.batch_norms[1].running_var.pop_back();
    CHECK_THROWS_WITH_AS(stack->set_parameters(0, parameters),
                         "layer 1: batch normalisation of 6 units, where 7 are expected", Error);
    parameters.batch_norms.clear();
    CHECK_THROWS_WITH_AS(stack->set_parameters(0, parameters),
                         "0 batch normalisations for 2 hidden layers with batch_norm", Error);
    CHECK_THROWS_WITH_AS(make_stack(problem, {spec, {.hidden_layer_sizes = {5, 7}}}),
                         "a stack of models of different architectures", Error);
  }

  TEST_CASE("bf16 gives the loss of operands that bf16 holds, and gradients to its rounding") {
    struct Case {
      int n_rows, n_features, n_classes;
      std::vector<int> hidden_layer_sizes;
    };
    const std::vector<Case> cases = {{50, 20, 8, {37}}, {29, 16, 4, {15, 17}}, {41, 31, 2, {8}},
                                     {17, 33, 40, {}},  {1, 5, 3, {70}},       {300, 130, 5, {200}}};
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      if (!mlp_kernels().lack_of_bf16.empty()) {
        MESSAGE("skipped with " << simd << ": " << mlp_kernels().lack_of_bf16);
        continue;
      }
      for (const Case& each : cases) {
        MlpProblem problem(each.n_rows, each.n_features, each.n_classes);
        for (float& value : problem.features.values) value = to_bf16(value);
        const MlpSpec spec{.hidden_layer_sizes = each.hidden_layer_sizes,
                           .activation = Activation::tanh,
                           .solver = Solver::sgd,
                           .batch_size = each.n_rows,
                           .learning_rate_init = 1,
                           .momentum = 0,
                           .precision = Precision::bf16};
        MlpJob job = problem.job(spec);
        job.scaling = nullptr;
        const auto stack = make_cpu_mlp_stack(problem.training_set(), {&job, 1}, 1);
        MlpParameters start = stack->parameters(0);
        for (float& value : start.weights[0].values) value = to_bf16(value);
        for (float& value : start.biases[0]) value = to_bf16(value);
        stack->set_parameters(0, start);
        ReferenceMlp reference(problem.training_set(), job);
        reference.parameters() = to_reference(start);
        stack->train(1);
        reference.train(1);
        CAPTURE(problem.n_features());
        CHECK(stack->progress(0).loss_curve[0] ==
              doctest::Approx(reference.progress().loss_curve[0]).epsilon(1e-6));
        CHECK(relative_difference(stack->parameters(0), reference.parameters()) < 4e-3);  // 2^-8
      }
    }
  }

  TEST_CASE("epochs in bf16 stay near the reference, whether rows are rounded once or in each minibatch") {
    const MlpProblem problem(57, 21, 5);
    for (const MlpSpec& plain : with_options({.hidden_layer_sizes = {70, 11}, .batch_size = 20})) {
      MlpSpec spec = plain;
      spec.precision = Precision::bf16;
      CAPTURE(to_json_fields(spec).dump());
      const auto stack = make_stack(problem, {spec});
      if (!mlp_kernels().lack_of_bf16.empty()) {
        MESSAGE("skipped: " << mlp_kernels().lack_of_bf16);
        return;
      }
      ReferenceMlp reference(problem.training_set(), problem.job(spec));
      stack->train(5);
      reference.train(5);
      // Adam's steps are of the rate's size whatever the gradient's, so 15 of them could part by a tenth of
      // the largest weight; they do by 0.017 at the most, and rows out of place by 0.08 and more.
      CHECK(relative_difference(stack->parameters(0), reference.parameters()) < 0.03);
      const auto& losses = reference.progress().loss_curve;
      for (std::size_t epoch = 0; epoch < losses.size(); ++epoch)
        CHECK(stack->progress(0).loss_curve[epoch] == doctest::Approx(losses[epoch]).epsilon(2e-3));
    }
  }

  TEST_CASE("bf16 keeps the promises of a stack, and is refused where the processor has not got it") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      CAPTURE(simd);
      MlpProblem problem(57, 21, 5);
      MlpSpec spec{.hidden_layer_sizes = {19, 11}, .batch_size = 10, .precision = Precision::bf16};
      std::vector<MlpSpec> specs(3, spec);
      specs[1].random_state = 1;
      specs[2] = with_every_option(spec);
      specs[2].batch_norm = false;
      const auto together = make_stack(problem, specs, 2);
      Matrix<float> probabilities(57, 5);
      together->predict_proba(0, problem.view(), probabilities.view());  // in float32 everywhere
      if (!mlp_kernels().lack_of_bf16.empty()) {
        CHECK_THROWS_WITH_AS(together->train(1), doctest::Contains("precision bf16: "), Error);
        continue;
      }
      together->train(5);
      for (int i = 0; i < 3; ++i) {
        const auto alone = make_stack(problem, {specs[static_cast<std::size_t>(i)]});
        for (int epochs : {1, 4}) alone->train(epochs);
        CHECK(together->parameters(i) == alone->parameters(0));
        CHECK(together->progress(i) == alone->progress(0));
      }
      for (const float poison : {NAN, INFINITY}) {
        problem.features(29, 4) = poison;
        const auto bad = make_stack(problem, {spec});
        bad->train(3);
        CHECK(bad->progress(0).stop_reason == StopReason::not_finite);
      }
    }
  }
}
