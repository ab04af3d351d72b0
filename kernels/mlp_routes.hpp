#pragma once
// Which route trains a stack, from a roofline of both: host code, and nothing of it is measured on a GPU.
//
//   block  one block a model: its steps cost the multiply-adds of padded tiles, and no launches; it needs
//          models enough to fill the multiprocessors.
//   stack  all models side by side in each product: one large launch for each product and each pass between
//          two products, each of which costs its share of the device's peak, or its bytes, or its latency.

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "kernels/mlp_device.hpp"

namespace melgrad {

enum class MlpRoute { automatic, block, stack };

// What the roofline needs to know of a device.
struct GpuRates {
  std::string_view name;
  int multiprocessors = 1;
  int lanes = 128;  // multiply-adds per clock and multiprocessor
  double gigahertz = 1.5;
  double memory_gbs = 1000;  // GB/s
  double l2_megabytes = 40;
  double node_us = 2.2;  // between two nodes of a graph
};
// For projections.
inline constexpr GpuRates h100{"H100", 132, 128, 1.755, 3350, 50, 2.2};
inline constexpr GpuRates a100{"A100", 108, 64, 1.41, 1555, 40, 2.5};
inline constexpr GpuRates rtx4090{"RTX 4090", 128, 128, 2.52, 1008, 72, 2.0};

// One model's training: units of all layers from the features to the outputs, and its rows.
struct MlpShape {
  std::vector<int> units;
  int n_rows = 0;
  int batch_size = 0;
};

namespace routes {

// Shares of the multiply-add peak that the tiles reach with two blocks on a multiprocessor, with one, and
// that cuBLAS reaches; of the memory's bandwidth. From a cycle simulator of the prototype's tiles (49 % cold,
// less two thirds of its stalls when warm), and customary for the rest.
inline constexpr double two_blocks = 0.75, one_block = 0.55, batched_gemm = 0.62, bandwidth = 0.85;

// Issue slots of a thread for each multiply-add of a tile that is `width` columns wide: its own, its loads
// from shared memory and their addresses.
constexpr double slots(int width) {
  return width == 128 ? 70.0 / 64 : width == 64 ? 37.0 / 32 : 12.0 / 8;
}
// Sum over the tiles' widths that cover n columns, times their slots.
constexpr double padded_columns(int n) {
  double sum = 0;
  for (int width = 0; n > 0; n -= width) {
    width = n > 64 ? 128 : n > 16 ? 64 : 16;
    sum += width * slots(width);
  }
  return sum;
}

inline double parameters(const std::vector<int>& units) {
  double sum = 0;
  for (std::size_t l = 1; l < units.size(); ++l) sum += (units[l - 1] + 1.0) * units[l];
  return sum;
}
inline double hidden_units(const std::vector<int>& units) {
  double sum = 0;
  for (std::size_t l = 1; l + 1 < units.size(); ++l) sum += units[l];
  return sum;
}

// Issue slots of the lanes for one step of the route `block` over `rows` rows.
inline double block_step_slots(const std::vector<int>& units, int rows) {
  const int row_tiles = round_up(rows, 128);
  double sum = 0;
  for (std::size_t l = 1; l < units.size(); ++l) {
    const int in = units[l - 1], out = units[l];
    sum += row_tiles * padded_columns(out + 1) * round_up(in + 1, 8);         // forward
    sum += round_up(in + 1, 96) * padded_columns(out) * round_up(rows, 8);    // gradient
    if (l > 1) sum += row_tiles * padded_columns(in + 1) * round_up(out, 8);  // delta of the layer below
    sum += (in + 1.0) * out * 40;                                             // optimiser
    if (l + 1 < units.size()) sum += rows * (out * 34.0);                     // activation: a pass of its own
  }
  return sum + rows * 60.0 * units.back();
}

// Bytes of one model's step in the route `block`, or of one model's share of a step in `stack`.
inline double block_step_bytes(const std::vector<int>& units, int rows) {
  return 4 * (7 * parameters(units) + 7 * hidden_units(units) * rows);
}
inline double stack_step_bytes(const std::vector<int>& units, int rows) {
  return 4 * (3.0 * units[0] * rows + 10 * hidden_units(units) * rows + 10 * parameters(units));
}
inline double working_set(const std::vector<int>& units, int rows) {
  return 4 * (3 * parameters(units) + 2 * hidden_units(units) * rows);
}

template <class F>
double sum_over_steps(const MlpShape& shape, F&& f) {
  const int n_whole = shape.n_rows / shape.batch_size, rest = shape.n_rows % shape.batch_size;
  return n_whole * f(shape.batch_size) + (rest > 0 ? f(rest) : 0.0);
}

}  // namespace routes

// Microseconds of an epoch of all n_models, projected.
inline double block_epoch_us(const GpuRates& gpu, const MlpShape& shape, int n_models) {
  const double cycles =
      routes::sum_over_steps(shape, [&](int rows) { return routes::block_step_slots(shape.units, rows); }) /
      gpu.lanes;
  const double us_per_slot = 1e-3 / gpu.gigahertz;
  const bool is_alone = n_models <= gpu.multiprocessors;
  const double in_flight = is_alone ? gpu.multiprocessors : 2.0 * gpu.multiprocessors;
  const double waves = std::max(
      1.0, n_models > 4 * gpu.multiprocessors ? n_models / in_flight : std::ceil(n_models / in_flight));
  const double issue =
      waves * us_per_slot * (is_alone ? cycles / routes::one_block : 2 * cycles / routes::two_blocks);
  const double set =
      std::min<double>(n_models, in_flight) * routes::working_set(shape.units, shape.batch_size);
  if (set <= gpu.l2_megabytes * 1e6) return issue;
  const double bytes = n_models * routes::sum_over_steps(shape, [&](int rows) {
                         return routes::block_step_bytes(shape.units, rows);
                       });
  return std::max(issue, bytes / (gpu.memory_gbs * 1e3 * routes::bandwidth));
}

// Nodes of an epoch's graph: begin, gather, loss, optimiser; forward product and activation; backward
// products of weights, of inputs and their derivative.
inline int stack_step_nodes(const MlpShape& shape) {
  const int n_layers = static_cast<int>(shape.units.size()) - 1;
  return 4 + n_layers + (n_layers - 1) + n_layers + 2 * (n_layers - 1);
}
inline int n_steps(const MlpShape& shape) {
  return (shape.n_rows + shape.batch_size - 1) / shape.batch_size;
}

inline double stack_epoch_us(const GpuRates& gpu, const MlpShape& shape, int n_models) {
  const double peak = gpu.multiprocessors * gpu.lanes * 2 * gpu.gigahertz * 1e3;  // flops per microsecond
  const double set = n_models * routes::working_set(shape.units, shape.batch_size);
  const double bandwidth =
      gpu.memory_gbs * 1e3 * routes::bandwidth * (set <= 0.6 * gpu.l2_megabytes * 1e6 ? 3.0 : 1.0);
  const double widest = *std::max_element(shape.units.begin() + 1, shape.units.end());
  double us = n_steps(shape) * stack_step_nodes(shape) * gpu.node_us;
  // Each minibatch is padded to batch_size rows, so that the products' shapes never change.
  const int rows = shape.batch_size;
  double flops = 0;
  for (std::size_t l = 1; l < shape.units.size(); ++l)
    flops += (l == 1 ? 4.0 : 6.0) * rows * shape.units[l - 1] * shape.units[l];
  const double n_tiles = n_models * std::ceil(rows / 128.0) * std::ceil(widest / 64);
  const double fill = std::pow(std::min(1.0, n_tiles / (2.0 * gpu.multiprocessors)), 0.7);
  const double products = 1.25 * n_models * flops / (peak * routes::batched_gemm * fill);  // tiles' waste
  const double bytes = n_models * routes::stack_step_bytes(shape.units, rows) / bandwidth;
  return us + n_steps(shape) * std::max(products, bytes);
}

// The rule: the route whose epoch is projected to be shorter; a tie goes to `block`.
inline MlpRoute choose_route(const GpuRates& gpu, const MlpShape& shape, int n_models) {
  return block_epoch_us(gpu, shape, n_models) <= stack_epoch_us(gpu, shape, n_models) ? MlpRoute::block
                                                                                      : MlpRoute::stack;
}

// Epochs of one launch, so that it takes at most about launch_seconds, if the GPU is no slower than a
// quarter of what the roofline says: a display's watchdog kills kernels after two seconds or more.
inline int epochs_per_launch(const GpuRates& gpu, const MlpShape& shape, int n_models,
                             double launch_seconds) {
  const double seconds = 4e-6 * block_epoch_us(gpu, shape, n_models);
  return static_cast<int>(std::clamp(launch_seconds / seconds, 1.0, 1e6));
}

// Models or blocks that a budget holds, of `bytes` each: 0 if not even one.
inline int fitting(double budget_bytes, double bytes, int n) {
  return static_cast<int>(std::min<double>(n, std::floor(budget_bytes / bytes)));
}

}  // namespace melgrad
