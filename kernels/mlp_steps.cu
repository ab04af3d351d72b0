#include "kernels/mlp_steps.hpp"

#include "kernels/mlp_tile.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

constexpr int block_size = 256;

// The model of a slot, and whether it still trains.
__device__ __forceinline__ DeviceModel& model_of(const StepMemory& memory, unsigned slot) {
  return memory.models[memory.queue[slot]];
}
__device__ __forceinline__ bool is_running(const DeviceModel& model) {
  return model.state.stop_reason == StopReason::running;
}
// Part `slot` of a buffer that has `size` floats a slot.
template <class T>
__device__ __forceinline__ T* part(T* buffer, unsigned slot, Index size) {
  return buffer == nullptr ? nullptr : buffer + static_cast<Index>(slot) * size;
}

// Sum over a block of block_size threads, in thread 0. All threads.
__device__ __forceinline__ double block_sum(double value) {
  SHARED_ARRAY(double, sums, block_size / 32);
  const int t = static_cast<int>(threadIdx.x);
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  __syncthreads();
  if (t % 32 == 0) sums[t / 32] = value;
  __syncthreads();
  double sum = 0;
  if (t == 0)
    for (int warp = 0; warp < block_size / 32; ++warp) sum += sums[warp];
  return sum;
}

// One block a slot: what the step over the minibatch from row `first` on needs to know. Without the 2 ptxas
// takes 64 registers for its goal and spills.
__global__ void __launch_bounds__(block_size, 2) begin_step_kernel(StepMemory memory, int first) {
  DeviceModel& model = model_of(memory, blockIdx.x);
  if (!is_running(model)) return;
  EpochPermutation& permutation = memory.permutations[blockIdx.x];
  DeviceStep& step = memory.steps[blockIdx.x];
  if (threadIdx.x == 0) {
    if (first == 0)
      permutation = EpochPermutation(model.hyper.random_state, model.state.n_iter, model.n_rows);
    step = begin_step(model.hyper, model.state, first);
    ++model.state.n_steps;
  }
  __syncthreads();
  int* row_of = part(memory.row_of, blockIdx.x, memory.capacity);
  for (int i = static_cast<int>(threadIdx.x); i < step.n_rows; i += block_size)
    row_of[i] = row_at(model, permutation, first + i);
}

// x of columns col .. col + 3, times the factors of dropout where they are features and not the column of
// ones.
__device__ __forceinline__ Floats<4> drop_out_inputs(const DeviceModel& model, int n_features,
                                                     std::uint32_t position, int col, Floats<4> x) {
  const DeviceHyper& hyper = model.hyper;
  const PhiloxBlock bits = dropout_bits(hyper.random_state, model.state.n_iter, layer_of_inputs, position,
                                        static_cast<std::uint32_t>(col) / 4);
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (col + i < n_features)
      x.at[i] *= dropout_factor(bits[static_cast<std::size_t>(i)], hyper.input_dropout_threshold,
                                hyper.input_dropout_scale);
  return x;
}

// inputs [capacity, stride] of each slot: standardised, mixed, dropped out, zeros from row step.n_rows on. A
// thread moves 4.
__global__ void __launch_bounds__(block_size) gather_inputs_kernel(StepMemory memory, int first) {
  const unsigned slot = blockIdx.y;
  const DeviceModel& model = model_of(memory, slot);
  if (!is_running(model)) return;
  const DeviceStep& step = memory.steps[slot];
  const GatheredRows source{memory.rows,      part(memory.row_of, slot, memory.capacity),
                            model.mean,       model.inverse_scale,
                            model.hyper.clip, step.mixup,
                            step.n_rows};
  const int n_quads = static_cast<int>(memory.rows.stride) / 4;
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), row = i / n_quads,
            col = i % n_quads * 4;
  if (row >= memory.capacity) return;
  const GatheredRows::Row from = source.row(row);
  Floats<4> x = source.finish(source.fetch(from, col), from, col);
  if (model.hyper.input_dropout_threshold != 0)
    x = drop_out_inputs(model, memory.network.layers[0].fan_in, static_cast<std::uint32_t>(first + row), col,
                        x);
  store(part(memory.inputs, slot, memory.capacity * memory.rows.stride) + row * memory.rows.stride + col, x);
}

