#pragma once

#include "host/engine/engine.hpp"

namespace melgrad {

// Engine::nearest_neighbours on the host's cores.
Neighbours cpu_nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries, int k,
                                  int n_threads);

}  // namespace melgrad
