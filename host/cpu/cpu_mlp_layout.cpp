// Layouts and buffers of cpu_mlp_kernels.hpp.

#include <algorithm>
#include <bit>

#include "host/cpu/bf16_tiles.hpp"
#include "host/cpu/cpu_mlp_kernels.hpp"

namespace melgrad {

AlignedFloats::AlignedFloats(Index size)
    : data_(static_cast<float*>(
          ::operator new (static_cast<std::size_t>(size) * sizeof(float), std::align_val_t{alignment}))),
      size_(size) {
  std::fill_n(data_.get(), size, 0.0f);
}

MlpNetwork::MlpNetwork(Index n_features, const MlpSpec& spec, int n_classes_)
    : activation(spec.activation), n_classes(n_classes_), bf16(spec.precision == Precision::bf16) {
  Index fan_in = n_features;
  const auto add = [&](Index fan_out) {
    MlpLayer layer;
    layer.fan_in = fan_in;
    layer.fan_out = fan_out;
    // Floats that a product runs over, padding included. The transposed layout's dot products end in sums
    // over lanes, so it must save a sixth at least.
    const Index as_is = (fan_in + 1) * padded_columns(fan_out);
    const Index transposed = padded_columns(fan_in + 1) * ((fan_out + 3) / 4 * 4);
    layer.transposed = 6 * transposed <= 5 * as_is && !(bf16 && layers.empty());
    layer.stride = row_stride(layer.cols());
    layer.offset = n_values;
    n_values += (layer.rows() + 3) / 4 * 4 * layer.stride;  // dot products and transposes take rows by four
    layers.push_back(layer);
    fan_in = fan_out;
  };
  for (int units : spec.hidden_layer_sizes) add(units);
  add(n_outputs(n_classes));
  if (!spec.batch_norm) return;
  for (int units : spec.hidden_layer_sizes) {
    norms.push_back({units, padded_columns(units), n_values});
    n_values += 4 * padded_columns(units);
  }
}

MlpWorkspace::MlpWorkspace(const MlpNetwork& network, Index capacity_, bool has_slopes)
    : capacity(capacity_),
      input_rows(static_cast<std::size_t>(capacity_)),
      labels(static_cast<std::size_t>(capacity_)),
      targets(static_cast<std::size_t>(capacity_)),
      drawn(static_cast<std::size_t>(capacity_)) {
  Index widest = 0, deepest = capacity, longest = 0, largest_gradient = 0;
  const auto add_activations = [&](Index units, float last) {
    activations.emplace_back(capacity * row_stride(units + 1));
    for (Index row = 0; row < capacity; ++row)
      activations.back().data()[row * row_stride(units + 1) + units] = last;
  };
  add_activations(network.layers[0].fan_in, network.norms.empty() ? 1.0f : 0.0f);
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const MlpLayer& layer = network.layers[l];
    const Index stride = row_stride(layer.fan_out + 1);
    add_activations(layer.fan_out, 0.0f);
    decay.emplace_back(layer.stride);
    longest = std::max({longest, layer.stride, stride});
    if (l + 1 < network.layers.size()) {
      widest = std::max(widest, stride);
      MlpHidden& each = hidden.emplace_back();
      if (has_slopes) each.slopes = AlignedFloats(capacity * stride);
      if (!network.norms.empty()) {
        each.normalised = AlignedFloats(capacity * stride);
        each.inverse_std = AlignedFloats(stride);
      }
    }
    deepest = std::max({deepest, layer.fan_in + 1, layer.fan_out});
    if (is_large_operand(capacity, stride)) largest_gradient = std::max(largest_gradient, capacity * stride);
  }
  if (network.bf16) reserve_bf16(network.layers[0]);
  for (auto& each : row_terms) each = AlignedFloats(padded_columns(capacity));
  for (auto& each : delta) each = AlignedFloats(capacity * widest);
  panel = AlignedFloats(std::max((deepest + 3) / 4 * 4 * 48, largest_gradient));
  factors = AlignedFloats(std::max(widest, row_stride(network.layers[0].fan_in + 1)));
  norm_gradient = AlignedFloats(2 * widest);
  for (auto* each : {&smoothed, &target_row, &logit_row})
    *each = AlignedFloats(padded_columns(network.n_classes));
  no_decay = AlignedFloats(longest);
  mean = AlignedFloats(padded_columns(network.layers[0].fan_in));
  inverse_scale = AlignedFloats(padded_columns(network.layers[0].fan_in));
}

