#include "kernels/mlp_stack_run.hpp"

#include <algorithm>

#include "kernels/nvtx.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

template <class T>
void clear(const DeviceBuffer<T>& buffer, const Stream& stream) {
  if (buffer.size() > 0)
    check(
        cudaMemsetAsync(buffer.data(), 0, static_cast<std::size_t>(buffer.size()) * sizeof(T), stream.get()),
        "stack");
}

// Rows of the reduction of a layer's forward product: its inputs, and the 1 that feeds the bias, unless that
// comes after the normalisation.
int depth(const DeviceLayer& layer) {
  return layer.norm < 0 ? layer.fan_in + 1 : layer.fan_in;
}

// Where the inputs of a layer lie, and how far apart those of two models.
struct LayerInputs {
  float* data;
  Index step;
};
LayerInputs inputs_of(const StepMemory& memory, const NetworkLayout& layout, int index) {
  if (index == 0) return {memory.inputs, memory.capacity * memory.rows.stride};
  return {memory.outputs_of(layout.layers[static_cast<std::size_t>(index) - 1]),
          memory.capacity * memory.network.n_outputs};
}
// Likewise the gradient by what it gives: that of the logits takes their place.
LayerInputs delta_of(const StepMemory& memory, const NetworkLayout& layout, int index) {
  if (index + 1 == memory.network.n_layers)
    return {memory.outputs_of(layout.layers.back()), memory.capacity * memory.network.n_outputs};
  return {memory.delta_of(index), Index{2} * memory.capacity * memory.network.widest};
}

}  // namespace

// --- Products -------------------------------------------------------------------------------------------

StackProducts::StackProducts(const NetworkLayout& layout, int input_stride, int capacity, bool tf32) {
  for (std::size_t l = 0; l < layout.layers.size(); ++l) {
    const DeviceLayer& layer = layout.layers[l];
    const int in_stride = l == 0 ? input_stride : layer.in_stride;
    forward_.emplace_back(GemmShape{.m = capacity,
                                    .n = layer.fan_out,
                                    .k = depth(layer),
                                    .a_stride = in_stride,
                                    .b_stride = layer.w_stride,
                                    .c_stride = layer.stride,
                                    .tf32 = tf32});
    backward_weights_.emplace_back(GemmShape{.m = depth(layer),
                                             .n = layer.fan_out,
                                             .k = capacity,
                                             .a_stride = in_stride,
                                             .b_stride = layer.stride,
                                             .c_stride = layer.w_stride,
                                             .a_transposed = true,
                                             .tf32 = tf32});
    if (l == 0) continue;
    backward_inputs_.emplace_back(GemmShape{.m = capacity,
                                            .n = layer.fan_in,
                                            .k = layer.fan_out,
                                            .a_stride = layer.stride,
                                            .b_stride = layer.w_stride,
                                            .c_stride = in_stride,
                                            .b_transposed = true,
                                            .tf32 = tf32});
  }
}

void StackProducts::forward(const StepMemory& memory, const NetworkLayout& layout, int index, float* z,
                            cudaStream_t stream) const {
  const auto l = static_cast<std::size_t>(index);
  const DeviceLayer& layer = layout.layers[l];
  const LayerInputs in = inputs_of(memory, layout, index);
  forward_[l].run(memory.n_slots, in.data, memory.parameters + layer.weights, z,
                  {in.step, memory.network.n_values, memory.capacity * memory.network.n_outputs}, stream);
}

void StackProducts::backward_inputs(const StepMemory& memory, const NetworkLayout& layout, int index,
                                    cudaStream_t stream) const {
  const auto l = static_cast<std::size_t>(index);
  const LayerInputs out = delta_of(memory, layout, index), in = delta_of(memory, layout, index - 1);
  backward_inputs_[l - 1].run(memory.n_slots, out.data, memory.parameters + layout.layers[l].weights, in.data,
                              {out.step, memory.network.n_values, in.step}, stream);
}

void StackProducts::backward_weights(const StepMemory& memory, const NetworkLayout& layout, int index,
                                     cudaStream_t stream) const {
  const auto l = static_cast<std::size_t>(index);
  const LayerInputs in = inputs_of(memory, layout, index), out = delta_of(memory, layout, index);
  backward_weights_[l].run(memory.n_slots, in.data, out.data, memory.gradients + layout.layers[l].weights,
                           {in.step, out.step, memory.network.n_values}, stream);
}

// --- The run --------------------------------------------------------------------------------------------