// A block of 32 x 8 threads takes 32 units of a slot: their mean and variance over the rows of the minibatch,
// then z becomes gamma (z - mean) / std + beta. Sums run over rows y, y + 8, ... and then over y.
struct ColumnSums {
  float* partial;  // [8 * 32] in shared memory
  __device__ __forceinline__ float sum(float value) const {
    __syncthreads();
    partial[threadIdx.y * 32 + threadIdx.x] = value;
    __syncthreads();
    float total = 0;
    for (int y = 0; y < 8; ++y) total += partial[y * 32 + threadIdx.x];
    return total;
  }
};

__global__ void __launch_bounds__(block_size) normalise_kernel(StepMemory memory, DeviceLayer layer) {
  SHARED_ARRAY(float, partial, 256);
  const ColumnSums sums{partial};
  const unsigned slot = blockIdx.y;
  DeviceModel& model = model_of(memory, slot);
  if (!is_running(model)) return;
  const int col = static_cast<int>(blockIdx.x * 32 + threadIdx.x), y = static_cast<int>(threadIdx.y);
  const bool is_unit = col < layer.fan_out;
  const int n_rows = memory.steps[slot].n_rows;
  const Index at = layer.outputs * memory.capacity + col;
  float* z = part(memory.outputs, slot, memory.network.n_outputs * memory.capacity) + at;
  float* normalised = part(memory.normalised, slot, memory.network.n_outputs * memory.capacity) + at;
  const float inverse_n = 1.0f / static_cast<float>(n_rows);
  // About the first row, so that a mean far from 0 costs no digits.
  const float origin = is_unit ? z[0] : 0.0f;
  float sum = 0, squares = 0;
  for (int row = y; is_unit && row < n_rows; row += 8)
    sum += z[static_cast<Index>(row) * layer.stride] - origin;
  const float mean = fmaf(sums.sum(sum), inverse_n, origin);
  for (int row = y; is_unit && row < n_rows; row += 8) {
    const float gap = z[static_cast<Index>(row) * layer.stride] - mean;
    squares = fmaf(gap, gap, squares);
  }
  const float var = sums.sum(squares) * inverse_n;
  if (!is_unit) return;
  float* norm = model.parameters + layer.norm + col;
  const float inverse = 1.0f / sqrtf(var + batch_norm_epsilon);
  const float gamma = norm[0],
              beta =
                  model.parameters[layer.weights + static_cast<Index>(layer.fan_in) * layer.w_stride + col];
  for (int row = y; row < n_rows; row += 8) {
    const Index i = static_cast<Index>(row) * layer.stride;
    const float x = (z[i] - mean) * inverse;
    normalised[i] = x;
    z[i] = fmaf(gamma, x, beta);
  }
  if (y != 0) return;
  part(memory.inverse_std, slot, memory.network.n_outputs)[layer.outputs + col] = inverse;
  float &running_mean = norm[layer.w_stride], &running_var = norm[2 * layer.w_stride];
  running_mean = running_mean_after(running_mean, mean);
  running_var = running_var_after(running_var, var, n_rows);
}

