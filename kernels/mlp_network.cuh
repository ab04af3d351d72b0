#pragma once
// A network's passes by one block of tile_threads threads: forward, loss, backward with the optimiser at the
// end of the gradients' tiles, so that gradients are never stored. Every sum has a fixed order.
//
// Phases are functions of their own (__noinline__), as each gets its own registers then: inlined into one
// kernel, they spill.

#include "kernels/mlp_block.hpp"
#include "kernels/mlp_tile.cuh"

namespace melgrad::MELGRAD_KERNELS {

// What the threads of a block share: settings lie here and not in registers.
struct BlockMemory {
  TileMemory tiles;
  double sums[tile_threads / 32];
  double loss[tile_threads];  // each thread's part of the epoch's loss, or of another sum
  DeviceNetwork network;
  const int* labels;
  BlockWorkspace workspace;
  DeviceModel model;
  DeviceStep step;
  GatheredRows inputs;  // of the minibatch
  EpochPermutation permutation{0, 0, 1};
  double mean_loss, score;  // of the epoch
  int item;                 // of the queue
  int epoch;                // of the launch
  int first;                // position of the minibatch's first row in its epoch
  bool trains;              // else predicts: no dropout, running moments

  __device__ __forceinline__ float* outputs(const DeviceLayer& layer) const {
    return workspace.outputs + layer.outputs * workspace.capacity;
  }
  __device__ __forceinline__ float* slopes(const DeviceLayer& layer) const {
    return workspace.slopes == nullptr ? nullptr : workspace.slopes + layer.outputs * workspace.capacity;
  }
  // The next n_rows rows row_of are a minibatch. One thread; a barrier has to follow.
  __device__ __forceinline__ void take_inputs(int n_rows, const Mixup& mixup) {
    step.n_rows = n_rows;
    inputs = {inputs.rows, workspace.row_of, model.mean, model.inverse_scale, model.hyper.clip, mixup,
              n_rows};
  }
  // The loss's gradient by what layer `index` gives, before its activation.
  __device__ __forceinline__ float* delta(int index) const {
    if (index == network.n_layers - 1) return outputs(network.layers[index]);
    return workspace.deltas + static_cast<Index>(index % 2) * workspace.capacity * network.widest;
  }
};

__device__ __forceinline__ BlockWorkspace part_of_block(BlockWorkspace workspace,
                                                        const DeviceNetwork& network) {
  const Index block = blockIdx.x, capacity = workspace.capacity;
  workspace.outputs += block * capacity * network.n_outputs;
  if (workspace.slopes != nullptr) workspace.slopes += block * capacity * network.n_outputs;
  workspace.deltas += block * capacity * 2 * network.widest;
  workspace.row_of += block * capacity;
  return workspace;
}

// --- Forward --------------------------------------------------------------------------------------------

// z[row0.., col0..] = inputs W, [n_rows, stride].
template <int CN, class Inputs>
__device__ __forceinline__ void forward_tile_of(BlockMemory& s, const Inputs& inputs, int index, int row0,
                                                int col0) {
  const DeviceLayer& layer = s.network.layers[index];
  const PlainRows weights{s.model.parameters + layer.weights,
                          layer.norm < 0 ? layer.fan_in + 1 : layer.fan_in, layer.w_stride};
  tile_product<8, CN, true, false>(
      s.tiles, inputs, row0, weights, col0, layer.fan_in + 1, [&](const float(&acc)[8][CN]) {
        const DeviceLayer& filled = s.network.layers[index];
        float* z = s.outputs(filled);
        const int stride = filled.stride, n_rows = s.step.n_rows;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          const int row = row0 + tile_row<8>(i);
#pragma unroll
          for (int j = 0; j < CN; j += CN == 1 ? 1 : 4) {
            const int col = col0 + tile_col<CN>(j);
            if (row >= n_rows || col >= stride) continue;
            float* to = z + static_cast<Index>(row) * stride + col;
            if constexpr (CN == 1)
              *to = acc[i][0];
            else
              store(to, Floats<4>{{acc[i][j], acc[i][j + 1], acc[i][j + 2], acc[i][j + 3]}});
          }
        }
      });
}
template <int CN>
__device__ __noinline__ void forward_first_tile(BlockMemory& s, int row0, int col0) {
  forward_tile_of<CN>(s, s.inputs, 0, row0, col0);
}
template <int CN>
__device__ __noinline__ void forward_tile(BlockMemory& s, int index, int row0, int col0) {
  const PlainRows inputs{s.outputs(s.network.layers[index - 1]), s.step.n_rows,
                         s.network.layers[index].in_stride};
  forward_tile_of<CN>(s, inputs, index, row0, col0);
}