double StackRun::bytes_of_model(const NetworkLayout& layout, int input_stride, int capacity, bool by_vendor) {
  const DeviceNetwork& network = layout.network;
  const bool has_norm = layout.layers.front().norm >= 0;
  const Index buffers = 1 + (layout.has_slopes ? 1 : 0) + (has_norm ? 1 : 0);
  return 4.0 * static_cast<double>(2 * network.n_values + Index{capacity} * input_stride +
                                   buffers * capacity * network.n_outputs +
                                   Index{2} * capacity * network.widest + 2 * capacity +
                                   (by_vendor ? 4 * network.widest + 2 * network.n_outputs : 0)) +
         sizeof(DeviceStep) + sizeof(EpochPermutation);
}

StackRun::StackRun(DeviceModels& models, std::span<const int> queue, const StackProducts& products,
                   const StackNorm* norm, int capacity, int n_epochs, const Stream& stream)
    : models_(models), queue_(queue.begin(), queue.end()), products_(products), norm_(norm) {
  const auto n_slots = static_cast<Index>(queue.size());
  const DeviceNetwork network = models.network();
  const bool has_norm = models.layout().layers.front().norm >= 0;
  const Index n_penalties = ceil_div(network.n_values, optimiser_block);
  for (int index : queue) has_scores_ = has_scores_ || models.model(index).hyper.rules.early_stopping;
  device_queue_ = upload(queue, stream);
  parameters_ = DeviceBuffer<float>(n_slots * network.n_values);
  gradients_ = DeviceBuffer<float>(n_slots * network.n_values);
  inputs_ = DeviceBuffer<float>(n_slots * capacity * models.rows().stride);
  outputs_ = DeviceBuffer<float>(n_slots * capacity * network.n_outputs);
  slopes_ = DeviceBuffer<float>(models.layout().has_slopes ? outputs_.size() : 0);
  normalised_ = DeviceBuffer<float>(has_norm ? outputs_.size() : 0);
  inverse_std_ = DeviceBuffer<float>(has_norm ? n_slots * network.n_outputs : 0);
  norm_units_ = DeviceBuffer<float>(norm != nullptr ? n_slots * 4 * network.widest : 0);
  norm_moments_ = DeviceBuffer<float>(norm != nullptr ? n_slots * 2 * network.n_outputs : 0);
  deltas_ = DeviceBuffer<float>(n_slots * 2 * capacity * network.widest);
  row_of_ = DeviceBuffer<int>(n_slots * capacity);
  scoring_rows_ = DeviceBuffer<int>(has_scores_ ? n_slots * capacity : 0);
  n_done_ = DeviceBuffer<int>(n_slots);
  steps_ = DeviceBuffer<DeviceStep>(n_slots);
  permutations_ = DeviceBuffer<EpochPermutation>(n_slots);
  loss_sums_ = DeviceBuffer<double>(n_slots);
  penalties_ = DeviceBuffer<double>(n_slots * n_penalties);
  scores_ = DeviceBuffer<double>(n_slots);
  losses_ = DeviceBuffer<double>(n_slots * n_epochs);
  score_history_ = DeviceBuffer<double>(n_slots * n_epochs);
  host_losses_ = PinnedBuffer<double>(losses_.size());
  host_scores_ = PinnedBuffer<double>(losses_.size());
  memory_ = {network,
             models.rows(),
             models.device(),
             device_queue_.data(),
             static_cast<int>(n_slots),
             capacity,
             parameters_.data(),
             gradients_.data(),
             inputs_.data(),
             outputs_.data(),
             models.layout().has_slopes ? slopes_.data() : nullptr,
             has_norm ? normalised_.data() : nullptr,
             has_norm ? inverse_std_.data() : nullptr,
             norm_units_.data(),
             norm_moments_.data(),
             deltas_.data(),
             row_of_.data(),
             steps_.data(),
             permutations_.data(),
             loss_sums_.data(),
             penalties_.data(),
             scores_.data(),
             n_done_.data(),
             losses_.data(),
             score_history_.data(),
             n_epochs};
}

// The parameters to their slots. Gradients of padding are never computed and have to be 0, as have the
// outputs' and deltas' columns beside those that products write.
void StackRun::pack(const Stream& stream) {
  const Index n_values = memory_.network.n_values;
  homes_.clear();
  for (std::size_t slot = 0; slot < queue_.size(); ++slot) {
    DeviceModel& model = models_.model(queue_[slot]);
    homes_.push_back(model);
    float* to = parameters_.data() + static_cast<Index>(slot) * n_values;
    check(cudaMemcpyAsync(to, model.parameters, static_cast<std::size_t>(n_values) * sizeof(float),
                          cudaMemcpyDeviceToDevice, stream.get()),
          "stack");
    model.parameters = to;
  }
  models_.upload_models(stream);
  clear(gradients_, stream);
  clear(outputs_, stream);
  clear(deltas_, stream);
  clear(n_done_, stream);
  clear(loss_sums_, stream);
  clear(penalties_, stream);
  clear(losses_, stream);
  clear(score_history_, stream);
}