// The way back: delta becomes gamma / std (delta - mean of delta - normalised * mean of delta * normalised);
// the sums are the gradients of beta and gamma.
__global__ void __launch_bounds__(block_size)
    normalise_backward_kernel(StepMemory memory, DeviceLayer layer, int index) {
  SHARED_ARRAY(float, partial, 256);
  const ColumnSums sums{partial};
  const unsigned slot = blockIdx.y;
  const DeviceModel& model = model_of(memory, slot);
  if (!is_running(model)) return;
  const int col = static_cast<int>(blockIdx.x * 32 + threadIdx.x), y = static_cast<int>(threadIdx.y);
  const bool is_unit = col < layer.fan_out;
  const int n_rows = memory.steps[slot].n_rows;
  float* delta = part(memory.delta_of(index), slot, Index{2} * memory.capacity * memory.network.widest) + col;
  const float* normalised = part(memory.normalised, slot, memory.network.n_outputs * memory.capacity) +
                            layer.outputs * memory.capacity + col;
  float sum = 0, product = 0;
  for (int row = y; is_unit && row < n_rows; row += 8) {
    const Index i = static_cast<Index>(row) * layer.stride;
    sum += delta[i];
    product = fmaf(delta[i], normalised[i], product);
  }
  sum = sums.sum(sum);
  product = sums.sum(product);
  if (!is_unit) return;
  const float scale = model.parameters[layer.norm + col] *
                      part(memory.inverse_std, slot, memory.network.n_outputs)[layer.outputs + col];
  const float inverse_n = 1.0f / static_cast<float>(n_rows);
  for (int row = y; row < n_rows; row += 8) {
    const Index i = static_cast<Index>(row) * layer.stride;
    delta[i] = scale * fmaf(-normalised[i], product * inverse_n, delta[i] - sum * inverse_n);
  }
  if (y != 0) return;
  float* gradients = part(memory.gradients, slot, memory.network.n_values);
  gradients[layer.norm + col] = product;
  gradients[layer.weights + static_cast<Index>(layer.fan_in) * layer.w_stride + col] = sum;
}

// ---- cuDNN's arrays. A thread takes a unit of a slot.

// What cuDNN reads and writes of a layer: gamma, beta and the running moments.
__global__ void __launch_bounds__(block_size) pack_units_kernel(StepMemory memory, DeviceLayer layer) {
  const int unit = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (unit >= layer.fan_out) return;
  const float* parameters = model_of(memory, blockIdx.y).parameters;
  const float* norm = parameters + layer.norm + unit;
  const Index i = static_cast<Index>(blockIdx.y) * layer.fan_out + unit;
  memory.norm_units_of(0)[i] = norm[0];
  memory.norm_units_of(1)[i] =
      parameters[layer.weights + static_cast<Index>(layer.fan_in) * layer.w_stride + unit];
  memory.norm_units_of(2)[i] = norm[layer.w_stride];
  memory.norm_units_of(3)[i] = norm[2 * layer.w_stride];
}

__global__ void __launch_bounds__(block_size) unpack_moments_kernel(StepMemory memory, DeviceLayer layer) {
  const int unit = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  DeviceModel& model = model_of(memory, blockIdx.y);
  if (unit >= layer.fan_out || !is_running(model)) return;
  float* norm = model.parameters + layer.norm + unit;
  const Index i = static_cast<Index>(blockIdx.y) * layer.fan_out + unit;
  norm[layer.w_stride] = memory.norm_units_of(2)[i];
  norm[2 * layer.w_stride] = memory.norm_units_of(3)[i];
}

__global__ void __launch_bounds__(block_size) unpack_gradients_kernel(StepMemory memory, DeviceLayer layer) {
  const int unit = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (unit >= layer.fan_out) return;
  float* gradients = part(memory.gradients, blockIdx.y, memory.network.n_values) + unit;
  const Index i = static_cast<Index>(blockIdx.y) * layer.fan_out + unit;
  gradients[layer.norm] = memory.norm_units_of(2)[i];
  gradients[layer.weights + static_cast<Index>(layer.fan_in) * layer.w_stride] = memory.norm_units_of(3)[i];
}

// z [capacity, stride] of a hidden layer becomes its outputs; a thread takes 4 units. Rows that are not there
// become zeros.
__global__ void __launch_bounds__(block_size)
    activate_outputs_kernel(StepMemory memory, DeviceLayer layer, int index, int first) {
  const unsigned slot = blockIdx.y;
  const DeviceModel& model = model_of(memory, slot);
  if (!is_running(model)) return;
  const int n_quads = layer.stride / 4;
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), row = i / n_quads,
            col = i % n_quads * 4;
  if (row >= memory.capacity) return;
  const Index at = layer.outputs * memory.capacity + static_cast<Index>(row) * layer.stride + col;
  const Index size = memory.network.n_outputs * memory.capacity;
  float* z = part(memory.outputs, slot, size) + at;
  float* slopes = part(memory.slopes, slot, size);
  if (row >= memory.steps[slot].n_rows) {
    store(z, Floats<4>{});
    if (slopes != nullptr) store(slopes + at, Floats<4>{});
    return;
  }
  const DropoutDraw dropout{model.hyper.random_state, model.state.n_iter, index,
                            model.hyper.dropout_threshold, model.hyper.dropout_scale};
  activate_quad(memory.network.activation, dropout, layer.fan_out, col,
                static_cast<std::uint32_t>(first + row), z, slopes == nullptr ? nullptr : slopes + at);
}

