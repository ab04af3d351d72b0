// Layouts and buffers of cpu_mlp_kernels.hpp.

#include <algorithm>
#include <bit>

#include "host/cpu/cpu_mlp_kernels.hpp"

namespace melgrad {

AlignedFloats::AlignedFloats(Index size)
    : data_(static_cast<float*>(
          ::operator new (static_cast<std::size_t>(size) * sizeof(float), std::align_val_t{alignment}))),
      size_(size) {
  std::fill_n(data_.get(), size, 0.0f);
}

MlpNetwork::MlpNetwork(Index n_features, std::span<const int> hidden_layer_sizes, Activation activation_,
                       int n_classes_)
    : activation(activation_), n_classes(n_classes_) {
  Index fan_in = n_features;
  const auto add = [&](Index fan_out) {
    MlpLayer layer;
    layer.fan_in = fan_in;
    layer.fan_out = fan_out;
    // Floats that a product runs over, padding included. The transposed layout's dot products end in sums
    // over lanes, so it must save a sixth at least.
    const Index as_is = (fan_in + 1) * padded_columns(fan_out);
    const Index transposed = padded_columns(fan_in + 1) * ((fan_out + 3) / 4 * 4);
    layer.transposed = 6 * transposed <= 5 * as_is;
    layer.stride = row_stride(layer.cols());
    layer.offset = n_values;
    n_values += (layer.rows() + 3) / 4 * 4 * layer.stride;  // dot products and transposes take rows by four
    layers.push_back(layer);
    fan_in = fan_out;
  };
  for (int units : hidden_layer_sizes) add(units);
  add(n_outputs(n_classes));
}

MlpWorkspace::MlpWorkspace(const MlpNetwork& network, Index capacity_)
    : capacity(capacity_), labels(static_cast<std::size_t>(capacity_)) {
  Index widest = 0, largest = 0, longest = 0;
  const auto add_activations = [&](Index units) {
    activations.emplace_back(capacity * row_stride(units + 1));
    for (Index row = 0; row < capacity; ++row)
      activations.back().data()[row * row_stride(units + 1) + units] = 1;
  };
  add_activations(network.layers[0].fan_in);
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const MlpLayer& layer = network.layers[l];
    add_activations(layer.fan_out);
    decay.emplace_back(layer.stride);
    longest = std::max(longest, layer.stride);
    if (l == 0) continue;
    widest = std::max(widest, row_stride(layer.fan_in + 1));
    if (!layer.transposed)
      largest = std::max(largest, (layer.fan_out + 3) / 4 * 4 * row_stride(layer.fan_in + 1));
  }
  for (auto& each : row_terms) each = AlignedFloats(padded_columns(capacity));
  for (auto& each : delta) each = AlignedFloats(capacity * widest);
  transposed = AlignedFloats(largest);
  no_decay = AlignedFloats(longest);
  mean = AlignedFloats(padded_columns(network.layers[0].fan_in));
  inverse_scale = AlignedFloats(padded_columns(network.layers[0].fan_in));
}

void MlpWorkspace::use(const MlpNetwork& network, double alpha, const FeatureScaling* scaling) {
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const MlpLayer& layer = network.layers[l];
    // As it is, the bias is a row of its own, which takes no_decay; transposed, it is the last column.
    const Index n_decaying = layer.transposed ? layer.fan_in : layer.fan_out;
    std::fill_n(decay[l].data(), n_decaying, static_cast<float>(alpha));
  }
  for (Index k = 0; k < network.layers[0].fan_in; ++k) {
    const auto at = static_cast<std::size_t>(k);
    mean.data()[k] = scaling != nullptr ? scaling->mean[at] : 0.0f;
    inverse_scale.data()[k] = scaling != nullptr ? 1.0f / scaling->scale[at] : 1.0f;
  }
}

void MlpWorkspace::reserve_order(int n_rows) {
  const auto n = static_cast<std::size_t>(n_rows);
  order.resize(std::max(order.size(), n));
  permuted.resize(std::max(permuted.size(), std::bit_ceil(n)));
}

}  // namespace melgrad