// Rows of an odd number of cache lines, as row_stride() gives them for floats.
constexpr Index bf16_row_stride(Index n) {
  return (in_bf16_blocks(n) / bf16_block | 1) * bf16_block;
}

void MlpWorkspace::reserve_bf16(const MlpLayer& first) {
  const Index n_inputs = in_bf16_blocks(first.fan_in + 1), n_rows = in_bf16_blocks(capacity);
  bf16.input_stride = bf16_row_stride(first.fan_in + 1);
  bf16.transposed_stride = bf16_row_stride(capacity);
  bf16.input_rows.resize(static_cast<std::size_t>(capacity));
  const auto reserve = [](auto& array, Index size) {
    array.require(static_cast<std::size_t>(size));
    std::fill_n(array.data(), size, 0);
  };
  reserve(bf16.inputs, n_rows * bf16.input_stride);
  reserve(bf16.transposed, n_inputs * bf16.transposed_stride);
  reserve(bf16.right, std::max(n_inputs / 2 * first.stride, n_rows / 2 * row_stride(first.fan_out + 1)));
}

void MlpWorkspace::use(const MlpNetwork& network, const MlpJob& job, std::span<const float> class_weights) {
  const MlpSpec& spec = job.spec;
  const float of_weights = spec.solver == Solver::adamw ? 1.0f : static_cast<float>(spec.alpha);
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const MlpLayer& layer = network.layers[l];
    // As it is, the bias is a row of its own, which takes no_decay; transposed, it is the last column.
    const Index n_decaying = layer.transposed ? layer.fan_in : layer.fan_out;
    std::fill_n(decay[l].data(), n_decaying, of_weights);
  }
  for (Index k = 0; k < network.layers[0].fan_in; ++k) {
    const auto at = static_cast<std::size_t>(k);
    mean.data()[k] = job.scaling != nullptr ? job.scaling->mean[at] : 0.0f;
    inverse_scale.data()[k] = job.scaling != nullptr ? 1.0f / job.scaling->scale[at] : 1.0f;
  }
  clip = static_cast<float>(spec.clip);
  soft_targets = spec.label_smoothing != 0 || spec.mixup != 0 || !class_weights.empty();
  smoothed_sum = 0;
  for (int c = 0; c < network.n_classes; ++c) {
    const float weight = class_weights.empty() ? 1.0f : class_weights[static_cast<std::size_t>(c)];
    smoothed.data()[c] = smoothed_share(static_cast<float>(spec.label_smoothing), network.n_classes, weight);
    smoothed_sum += smoothed.data()[c];
  }
}

void MlpWorkspace::reserve_resident(const MlpNetwork& network, Index n_rows) {
  const Index n_features = network.layers[0].fan_in;
  if (network.bf16) return bf16.resident.require(static_cast<std::size_t>(n_rows * bf16.input_stride));
  const Index stride = row_stride(n_features + 1);
  if (resident.size() >= n_rows * stride) return;
  resident = AlignedFloats(n_rows * stride);
  for (Index row = 0; row < n_rows; ++row)
    resident.data()[row * stride + n_features] = network.norms.empty() ? 1.0f : 0.0f;
}

void MlpWorkspace::reserve_order(int n_rows) {
  const auto n = static_cast<std::size_t>(n_rows);
  order.resize(std::max(order.size(), n));
  permuted.resize(std::max(permuted.size(), std::bit_ceil(n)));
}

}  // namespace melgrad
