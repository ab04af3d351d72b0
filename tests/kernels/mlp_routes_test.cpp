// Which route trains a stack, and what both are projected to take. Nothing here has been measured on a GPU.

#include "kernels/mlp_routes.hpp"

#include <doctest/doctest.h>

#include <string>

namespace melgrad {
namespace {

// A network of the notebook's data: 180 features, 8 classes, nine tenths of 1152 rows.
MlpShape notebook_shape(std::vector<int> hidden) {
  MlpShape shape{{180}, 1036, 256};
  shape.units.insert(shape.units.end(), hidden.begin(), hidden.end());
  shape.units.push_back(8);
  return shape;
}

}  // namespace

TEST_SUITE("kernels_routes") {
  TEST_CASE("stacks take the batched products while models are few and large, then a block each") {
    for (const GpuRates& gpu : {h100, a100, rtx4090}) {
      CAPTURE(gpu.name);
      CHECK(choose_route(gpu, notebook_shape({300}), 1) == MlpRoute::stack);
      CHECK(choose_route(gpu, notebook_shape({2000, 2000}), 20) == MlpRoute::stack);
      CHECK(choose_route(gpu, notebook_shape({300}), 720) == MlpRoute::block);
      const auto first_with_blocks = [&](const std::vector<int>& hidden) {
        int n = 1;
        while (choose_route(gpu, notebook_shape(hidden), n) != MlpRoute::block) ++n;
        return n;
      };
      const int tiny = first_with_blocks({8}), large = first_with_blocks({300});
      MESSAGE(gpu.name << ": a block each from " << tiny << " models of (8,) and " << large << " of (300,)");
      CHECK(large > 10);
      CHECK(large < 300);
    }
  }

  TEST_CASE("more models never take less time by either route") {
    for (const GpuRates& gpu : {h100, a100, rtx4090})
      for (int n = 1; n < 3000; n = n * 5 / 4 + 1) {
        const MlpShape shape = notebook_shape({100, 50});
        CHECK(stack_epoch_us(gpu, shape, n + 1) >= stack_epoch_us(gpu, shape, n));
        if (n > gpu.multiprocessors)
          CHECK(block_epoch_us(gpu, shape, n + 1) >= block_epoch_us(gpu, shape, n));
      }
  }

  TEST_CASE("a launch has epochs enough for its time and never none") {
    const MlpShape shape = notebook_shape({300});
    const int many = epochs_per_launch(h100, shape, 100, 0.5),
              few = epochs_per_launch(h100, shape, 3600, 0.5);
    CHECK(many > few);
    CHECK(few >= 1);
    CHECK(epochs_per_launch(h100, shape, 100000, 1e-6) == 1);
    CHECK(4e-6 * many * block_epoch_us(h100, shape, 100) <= 0.5);
  }

  TEST_CASE("a budget holds whole models only") {
    CHECK(fitting(1000, 300, 10) == 3);
    CHECK(fitting(1000, 300, 2) == 2);
    CHECK(fitting(299, 300, 2) == 0);
  }

  TEST_CASE("the notebook's grid of 3600 fits, projected") {
    for (const GpuRates& gpu : {h100, a100, rtx4090}) {
      double seconds = 0;
      std::string text;
      for (const auto& hidden : std::vector<std::vector<int>>{{8}, {180}, {300}, {100, 50}, {10, 10, 10}}) {
        const MlpShape shape = notebook_shape(hidden);
        const double block = 200e-6 * block_epoch_us(gpu, shape, 720),
                     stack = 200e-6 * stack_epoch_us(gpu, shape, 720);
        seconds += std::min(block, stack);
        text += " " + std::to_string(block) + "/" + std::to_string(stack);
      }
      MESSAGE(gpu.name << ": 5 architectures x 720 fits x 200 epochs, seconds by block/stack:" << text
                       << "; the faster of each: " << seconds << " s; graph nodes of an epoch of (300,): "
                       << n_steps(notebook_shape({300})) * stack_step_nodes(notebook_shape({300})) + 1);
      CHECK(seconds > 0.5);  // below what the multiply-adds alone take at peak, the projection would be wrong
      CHECK(seconds < 60);
    }
  }
}

}  // namespace melgrad
