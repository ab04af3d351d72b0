#pragma once
// The CPU engine: the baseline that every other engine is compared with, vectorised and threaded.

#include <memory>

#include "host/engine/engine.hpp"

namespace melgrad {

// Runs on options.n_threads threads. The instruction set is chosen at run time;
// MELGRAD_SIMD=avx3|avx2|baseline in the environment forces one, and is an error if this processor lacks it.
std::unique_ptr<Engine> make_cpu_engine(const EngineOptions& options);

}  // namespace melgrad