// One block a slot: the logits [capacity, stride] become the loss's gradient, zeros from row step.n_rows on.
__global__ void __launch_bounds__(block_size)
    loss_and_gradient_kernel(StepMemory memory, DeviceLayer output) {
  const unsigned slot = blockIdx.x;
  const DeviceModel& model = model_of(memory, slot);
  if (!is_running(model)) return;
  DeviceStep& step = memory.steps[slot];
  const int* row_of = part(memory.row_of, slot, memory.capacity);
  const LossRule rule{memory.network.n_classes, model.hyper.label_smoothing, model.class_weights};
  float* logits = part(memory.outputs_of(output), slot, memory.network.n_outputs * memory.capacity);
  double loss = 0, weight = 0;
  for (int i = static_cast<int>(threadIdx.x); i < memory.capacity; i += block_size) {
    float* z = logits + static_cast<Index>(i) * output.stride;
    if (i >= step.n_rows) {
      for (int c = 0; c < output.stride; ++c) z[c] = 0;
      continue;
    }
    const auto label = [&](int row) { return memory.rows.labels[row_of[row]]; };
    const RowTarget target = row_target(label(i), label(step.mixup.partner(i, step.n_rows)),
                                        step.mixup.lambda, model.hyper.label_smoothing, model.class_weights);
    loss += static_cast<double>(row_loss(rule, target, z, output.stride));
    weight += static_cast<double>(target.weight);
  }
  loss = block_sum(loss);
  weight = block_sum(weight);
  if (threadIdx.x != 0) return;
  if (model.hyper.has_soft_targets) step.inverse_weight = static_cast<float>(1 / weight);
  memory.loss_sums[slot] += loss * static_cast<double>(step.inverse_weight) * step.n_rows;
}

