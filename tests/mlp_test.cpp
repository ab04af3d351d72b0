#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <numbers>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"
#include "host/cpu/cpu_mlp.hpp"
#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/simd.hpp"
#include "host/engine/mlp.hpp"
#include "support/mlp_problem.hpp"
#include "support/reference_mlp.hpp"

using namespace melgrad;
using namespace melgrad::testing;

namespace {

// Kernels of one instruction set while it lives.
class WithSimd {
 public:
  explicit WithSimd(const std::string& name) { use_simd(name); }
  ~WithSimd() { choose_simd(); }
};

std::unique_ptr<MlpStack> make_stack(const MlpProblem& problem, const std::vector<MlpSpec>& specs,
                                     int n_threads = 1) {
  std::vector<MlpJob> jobs;
  for (const MlpSpec& spec : specs) jobs.push_back(problem.job(spec));
  return make_cpu_mlp_stack(problem.training_set(), jobs, n_threads);
}

struct Case {
  int n_rows, n_features, n_classes;
  std::vector<int> hidden_layer_sizes;
  int batch_size;
};

// Sizes that meet every tile, its tails, both layouts, one row, one unit, one column more or less than a
// vector, and layers without hidden units.
const std::vector<Case> cases = {
    {50, 20, 8, {37}, 20},          {33, 180, 8, {300}, 33},     {29, 15, 3, {16}, 8},
    {29, 16, 4, {15, 17}, 29},      {7, 1, 2, {1}, 3},           {64, 48, 2, {8}, 64},
    {40, 31, 20, {10, 10, 10}, 13}, {17, 33, 40, {64}, 17},      {25, 9, 5, {}, 10},
    {31, 47, 12, {49, 95}, 1},      {12, 5, 17, {33, 4, 65}, 5},
};

}  // namespace

