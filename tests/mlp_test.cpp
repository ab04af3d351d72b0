#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"
#include "host/cpu/cpu_mlp.hpp"
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
  TEST_CASE("the reference's gradient equals central differences of its loss") {
    for (Activation activation :
         {Activation::identity, Activation::logistic, Activation::tanh, Activation::relu}) {
      for (int n_classes : {2, 4}) {
        const MlpProblem problem(13, 6, n_classes);
        MlpSpec spec{.hidden_layer_sizes = {5, 4}, .activation = activation, .alpha = 0.1};
        ReferenceMlp model(problem.training_set(), problem.job(spec));
        ReferenceParameters gradient;
        model.loss(problem.rows, &gradient);
        const auto check = [&](double& parameter, double expected) {
          const double h = 1e-6, there = parameter;
          parameter = there + h;
          const double above = model.loss(problem.rows, nullptr);
          parameter = there - h;
          const double below = model.loss(problem.rows, nullptr);
          parameter = there;
          // A difference of losses near 1 over 2e-6 has an error of about 1e-10.
          CHECK((above - below) / (2 * h) == doctest::Approx(expected).epsilon(1e-8).scale(1));
        };
        for (std::size_t l = 0; l < 3; ++l) {
          auto& weights = model.parameters().weights[l].values;
          for (std::size_t i = 0; i < weights.size(); ++i) check(weights[i], gradient.weights[l].values[i]);
          auto& biases = model.parameters().biases[l];
          for (std::size_t i = 0; i < biases.size(); ++i) check(biases[i], gradient.biases[l][i]);
        }
      }
    }
  }

  TEST_CASE("training equals the double-precision reference for every shape, activation, solver and SIMD") {
    for (const std::string& simd : available_simd()) {
      const WithSimd with(simd);
      for (const Case& each : cases) {
        const MlpProblem problem(each.n_rows, each.n_features, each.n_classes);
        for (int activation = 0; activation < 4; ++activation) {
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
}
