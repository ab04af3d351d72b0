#pragma once
// One of several processes that share a piece of work without talking to each other.

#include "host/core/matrix.hpp"

namespace melgrad {

// Of items that are numbered from 0, process `index` of `count` takes index, index + count, index + 2 count
// ...
struct Shard {
  int index = 0;
  int count = 1;

  bool is_whole() const { return count == 1; }
  bool takes(Index item) const { return item % count == index; }
  // How many of n_items.
  Index n_taken(Index n_items) const { return (n_items - index + count - 1) / count; }
  bool operator==(const Shard&) const = default;
};

}  // namespace melgrad