TEST_SUITE("mlp") {
  TEST_CASE("training equals the double-precision reference for every shape, activation, solver and SIMD") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      for (const Case& each : cases) {
        const MlpProblem problem(each.n_rows, each.n_features, each.n_classes);
        for (int activation = 0; activation < 5; ++activation) {
          for (int solver = 0; solver < 4; ++solver) {
            MlpSpec spec{.hidden_layer_sizes = each.hidden_layer_sizes,
                         .activation = static_cast<Activation>(activation),
                         .solver = solver == 0 ? Solver::adam : Solver::sgd,
                         .alpha = 0.01,
                         .batch_size = each.batch_size,
                         .learning_rate_init = 1e-3,
                         .random_state = 7 + activation,
                         .momentum = solver == 1 ? 0.0 : 0.9,
                         .nesterovs_momentum = solver == 3,
                         .epsilon = 1e-5};
            CAPTURE(simd);
            CAPTURE(problem.n_features());
            CAPTURE(to_json_fields(spec).dump());
            const auto stack = make_stack(problem, {spec});
            ReferenceMlp reference(problem.training_set(), problem.job(spec));
            CHECK(relative_difference(stack->parameters(0), reference.parameters()) == 0);
            stack->train(2);
            reference.train(2);
            // Rounding of 1e-7 a step over up to 62 steps. (With its default epsilon of 1e-8 adam divides
            // gradients that cancel to nearly nothing by their own size, and what is left is rounding.)
            CHECK(relative_difference(stack->parameters(0), reference.parameters()) < 1e-5);
            for (std::size_t i = 0; i < 2; ++i)
              CHECK(stack->progress(0).loss_curve[i] ==
                    doctest::Approx(reference.progress().loss_curve[i]).epsilon(1e-5));
          }
        }
      }
    }
  }

  TEST_CASE("layers so large that their operands are packed train as the reference does") {
    const MlpProblem problem(128, 130, 3);
    const MlpSpec spec{.hidden_layer_sizes = {520, 150}, .batch_size = 128, .epsilon = 1e-5};
    ReferenceMlp reference(problem.training_set(), problem.job(spec));
    reference.train(1);
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      CAPTURE(simd);
      const auto stack = make_stack(problem, {spec});
      stack->train(1);
      CHECK(relative_difference(stack->parameters(0), reference.parameters()) < 1e-5);
      CHECK(stack->progress(0).loss_curve[0] ==
            doctest::Approx(reference.progress().loss_curve[0]).epsilon(1e-5));
    }
  }

  TEST_CASE("vector functions keep their limits, in units of the last place") {
    struct Function {
      const char* name;
      void (*MlpKernels::*vector)(const float*, float*, Index);
      double (*exact)(double);
      double low, high;  // beyond, the function is clamped
      double limit;
    };
    const Function functions[] = {
        {"exp", &MlpKernels::exp, [](double x) { return std::exp(x); }, -87.3, 88.3, 2},
        {"logistic", &MlpKernels::logistic, [](double x) { return 1 / (1 + std::exp(-x)); }, -87, 100, 4},
        {"tanh", &MlpKernels::tanh, [](double x) { return std::tanh(x); }, -100, 100, 4},
        {"gelu", &MlpKernels::gelu, [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }, -13,
         100, 5}};
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      const MlpKernels kernels = mlp_kernels();
      for (const Function& function : functions) {
        // Every 997th float of either sign between 1e-30 and the bounds, and 0.
        std::vector<float> x;
        for (std::uint32_t bits = 0x0da24260; bits < 0x42c80000; bits += 997) {
          const auto magnitude = std::bit_cast<float>(bits);
          if (static_cast<double>(magnitude) <= function.high) x.push_back(magnitude);
          if (-static_cast<double>(magnitude) >= function.low) x.push_back(-magnitude);
        }
        x.resize((x.size() + 15) / 16 * 16);
        std::vector<float> y(x.size());
        (kernels.*function.vector)(x.data(), y.data(), static_cast<Index>(x.size()));
        double worst = 0, worst_x = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double exact = function.exact(static_cast<double>(x[i]));
          const float nearest = static_cast<float>(exact);
          const double ulp = static_cast<double>(std::nextafter(std::abs(nearest), INFINITY)) -
                             std::abs(static_cast<double>(nearest));
          const double error = std::abs(static_cast<double>(y[i]) - exact) / ulp;
          if (!(error <= worst)) worst = error, worst_x = static_cast<double>(x[i]);
        }
        CAPTURE(simd);
        CAPTURE(function.name);
        CAPTURE(worst_x);
        CHECK(worst <= function.limit);
      }
    }
  }

  TEST_CASE("gelu's derivative is within 3e-7, and follows the function far out") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      const MlpKernels kernels = mlp_kernels();
      std::vector<float> x;
      for (int i = -20'000; i < 20'000; ++i) x.push_back(0.001f * static_cast<float>(i));
      std::vector<float> y(x.size());
      kernels.gelu_slope(x.data(), y.data(), static_cast<Index>(x.size()));
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto at = static_cast<double>(x[i]);
        const double exact = 0.5 * std::erfc(-at * std::sqrt(0.5)) +
                             at * std::exp(-0.5 * at * at) / std::sqrt(2 * std::numbers::pi);
        const double error = std::abs(static_cast<double>(y[i]) - exact);
        worst = error <= worst ? worst : error;
      }
      CAPTURE(simd);
      CHECK(worst < 3e-7);
    }
  }

  TEST_CASE("vector functions give NaN for NaN, and their limits far out") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      const MlpKernels kernels = mlp_kernels();
      std::vector<float> x(16, NAN), y(16);
      x[0] = -INFINITY, x[1] = INFINITY;
      kernels.exp(x.data(), y.data(), 16);
      CHECK(y[0] < 2e-38f);
      CHECK(y[1] > 1e38f);
      CHECK(std::ranges::all_of(y.begin() + 2, y.end(), [](float v) { return std::isnan(v); }));
      kernels.logistic(x.data(), y.data(), 16);
      CHECK(y[0] < 2e-38f);
      CHECK(y[1] == 1.0f);
      CHECK(std::ranges::all_of(y.begin() + 2, y.end(), [](float v) { return std::isnan(v); }));
      kernels.tanh(x.data(), y.data(), 16);
      CHECK(y[0] == -1.0f);
      CHECK(y[1] == 1.0f);
      CHECK(std::ranges::all_of(y.begin() + 2, y.end(), [](float v) { return std::isnan(v); }));
      x[0] = -1e4f, x[1] = 1e4f;
      kernels.gelu(x.data(), y.data(), 16);
      CHECK(std::abs(y[0]) < 1e-30f);
      CHECK(y[1] == 1e4f);
      CHECK(std::ranges::all_of(y.begin() + 2, y.end(), [](float v) { return std::isnan(v); }));
    }
  }

  TEST_CASE("asking which instruction set runs does not change it") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      const auto before = mlp_kernels().train_step;
      const std::string name = simd_name();
      CHECK((mlp_kernels().train_step == before));
      CHECK(available_simd().size() >= 1);
      CHECK((mlp_kernels().train_step == before));
      CHECK(simd_name() == name);
    }
  }

  TEST_CASE("a model's bits do not depend on its stack, the threads, or how its epochs are called for") {
    const MlpProblem problem(57, 21, 5);
    std::vector<MlpSpec> specs;
    for (int i = 0; i < 7; ++i) {
      MlpSpec spec{.hidden_layer_sizes = {19, 11},
                   .activation = Activation::tanh,
                   .batch_size = 10 + i,
                   .random_state = i};
      spec.solver = i % 2 == 0 ? Solver::adam : Solver::sgd;
      spec.alpha = 0.001 * i;
      spec.max_iter = 5 + i;
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

  TEST_CASE("a model that meets NaN or infinity stops alone, and the others are untouched") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      for (Activation activation : {Activation::identity, Activation::logistic, Activation::tanh,
                                    Activation::relu, Activation::gelu}) {
        for (int n_classes : {2, 4}) {
          MlpProblem problem(30, 9, n_classes);
          for (const float poison : {NAN, INFINITY}) {
            problem.features(29, 4) = poison;
            const std::vector<int> clean(problem.rows.begin(), problem.rows.end() - 1);
            const MlpSpec spec{.hidden_layer_sizes = {6, 5}, .activation = activation, .batch_size = 7};
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
            // Logistic and tanh of infinity are finite, but the gradient of its weight is not.
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

  TEST_CASE("a model that diverges is found out") {
    const MlpProblem problem(40, 6, 3);
    MlpSpec spec{.hidden_layer_sizes = {8},
                 .activation = Activation::identity,
                 .solver = Solver::sgd,
                 .learning_rate_init = 1e3,
                 .max_iter = 1000};
    const auto stack = make_stack(problem, {spec});
    stack->train(1000);
    CHECK(stack->progress(0).stop_reason == StopReason::not_finite);
    CHECK(stack->progress(0).loss_curve.size() == static_cast<std::size_t>(stack->progress(0).n_iter));
  }

  TEST_CASE("probabilities equal the reference's, and a row's bits do not depend on its companions") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      for (const Case& each : cases) {
        const MlpProblem problem(each.n_rows, each.n_features, each.n_classes);
        const MlpProblem other(600, each.n_features, each.n_classes, 2);
        const MlpSpec spec{.hidden_layer_sizes = each.hidden_layer_sizes, .activation = Activation::logistic};
        const auto stack = make_stack(problem, {spec}, 2);
        ReferenceMlp reference(problem.training_set(), problem.job(spec));
        Matrix<float> probabilities(600, each.n_classes);
        stack->predict_proba(0, other.view(), probabilities.view());
        const Matrix<double> expected = reference.predict_proba(other.view());
        double worst = 0;
        for (std::size_t i = 0; i < expected.values.size(); ++i)
          worst =
              std::max(worst, std::abs(static_cast<double>(probabilities.values[i]) - expected.values[i]));
        CHECK(worst < 2e-6);
        Matrix<float> one(1, each.n_classes);
        for (Index row : {0, 1, 255, 256, 599}) {
          stack->predict_proba(0, other.view().rows_from(row, 1), one.view());
          CHECK(std::ranges::equal(one.row(0), probabilities.row(row)));
        }
      }
    }
  }

  TEST_CASE("early stopping keeps the best epoch's parameters") {
    MlpProblem problem(90, 5, 3);
    problem.validation_rows.assign(problem.rows.end() - 30, problem.rows.end());
    problem.rows.resize(60);
    MlpSpec spec{.hidden_layer_sizes = {12},
                 .batch_size = 16,
                 .learning_rate_init = 0.02,
                 .early_stopping = true,
                 .n_iter_no_change = 5};
    const auto stack = make_stack(problem, {spec});
    ReferenceMlp reference(problem.training_set(), problem.job(spec));
    stack->train(1000);
    reference.train(1000);
    const MlpProgress& progress = stack->progress(0);
    CHECK(progress.stop_reason == StopReason::no_improvement);
    CHECK(progress.validation_scores.size() == progress.loss_curve.size());
    CHECK(progress.validation_scores == reference.progress().validation_scores);
    CHECK(relative_difference(stack->parameters(0), reference.parameters()) < 1e-3);  // tens of epochs
    Matrix<float> probabilities(90, 3);
    stack->predict_proba(0, problem.view(), probabilities.view());
    int n_correct = 0;
    for (int row : problem.validation_rows) {
      const auto p = probabilities.row(row);
      n_correct += std::ranges::max_element(p) - p.begin() == problem.labels[static_cast<std::size_t>(row)];
    }
    CHECK(n_correct / 30.0 == *std::ranges::max_element(progress.validation_scores));
  }

  TEST_CASE("a stack refuses what it cannot train, and says why") {
    MlpProblem problem(20, 4, 3);
    const MlpSpec spec{.hidden_layer_sizes = {5}};
    MlpSpec deeper = spec;
    deeper.hidden_layer_sizes = {5, 5};
    CHECK_THROWS_WITH_AS(make_stack(problem, {}), "a stack of no models", Error);
    CHECK_THROWS_WITH_AS(make_stack(problem, {spec, deeper}), "a stack of models of different architectures",
                         Error);
    MlpProblem one_class(20, 4, 1);
    CHECK_THROWS_WITH_AS(make_stack(one_class, {spec}), doctest::Contains("1 class in the training set"),
                         Error);
    MlpSpec early = spec;
    early.early_stopping = true;
    CHECK_THROWS_WITH_AS(make_stack(problem, {early})->train(1), "early_stopping without validation rows",
                         Error);
    problem.labels[3] = 3;
    CHECK_THROWS_WITH_AS(make_stack(problem, {spec}), "row 3 has label 3, not one of 3 classes", Error);
    problem.labels[3] = 0;
    problem.rows[5] = 20;
    CHECK_THROWS_WITH_AS(make_stack(problem, {spec}), "row 20 of a training set of 20 rows", Error);
    problem.rows[5] = 5;
    problem.scaling.mean.pop_back();
    CHECK_THROWS_WITH_AS(make_stack(problem, {spec}), "a scaling of 3 features for 4 features", Error);
    problem.scaling.mean.push_back(0);
    const auto stack = make_stack(problem, {spec});
    MlpParameters parameters = stack->parameters(0);
    parameters.biases[1].push_back(0);
    CHECK_THROWS_WITH_AS(stack->set_parameters(0, parameters),
                         doctest::Contains("layer 1: weights [5, 3] and 4 biases"), Error);
    Matrix<float> probabilities(20, 2);
    CHECK_THROWS_WITH_AS(stack->predict_proba(0, problem.view(), probabilities.view()),
                         doctest::Contains("probabilities [20, 2] for 20 rows and 3 classes"), Error);
  }
}