// delta times the activation's derivative; a thread takes 4 units.
__global__ void __launch_bounds__(block_size)
    derive_kernel(StepMemory memory, DeviceLayer layer, int index, bool in_outputs) {
  const unsigned slot = blockIdx.y;
  if (!is_running(model_of(memory, slot))) return;
  const Index i = (static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
  if (i >= static_cast<Index>(memory.capacity) * layer.stride) return;
  float* delta = part(memory.delta_of(index), slot, Index{2} * memory.capacity * memory.network.widest) + i;
  const Index size = memory.network.n_outputs * memory.capacity;
  const bool has_slopes = memory.slopes != nullptr;
  const Floats<4> h = load<4>(part(has_slopes ? memory.slopes : memory.outputs, slot, size) +
                              layer.outputs * memory.capacity + i);
  Floats<4> value = load<4>(delta);
  const int col = static_cast<int>(i % layer.stride);
#pragma unroll
  for (int j = 0; j < 4; ++j)  // the product leaves the padding as it was
    value.at[j] = col + j < layer.fan_out
                      ? value.at[j] * (has_slopes ? h.at[j] : derivative(memory.network.activation, h.at[j]))
                      : 0.0f;
  store(in_outputs ? part(memory.outputs, slot, size) + layer.outputs * memory.capacity + i : delta, value);
}

// Which values of a model are parameters, and which of them decay.
enum class ValueKind { none, weight, bias };
__device__ __forceinline__ ValueKind kind_of(const DeviceNetwork& network, Index at) {
  for (int index = 0; index < network.n_layers; ++index) {
    const DeviceLayer& layer = network.layers[index];
    const Index row = (at - layer.weights) / layer.w_stride;
    if (at >= layer.weights && row <= layer.fan_in)
      return row < layer.fan_in ? ValueKind::weight : ValueKind::bias;
    if (layer.norm >= 0 && at >= layer.norm && at < layer.norm + layer.w_stride) return ValueKind::bias;
  }
  return ValueKind::none;
}

// A thread takes 4 values of a slot, a block optimiser_block of them.
__global__ void __launch_bounds__(block_size) optimise_kernel(StepMemory memory) {
  const unsigned slot = blockIdx.y;
  DeviceModel& model = model_of(memory, slot);
  if (!is_running(model)) return;
  const Index at = static_cast<Index>(blockIdx.x) * optimiser_block + threadIdx.x * 4;
  const DeviceStep& step = memory.steps[slot];
  const ValueKind kind = at < memory.network.n_values ? kind_of(memory.network, at) : ValueKind::none;
  float penalty = 0;
  bool has_non_finite = false;
  if (kind != ValueKind::none) {
    const Floats<4> sums = load<4>(part(memory.gradients, slot, memory.network.n_values) + at);
    penalty = update_side_by_side<4>(model, step, kind == ValueKind::weight, sums.at, at, has_non_finite);
  }
  if (has_non_finite) atomicOr(&model.has_non_finite, 1);
  const double sum = block_sum(static_cast<double>(penalty));
  if (threadIdx.x == 0)
    memory.penalties[static_cast<Index>(slot) * gridDim.x + blockIdx.x] +=
        0.5 * sum * static_cast<double>(step.inverse_weight) * step.n_rows;
}

// One block a slot.
__global__ void __launch_bounds__(block_size) end_epoch_kernel(StepMemory memory, int n_penalties) {
  const unsigned slot = blockIdx.x;
  DeviceModel& model = model_of(memory, slot);
  if (!is_running(model)) return;
  double penalty = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n_penalties; i += block_size) {
    double& each = memory.penalties[static_cast<Index>(slot) * n_penalties + i];
    penalty += each;
    each = 0;
  }
  penalty = block_sum(penalty);
  if (threadIdx.x != 0) return;
  const double loss = (memory.loss_sums[slot] + penalty) / model.hyper.n_used;
  memory.loss_sums[slot] = 0;
  const bool early_stopping = model.hyper.rules.early_stopping;
  const double score = early_stopping ? memory.scores[slot] : 0.0;
  const Index at = static_cast<Index>(slot) * memory.n_epochs + memory.n_done[slot]++;
  memory.losses[at] = loss;
  if (early_stopping) memory.score_history[at] = score;
  melgrad::end_epoch(model.hyper.rules, loss, score, model.has_non_finite == 0, model.hyper.n_used,
                     model.state);
}

// Parameters of the best epoch so far. (is_best stays set once the model has stopped, and nothing changes.)
__global__ void __launch_bounds__(block_size) keep_best_kernel(StepMemory memory) {
  const DeviceModel& model = model_of(memory, blockIdx.y);
  const Index at = (static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
  if (model.best == nullptr || !model.state.is_best || at >= memory.network.n_values) return;
  store(model.best + at, load<4>(model.parameters + at));
}

LaunchShape over_slots(const StepMemory& memory, Index n_threads) {
  return {{ceil_div(n_threads, block_size), static_cast<unsigned>(memory.n_slots)}, block_size};
}
LaunchShape block_a_slot(const StepMemory& memory) {
  return {static_cast<unsigned>(memory.n_slots), block_size};
}
LaunchShape over_columns(const StepMemory& memory, const DeviceLayer& layer) {
  return {{ceil_div(layer.fan_out, 32), static_cast<unsigned>(memory.n_slots)}, {32, 8}};
}
LaunchShape over_units(const StepMemory& memory, const DeviceLayer& layer) {
  return over_slots(memory, layer.fan_out);
}

NormShape norm_shape(const StepMemory& memory, const DeviceLayer& layer) {
  return {memory.capacity, memory.n_slots, layer.fan_out};
}
template <class T>
NormTensor<T> tensor_of(const StepMemory& memory, const DeviceLayer& layer, T* values) {
  return {values, layer.stride, memory.capacity * memory.network.n_outputs};
}
NormUnits norm_units(const StepMemory& memory, const DeviceLayer& layer) {
  return {memory.norm_units_of(0), memory.norm_units_of(1),          memory.norm_units_of(2),
          memory.norm_units_of(3), memory.norm_moments_of(layer, 0), memory.norm_moments_of(layer, 1)};
}

}  // namespace

