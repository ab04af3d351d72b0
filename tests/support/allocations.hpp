#pragma once
// Counts what the test program takes from operator new, aligned or not.

#include <cstddef>

namespace melgrad::testing {

std::size_t n_allocations();

}  // namespace melgrad::testing