void StackRun::unpack(const Stream& stream) {
  const Index n_values = memory_.network.n_values;
  models_.download(stream);
  for (std::size_t slot = 0; slot < queue_.size(); ++slot) {
    DeviceModel& model = models_.model(queue_[slot]);
    float* home = homes_[slot].parameters;
    check(cudaMemcpyAsync(home, model.parameters, static_cast<std::size_t>(n_values) * sizeof(float),
                          cudaMemcpyDeviceToDevice, stream.get()),
          "stack");
    model.parameters = home;
  }
  models_.upload_models(stream);
}

// cuDNN normalises all minibatches but an epoch's last: they are full in every model of the substack, and
// whether one is the last depends on its model alone, so that company changes no bits.
void StackRun::put_step(int first, bool is_last, const Stream& stream) const {
  const NetworkLayout& layout = models_.layout();
  const int n_layers = memory_.network.n_layers;
  const auto by_vendor = [&](const DeviceLayer& layer) {
    return norm_ != nullptr && layer.norm >= 0 && !is_last;
  };
  begin_step(memory_, first, stream.get());
  gather_inputs(memory_, first, stream.get());
  for (int index = 0; index < n_layers; ++index) {
    const DeviceLayer& layer = layout.layers[static_cast<std::size_t>(index)];
    products_.forward(memory_, layout, index,
                      by_vendor(layer) ? memory_.normalised_of(layer) : memory_.outputs_of(layer),
                      stream.get());
    if (index + 1 == n_layers) break;
    if (by_vendor(layer))
      normalise_by_vendor(memory_, layer, *norm_, stream.get());
    else if (layer.norm >= 0)
      normalise(memory_, layer, stream.get());
    activate_outputs(memory_, layer, index, first, stream.get());
  }
  loss_and_gradient(memory_, layout.layers.back(), stream.get());
  for (int index = n_layers - 1; index >= 0; --index) {
    products_.backward_weights(memory_, layout, index, stream.get());
    if (index == 0) break;
    const DeviceLayer& below = layout.layers[static_cast<std::size_t>(index) - 1];
    products_.backward_inputs(memory_, layout, index, stream.get());
    derive(memory_, below, index - 1, by_vendor(below), stream.get());
    if (by_vendor(below))
      normalise_backward_by_vendor(memory_, below, index - 1, *norm_, stream.get());
    else if (below.norm >= 0)
      normalise_backward(memory_, below, index - 1, stream.get());
  }
  optimise(memory_, stream.get());
}

// What a graph holds: all minibatches of an epoch, scoring, and the end of the epoch.
void StackRun::put_epoch(const Stream& stream) const {
  const DeviceHyper& hyper = models_.model(queue_.front()).hyper;
  int n_used = 0;
  for (int index : queue_) n_used = std::max(n_used, models_.model(index).hyper.n_used);
  for (int first = 0; first < n_used; first += hyper.batch_size)
    put_step(first, first + hyper.batch_size >= n_used, stream);
  if (has_scores_) {
    BlockScoring scoring{memory_.network, memory_.rows, memory_.models, memory_.queue,
                         memory_.n_slots, {},           nullptr};
    scoring.workspace = {memory_.outputs,      nullptr,          memory_.deltas,
                         scoring_rows_.data(), memory_.capacity, memory_.n_slots};
    scoring.scores = memory_.scores;
    launch_block_scoring(scoring, stream.get());
  }
  end_epoch(memory_, stream.get());
  if (has_scores_) keep_best(memory_, stream.get());
}

void StackRun::train(const Stream& stream) {
  pack(stream);
  const ExecutableGraph epoch = [&] {
    const ProfilerRange range("capture", memory_.n_slots);
    return ExecutableGraph::capture(stream, [&] { put_epoch(stream); });
  }();
  for (int i = 0; i < memory_.n_epochs; ++i) epoch.launch(stream);
  copy_to_host(host_losses_.span(), DeviceSpan<const double>(losses_.span()), stream);
  copy_to_host(host_scores_.span(), DeviceSpan<const double>(score_history_.span()), stream);
  unpack(stream);
}

}  // namespace melgrad::MELGRAD_KERNELS