// Of the next tile where n columns are left.
__device__ __forceinline__ int tile_width(int n) {
  return n > 64 ? 128 : n > 16 ? 64 : 16;
}

// z of a hidden layer is normalised by the running moments.
__device__ __noinline__ void normalise_layer(BlockMemory& s, int index) {
  const DeviceLayer& layer = s.network.layers[index];
  const int n_quads = layer.w_stride / 4;
  const float* norm = s.model.parameters + layer.norm;
  const float* beta = s.model.parameters + layer.weights + static_cast<Index>(layer.fan_in) * layer.w_stride;
  for (int i = static_cast<int>(threadIdx.x); i < s.step.n_rows * n_quads; i += tile_threads) {
    const int row = i / n_quads, col = i % n_quads * 4;
    const Floats<4> gamma = load<4>(norm + col), mean = load<4>(norm + layer.w_stride + col),
                    var = load<4>(norm + 2 * layer.w_stride + col), bias = load<4>(beta + col);
    float* z = s.outputs(layer) + static_cast<Index>(row) * layer.stride + col;
    Floats<4> x = load<4>(z);
#pragma unroll
    for (int j = 0; j < 4; ++j)
      x.at[j] = fmaf(x.at[j] - mean.at[j], gamma.at[j] / sqrtf(var.at[j] + batch_norm_epsilon), bias.at[j]);
    store(z, x);
  }
  __syncthreads();
}

// z of a hidden layer becomes its outputs.
__device__ __noinline__ void activate_layer(BlockMemory& s, int index) {
  const DeviceLayer& layer = s.network.layers[index];
  const int n_quads = layer.stride / 4;
  for (int i = static_cast<int>(threadIdx.x); i < s.step.n_rows * n_quads; i += tile_threads) {
    const int row = i / n_quads, col = i % n_quads * 4;
    const Index at = static_cast<Index>(row) * layer.stride + col;
    float* slopes = s.trains ? s.slopes(layer) : nullptr;
    DropoutDraw dropout{s.model.hyper.random_state, s.model.state.n_iter, index,
                        s.trains ? s.model.hyper.dropout_threshold : 0, s.model.hyper.dropout_scale};
    activate_quad(s.network.activation, dropout, layer.fan_out, col,
                  static_cast<std::uint32_t>(s.first + row), s.outputs(layer) + at,
                  slopes == nullptr ? nullptr : slopes + at);
  }
  __syncthreads();
}

// The logits of the step.n_rows rows row_of.
__device__ __forceinline__ void forward(BlockMemory& s) {
  for (int index = 0; index < s.network.n_layers; ++index) {
    for (int col = 0; col < s.network.layers[index].stride;) {
      const int width = tile_width(s.network.layers[index].stride - col);
      for (int row = 0; row < s.step.n_rows; row += 128) {
        if (index == 0) {
          if (width == 128) forward_first_tile<8>(s, row, col);
          if (width == 64) forward_first_tile<4>(s, row, col);
          if (width == 16) forward_first_tile<1>(s, row, col);
        } else {
          if (width == 128) forward_tile<8>(s, index, row, col);
          if (width == 64) forward_tile<4>(s, index, row, col);
          if (width == 16) forward_tile<1>(s, index, row, col);
        }
      }
      col += width;
    }
    if (index + 1 == s.network.n_layers) return;
    if (s.network.layers[index].norm >= 0) normalise_layer(s, index);
    activate_layer(s, index);
  }
}

// --- Backward -------------------------------------------------------------------------------------------

