#pragma once
// The CUDA engine's Engine::nearest_neighbours.

#include "host/engine/engine.hpp"
#include "kernels/launch.cuh"

namespace melgrad::MELGRAD_KERNELS {

struct NeighbourOptions {
  int device = 0;
  // Of device memory, for distances: queries are taken in parts that fit into it, one query at least.
  std::size_t workspace_bytes = std::size_t{64} << 20;
};

Neighbours cuda_nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries, int k,
                                   const NeighbourOptions& options = {});

}  // namespace melgrad::MELGRAD_KERNELS
