#include "kernels/mlp_block.hpp"

#include "kernels/mlp_network.cuh"

namespace melgrad::MELGRAD_KERNELS {
namespace {

// The rows of the minibatch that begins at `first`, and the rates of its step.
__device__ __noinline__ void begin_minibatch(BlockMemory& s) {
  if (threadIdx.x == 0) {
    s.step = begin_step(s.model.hyper, s.model.state, s.first);
    ++s.model.state.n_steps;
    s.take_inputs(s.step.n_rows, s.step.mixup);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < s.step.n_rows; i += tile_threads)
    s.workspace.row_of[i] = row_at(s.model, s.permutation, s.first + i);
  __syncthreads();
}

// Sum over the block's threads, in thread 0. All threads.
__device__ __forceinline__ double block_sum(BlockMemory& s, double value) {
  const int t = static_cast<int>(threadIdx.x);
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  __syncthreads();  // earlier sums have been read
  if (t % 32 == 0) s.sums[t / 32] = value;
  __syncthreads();
  double sum = 0;
  if (t == 0)
    for (int warp = 0; warp < tile_threads / 32; ++warp) sum += s.sums[warp];
  return sum;
}

// The logits become the loss's gradient; the loss, times n_rows over the sum of the rows' weights, goes to
// the epoch's.
__device__ __noinline__ void minibatch_loss(BlockMemory& s) {
  const DeviceLayer& output = s.network.layers[s.network.n_layers - 1];
  const DeviceHyper& hyper = s.model.hyper;
  const LossRule rule{s.network.n_classes, hyper.label_smoothing, s.model.class_weights};
  const int n_rows = s.step.n_rows;
  float* logits = s.outputs(output);
  double loss = 0, weight = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n_rows; i += tile_threads) {
    const auto label = [&](int row) { return s.labels[s.workspace.row_of[row]]; };
    const RowTarget target = row_target(label(i), label(s.step.mixup.partner(i, n_rows)), s.step.mixup.lambda,
                                        hyper.label_smoothing, s.model.class_weights);
    loss += static_cast<double>(
        row_loss(rule, target, logits + static_cast<Index>(i) * output.stride, output.stride));
    weight += static_cast<double>(target.weight);
  }
  if (hyper.has_soft_targets) {
    weight = block_sum(s, weight);
    if (threadIdx.x == 0) s.step.inverse_weight = static_cast<float>(1 / weight);
  }
  __syncthreads();
  s.loss[threadIdx.x] += loss * static_cast<double>(s.step.inverse_weight) * n_rows;
}

__device__ __noinline__ void begin_epoch(BlockMemory& s) {
  if (threadIdx.x != 0) return;
  s.trains = true;
  s.permutation = EpochPermutation(s.model.hyper.random_state, s.model.state.n_iter, s.model.n_rows);
}

// Whether the model predicts the labels of the rows row_of: the thread's part of the count goes to the loss.
__device__ __noinline__ void count_correct(BlockMemory& s) {
  const DeviceLayer& output = s.network.layers[s.network.n_layers - 1];
  int n_correct = 0;
  for (int i = static_cast<int>(threadIdx.x); i < s.step.n_rows; i += tile_threads)
    n_correct +=
        predicted_class(s.network.n_classes, s.outputs(output) + static_cast<Index>(i) * output.stride) ==
        s.labels[s.workspace.row_of[i]];
  s.loss[threadIdx.x] += n_correct;
  __syncthreads();
}

__device__ __noinline__ void take_validation_rows(BlockMemory& s) {
  const int first = s.first;
  const int n_rows = min(s.workspace.capacity, s.model.n_validation - first);
  if (threadIdx.x == 0) s.take_inputs(n_rows, {});
  for (int i = static_cast<int>(threadIdx.x); i < n_rows; i += tile_threads)
    s.workspace.row_of[i] = s.model.validation_rows[first + i];
  __syncthreads();
}

// The mean of which s.loss holds the parts, which are 0 again; the passes over the rows begin anew, and do
// not train.
__device__ __noinline__ void take_mean(BlockMemory& s, int n, double* mean) {
  const double sum = block_sum(s, s.loss[threadIdx.x]);
  if (threadIdx.x == 0) {
    *mean = sum / n;
    s.first = 0;
    s.trains = false;
  }
  s.loss[threadIdx.x] = 0;
  __syncthreads();
}

__device__ __noinline__ void finish_epoch(BlockMemory& s, double* losses, double* scores, int n_epochs) {
  const bool early_stopping = s.model.hyper.rules.early_stopping;
  if (threadIdx.x == 0) {
    const Index at = static_cast<Index>(s.item) * n_epochs + s.epoch++;
    losses[at] = s.mean_loss;
    if (early_stopping) scores[at] = s.score;
    end_epoch(s.model.hyper.rules, s.mean_loss, early_stopping ? s.score : 0.0, s.model.has_non_finite == 0,
              s.model.hyper.n_used, s.model.state);
  }
  __syncthreads();
  if (!early_stopping || !s.model.state.is_best) return;
  const Index n_values = s.network.n_values;
  for (Index i = static_cast<Index>(threadIdx.x) * 4; i < n_values; i += 4 * tile_threads)
    store(s.model.best + i, load<4>(s.model.parameters + i));
}

// The next minibatch. All threads.
__device__ __forceinline__ void advance(BlockMemory& s, int n_rows) {
  __syncthreads();
  if (threadIdx.x == 0) s.first += n_rows;
  __syncthreads();
}

// Accuracy on the model's validation rows, in s.score; s.first is 0 before and after.
__device__ __forceinline__ void score_validation(BlockMemory& s) {
  for (; s.first < s.model.n_validation; advance(s, s.workspace.capacity)) {
    take_validation_rows(s);
    forward(s);
    count_correct(s);
  }
  take_mean(s, s.model.n_validation, &s.score);
}

// Trains s.model by n_epochs epochs, or until it stops.
__device__ __forceinline__ void train_model(BlockMemory& s, const BlockTraining& training) {
  for (; s.epoch < training.n_epochs && s.model.state.stop_reason == StopReason::running;) {
    begin_epoch(s);
    for (; s.first < s.model.hyper.n_used; advance(s, s.model.hyper.batch_size)) {
      begin_minibatch(s);
      forward(s);
      minibatch_loss(s);
      backward(s);
    }
    take_mean(s, s.model.hyper.n_used, &s.mean_loss);
    if (s.model.hyper.rules.early_stopping) score_validation(s);
    finish_epoch(s, training.losses, training.scores, training.n_epochs);
  }
}

__global__ void __launch_bounds__(tile_threads, 2) mlp_block_training_kernel(BlockTraining training) {
  DYNAMIC_SHARED(BlockMemory, memory);
  BlockMemory& s = *memory;
  if (threadIdx.x == 0) {
    s.network = training.network;
    s.labels = training.rows.labels;
    s.inputs.rows = training.rows;
    s.workspace = part_of_block(training.workspace, training.network);
  }
  s.loss[threadIdx.x] = 0;
  for (;;) {
    if (threadIdx.x == 0) {
      s.item = atomicAdd(training.n_taken, 1);
      s.epoch = 0;
      s.first = 0;
      if (s.item < training.n_queued) s.model = training.models[training.queue[s.item]];
    }
    __syncthreads();
    if (s.item >= training.n_queued) return;
    train_model(s, training);
    __syncthreads();
    if (threadIdx.x == 0) {
      DeviceModel& model = training.models[training.queue[s.item]];
      model.state = s.model.state;
      model.has_non_finite = s.model.has_non_finite;
    }
  }
}

__device__ __noinline__ void take_rows_to_predict(BlockMemory& s, Index n_rows) {
  const int n = static_cast<int>(std::min<Index>(s.workspace.capacity, n_rows - s.first));
  if (threadIdx.x == 0) s.take_inputs(n, {});
  for (int i = static_cast<int>(threadIdx.x); i < n; i += tile_threads) s.workspace.row_of[i] = s.first + i;
  __syncthreads();
}

__device__ __noinline__ void give_probabilities(BlockMemory& s, float* probabilities) {
  const DeviceLayer& output = s.network.layers[s.network.n_layers - 1];
  for (int i = static_cast<int>(threadIdx.x); i < s.step.n_rows; i += tile_threads)
    row_probabilities(s.network.n_classes, s.outputs(output) + static_cast<Index>(i) * output.stride,
                      probabilities + static_cast<Index>(s.first + i) * s.network.n_classes);
}

// A block answers `capacity` rows after another, all blocks the same number but the last ones.
__global__ void __launch_bounds__(tile_threads) mlp_block_prediction_kernel(BlockPrediction prediction) {
  DYNAMIC_SHARED(BlockMemory, memory);
  BlockMemory& s = *memory;
  if (threadIdx.x == 0) {
    s.network = prediction.network;
    s.inputs.rows = prediction.rows;
    s.workspace = part_of_block(prediction.workspace, prediction.network);
    s.model = *prediction.model;
    s.trains = false;
    s.first = static_cast<int>(blockIdx.x) * s.workspace.capacity;
  }
  __syncthreads();
  for (; s.first < prediction.n_rows; advance(s, static_cast<int>(gridDim.x) * s.workspace.capacity)) {
    take_rows_to_predict(s, prediction.n_rows);
    forward(s);
    give_probabilities(s, prediction.probabilities);
  }
}

__global__ void __launch_bounds__(tile_threads) mlp_block_scoring_kernel(BlockScoring scoring) {
  DYNAMIC_SHARED(BlockMemory, memory);
  BlockMemory& s = *memory;
  if (threadIdx.x == 0) {
    s.network = scoring.network;
    s.labels = scoring.rows.labels;
    s.inputs.rows = scoring.rows;
    s.item = static_cast<int>(blockIdx.x);
    s.workspace = part_of_block(scoring.workspace, scoring.network);
  }
  s.loss[threadIdx.x] = 0;
  __syncthreads();
  for (;;) {
    if (threadIdx.x == 0 && s.item < scoring.n_queued) {
      s.model = scoring.models[scoring.queue[s.item]];
      s.first = 0;
      s.trains = false;
    }
    __syncthreads();
    if (s.item >= scoring.n_queued) return;
    if (s.model.state.stop_reason == StopReason::running) {
      score_validation(s);
      if (threadIdx.x == 0) scoring.scores[s.item] = s.score;
    }
    __syncthreads();
    if (threadIdx.x == 0) s.item += static_cast<int>(gridDim.x);
  }
}

}  // namespace

