// The gradients of the CUDA engine's own steps, by either route, against central differences of the loss.

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "gpu_session.hpp"
#include "kernels/cuda_mlp_stack.hpp"
#include "support/mlp_gradients.hpp"

namespace melgrad::MELGRAD_KERNELS {

TEST_SUITE("kernels_gradients") {
  TEST_CASE("gradients equal central differences for every layer, activation and loss option") {
    double worst = 0;
    for (Activation activation : testing::activations) {
      if (is_slow && activation != Activation::gelu) continue;
      for (int n_classes : {2, 4}) {
        testing::MlpProblem problem(13, 6, n_classes);
        problem.add_copies(2);
        for (const MlpSpec& spec :
             testing::with_options({.hidden_layer_sizes = {5, 4}, .activation = activation, .alpha = 0.1})) {
          for (MlpRoute route : {MlpRoute::block, MlpRoute::stack}) {
            // has neither
            if (route == MlpRoute::block && (spec.batch_norm || spec.input_dropout > 0)) continue;
            CAPTURE(to_json_fields(spec).dump());
            CAPTURE(n_classes);
            CAPTURE(static_cast<int>(route));
            emulation::Session session;
            const auto gaps = testing::gradient_gaps(problem, spec, [&](const MlpSpec& sgd) {
              const MlpJob job = problem.job(sgd);
              return make_cuda_mlp_stack(problem.training_set(), {&job, 1}, {.route = route});
            });
            session.finish();
            CHECK(gaps.engine < 2e-6);  // float32 sums of terms near 1
            worst = std::max(worst, gaps.engine);
          }
        }
      }
    }
    MESSAGE("worst difference of a gradient " << worst);
  }

  // The library normalises all minibatches but an epoch's last, so its gradients show in a longer epoch.
  TEST_CASE("steps of batch_norm by either route of it follow central differences") {
    double worst = 0;
    for (Activation activation : testing::activations) {
      if (is_slow && activation != Activation::gelu) continue;
      for (int n_classes : {2, 4}) {
        const testing::MlpProblem problem(33, 6, n_classes);
        MlpSpec plain{.hidden_layer_sizes = {5, 4}, .activation = activation, .alpha = 0.1, .batch_size = 12};
        plain.batch_norm = true;
        MlpSpec rich = plain;
        rich.dropout = 0.3;
        rich.label_smoothing = 0.1;
        for (const MlpSpec& spec : {plain, rich}) {
          for (NormRoute norm : {NormRoute::own, NormRoute::vendor}) {
            CAPTURE(to_json_fields(spec).dump());
            CAPTURE(n_classes);
            CAPTURE(static_cast<int>(norm));
            emulation::Session session;
            const double gap = testing::descent_gap(problem, spec, [&](const MlpSpec& sgd) {
              const MlpJob job = problem.job(sgd);
              return make_cuda_mlp_stack(problem.training_set(), {&job, 1},
                                         {.route = MlpRoute::stack, .norm = norm});
            });
            session.finish();
            CHECK(gap < 5e-6);  // float32 gradients near 1 of three steps, each from where the last one led
            worst = std::max(worst, gap);
          }
        }
      }
    }
    MESSAGE("worst difference of a parameter " << worst);
  }
}

}  // namespace melgrad::MELGRAD_KERNELS
