#pragma once
// Loops over independent items on several threads.

#include <functional>

#include "host/core/matrix.hpp"

namespace melgrad {

// The number of threads that a request means: 0 is every core this process may run on.
int resolve_threads(int requested);

// Calls body(item, worker) for every item in [0, n_items), each once, in any order; worker is in
// [0, n_threads) and names the calling thread's workspace. One thread runs on the caller itself. The first
// exception stops the hand-out of further items and is rethrown here after every thread has ended.
void parallel_for(Index n_items, int n_threads, const std::function<void(Index item, int worker)>& body);

}  // namespace melgrad
