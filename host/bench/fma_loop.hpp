#pragma once
// Multiply-adds as fast as the processor can, with the present instruction set.

#include <cstdint>

namespace melgrad {

// Of so many rounds; what it returns is to be used.
float run_fma_loop(std::int64_t rounds);
double fma_loop_flops(std::int64_t rounds);

}  // namespace melgrad
