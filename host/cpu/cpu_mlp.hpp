#pragma once
// The CPU engine's MlpStack.

#include <memory>
#include <span>

#include "host/engine/engine.hpp"

namespace melgrad {

std::unique_ptr<MlpStack> make_cpu_mlp_stack(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                                             int n_threads);

}  // namespace melgrad
