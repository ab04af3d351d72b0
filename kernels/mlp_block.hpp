#pragma once
// The route `block`: one block of 256 threads trains one model, many epochs in one launch.

#include "kernels/launch.cuh"
#include "kernels/mlp_device.hpp"

namespace melgrad::MELGRAD_KERNELS {

// What blocks need beside their models, for minibatches of `capacity` rows: each the part [blockIdx.x].
struct BlockWorkspace {
  float* outputs = nullptr;  // [capacity * n_outputs]: each layer's [capacity, stride] after another
  float* slopes = nullptr;   // likewise, or null: derivatives of activations, times dropout's factors
  float* deltas = nullptr;   // [2][capacity * widest]
  int* row_of = nullptr;     // [capacity]: rows of the resident matrix
  int capacity = 0;
  int n_blocks = 0;
};

struct BlockTraining {
  DeviceNetwork network;
  DeviceRows rows;
  DeviceModel* models = nullptr;  // [n_models]
  const int* queue = nullptr;     // [n_queued] of the models that train; blocks take one after another
  int n_queued = 0;
  int n_epochs = 0;        // at most, of each
  int* n_taken = nullptr;  // 0 before
  BlockWorkspace workspace;
  double* losses = nullptr;  // [n_queued, n_epochs]
  double* scores = nullptr;  // likewise, with early_stopping
};
// Trains the queued models by n_epochs epochs each, or until they stop. Results do not depend on the number
// of blocks.
void launch_block_training(const BlockTraining& training, cudaStream_t stream);

// Blocks that a multiprocessor of the current device holds at a time.
int block_training_occupancy();

struct BlockPrediction {
  DeviceNetwork network;
  DeviceRows rows;  // to be asked, without labels
  Index n_rows = 0;
  const DeviceModel* model = nullptr;
  BlockWorkspace workspace;
  float* probabilities = nullptr;  // [n_rows, n_classes]
};
void launch_block_prediction(const BlockPrediction& prediction, cudaStream_t stream);

struct BlockScoring {
  DeviceNetwork network;
  DeviceRows rows;
  const DeviceModel* models = nullptr;
  const int* queue = nullptr;  // [n_queued]; a block scores one of them
  Index n_queued = 0;
  BlockWorkspace workspace;
  double* scores = nullptr;  // [n_queued] accuracy on the model's validation rows
};
void launch_block_scoring(const BlockScoring& scoring, cudaStream_t stream);

}  // namespace melgrad::MELGRAD_KERNELS