// delta [n_rows, in_stride] of layer index - 1 = (delta of layer `index` times W^T) times f'.
template <int CN>
__device__ __noinline__ void backward_inputs_tile(BlockMemory& s, int index, int row0, int col0) {
  const DeviceLayer& layer = s.network.layers[index];
  const PlainRows delta{s.delta(index), s.step.n_rows, layer.stride};
  const PlainRows weights{s.model.parameters + layer.weights, layer.fan_in, layer.w_stride};
  tile_product<8, CN, true, true>(
      s.tiles, delta, row0, weights, col0, layer.fan_out, [&](const float(&acc)[8][CN]) {
        const DeviceLayer& below = s.network.layers[index - 1];
        const float* slopes = s.slopes(below);
        const float* h = slopes != nullptr ? slopes : s.outputs(below);
        float* delta_in = s.delta(index - 1);
        const int stride = below.stride, n_rows = s.step.n_rows;
        const Activation activation = s.network.activation;
        constexpr int n = CN == 1 ? 1 : 4;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          const int row = row0 + tile_row<8>(i);
#pragma unroll
          for (int j = 0; j < CN; j += n) {
            const int col = col0 + tile_col<CN>(j);
            if (row >= n_rows || col >= stride) continue;
            const Index at = static_cast<Index>(row) * stride + col;
            Floats<n> value = load<n>(h + at);
#pragma unroll
            for (int q = 0; q < n; ++q)
              value.at[q] =
                  acc[i][j + q] * (slopes != nullptr ? value.at[q] : derivative(activation, value.at[q]));
            store(delta_in + at, value);
          }
        }
      });
}

// The gradient inputs^T delta of W[row0.., col0..], given to the optimiser; its part of the penalty goes to
// the loss.
template <int CN, class Inputs>
__device__ __forceinline__ void backward_tile_of(BlockMemory& s, const Inputs& inputs, int index, int row0,
                                                 int col0) {
  const PlainRows delta{s.delta(index), s.step.n_rows, s.network.layers[index].stride};
  tile_product<6, CN, false, false>(
      s.tiles, inputs, row0, delta, col0, s.step.n_rows, [&](const float(&acc)[6][CN]) {
        const DeviceLayer& layer = s.network.layers[index];
        constexpr int n = CN == 1 ? 1 : 4;
        bool has_non_finite = false;
        float penalty = 0;
#pragma unroll
        for (int i = 0; i < 6; ++i) {
          const int row = row0 + tile_row<6>(i);
#pragma unroll
          for (int j = 0; j < CN; j += n) {
            const int col = col0 + tile_col<CN>(j);
            if (row > layer.fan_in || col >= layer.w_stride) continue;
            penalty += update_side_by_side<n>(s.model, s.step, row < layer.fan_in, &acc[i][j],
                                              layer.weights + static_cast<Index>(row) * layer.w_stride + col,
                                              has_non_finite);
          }
        }
        s.loss[threadIdx.x] += static_cast<double>(0.5f * penalty * s.step.inverse_weight) * s.step.n_rows;
        if (has_non_finite) atomicOr(&s.model.has_non_finite, 1);
      });
}
template <int CN>
__device__ __noinline__ void backward_first_tile(BlockMemory& s, int row0, int col0) {
  backward_tile_of<CN>(s, s.inputs, 0, row0, col0);
}
template <int CN>
__device__ __noinline__ void backward_tile(BlockMemory& s, int index, int row0, int col0) {
  const PlainRows inputs{s.outputs(s.network.layers[index - 1]), s.step.n_rows,
                         s.network.layers[index].in_stride};
  backward_tile_of<CN>(s, inputs, index, row0, col0);
}

// From the logits' gradient to the step of all parameters. The inputs' delta of a layer needs its weights as
// they were in the forward pass, so it comes before their step.
__device__ __forceinline__ void backward(BlockMemory& s) {
  for (int index = s.network.n_layers - 1; index >= 0; --index) {
    for (int col = 0; index > 0 && col < s.network.layers[index].in_stride;) {
      const int width = tile_width(s.network.layers[index].in_stride - col);
      for (int row = 0; row < s.step.n_rows; row += 128) {
        if (width == 128) backward_inputs_tile<8>(s, index, row, col);
        if (width == 64) backward_inputs_tile<4>(s, index, row, col);
        if (width == 16) backward_inputs_tile<1>(s, index, row, col);
      }
      col += width;
    }
    for (int col = 0; col < s.network.layers[index].w_stride;) {
      const int width = tile_width(s.network.layers[index].w_stride - col);
      for (int row = 0; row <= s.network.layers[index].fan_in; row += 96) {
        if (index == 0) {
          if (width == 128) backward_first_tile<8>(s, row, col);
          if (width == 64) backward_first_tile<4>(s, row, col);
          if (width == 16) backward_first_tile<1>(s, row, col);
        } else {
          if (width == 128) backward_tile<8>(s, index, row, col);
          if (width == 64) backward_tile<4>(s, index, row, col);
          if (width == 16) backward_tile<1>(s, index, row, col);
        }
      }
      col += width;
    }
  }
}

}  // namespace melgrad::MELGRAD_KERNELS