void launch_block_training(const BlockTraining& training, cudaStream_t stream) {
  const auto n_blocks =
      static_cast<unsigned>(std::min<Index>(training.workspace.n_blocks, training.n_queued));
  launch(mlp_block_training_kernel, {n_blocks, tile_threads, sizeof(BlockMemory)}, stream, training);
}

int block_training_occupancy() {
  int n_blocks = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&n_blocks, mlp_block_training_kernel, tile_threads,
                                                      sizeof(BlockMemory)));
  return n_blocks;
}

void launch_block_prediction(const BlockPrediction& prediction, cudaStream_t stream) {
  const Index n_chunks = ceil_div(prediction.n_rows, prediction.workspace.capacity);
  const auto n_blocks = static_cast<unsigned>(std::min<Index>(prediction.workspace.n_blocks, n_chunks));
  launch(mlp_block_prediction_kernel, {n_blocks, tile_threads, sizeof(BlockMemory)}, stream, prediction);
}

void launch_block_scoring(const BlockScoring& scoring, cudaStream_t stream) {
  const auto n_blocks = static_cast<unsigned>(std::min<Index>(scoring.workspace.n_blocks, scoring.n_queued));
  launch(mlp_block_scoring_kernel, {n_blocks, tile_threads, sizeof(BlockMemory)}, stream, scoring);
}

}  // namespace melgrad::MELGRAD_KERNELS