void begin_step(const StepMemory& memory, int first, cudaStream_t stream) {
  launch(begin_step_kernel, block_a_slot(memory), stream, memory, first);
}
void gather_inputs(const StepMemory& memory, int first, cudaStream_t stream) {
  launch(gather_inputs_kernel, over_slots(memory, memory.capacity * memory.rows.stride / 4), stream, memory,
         first);
}
void normalise(const StepMemory& memory, const DeviceLayer& layer, cudaStream_t stream) {
  launch(normalise_kernel, over_columns(memory, layer), stream, memory, layer);
}
void activate_outputs(const StepMemory& memory, const DeviceLayer& layer, int index, int first,
                      cudaStream_t stream) {
  launch(activate_outputs_kernel, over_slots(memory, Index{memory.capacity} * layer.stride / 4), stream,
         memory, layer, index, first);
}
void loss_and_gradient(const StepMemory& memory, const DeviceLayer& output, cudaStream_t stream) {
  launch(loss_and_gradient_kernel, block_a_slot(memory), stream, memory, output);
}
void derive(const StepMemory& memory, const DeviceLayer& layer, int index, bool in_outputs,
            cudaStream_t stream) {
  launch(derive_kernel, over_slots(memory, Index{memory.capacity} * layer.stride / 4), stream, memory, layer,
         index, in_outputs);
}
void normalise_backward(const StepMemory& memory, const DeviceLayer& layer, int index, cudaStream_t stream) {
  launch(normalise_backward_kernel, over_columns(memory, layer), stream, memory, layer, index);
}
void normalise_by_vendor(const StepMemory& memory, const DeviceLayer& layer, const StackNorm& norm,
                         cudaStream_t stream) {
  launch(pack_units_kernel, over_units(memory, layer), stream, memory, layer);
  norm.forward(norm_shape(memory, layer), tensor_of<const float>(memory, layer, memory.normalised_of(layer)),
               tensor_of<float>(memory, layer, memory.outputs_of(layer)), norm_units(memory, layer), stream);
  launch(unpack_moments_kernel, over_units(memory, layer), stream, memory, layer);
}
void normalise_backward_by_vendor(const StepMemory& memory, const DeviceLayer& layer, int index,
                                  const StackNorm& norm, cudaStream_t stream) {
  launch(pack_units_kernel, over_units(memory, layer), stream, memory, layer);
  const NormTensor<float> delta{memory.delta_of(index), layer.stride,
                                Index{2} * memory.capacity * memory.network.widest};
  norm.backward(norm_shape(memory, layer), tensor_of<const float>(memory, layer, memory.normalised_of(layer)),
                tensor_of<const float>(memory, layer, memory.outputs_of(layer)), delta,
                norm_units(memory, layer), memory.norm_units_of(2), memory.norm_units_of(3), stream);
  launch(unpack_gradients_kernel, over_units(memory, layer), stream, memory, layer);
}
void optimise(const StepMemory& memory, cudaStream_t stream) {
  launch(optimise_kernel,
         {{ceil_div(memory.network.n_values, optimiser_block), static_cast<unsigned>(memory.n_slots)},
          block_size},
         stream, memory);
}
void end_epoch(const StepMemory& memory, cudaStream_t stream) {
  launch(end_epoch_kernel, block_a_slot(memory), stream, memory,
         static_cast<int>(ceil_div(memory.network.n_values, optimiser_block)));
}
void keep_best(const StepMemory& memory, cudaStream_t stream) {
  launch(keep_best_kernel, over_slots(memory, memory.network.n_values / 4), stream, memory);
}

}  // namespace melgrad::MELGRAD_KERNELS
