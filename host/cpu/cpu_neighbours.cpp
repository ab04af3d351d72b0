#include "host/cpu/cpu_neighbours.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <vector>

#include "host/core/parallel.hpp"
#include "host/cpu/distances.hpp"

namespace melgrad {

Neighbours cpu_nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries, int k,
                                  int n_threads) {
  assert(k >= 1 && k <= train.rows && train.cols == queries.cols);
  constexpr Index block = 16;  // queries at once, whose rows stay in the cache
  Neighbours found{Matrix<int>(queries.rows, k), Matrix<double>(queries.rows, k)};
  parallel_for((queries.rows + block - 1) / block, n_threads, [&](Index item, int) {
    const Index first = item * block;
    const Index count = std::min(block, queries.rows - first);
    Matrix<double> squared(count, train.rows);
    squared_distances(queries.rows_from(first, count), train, squared.view());
    std::vector<int> order(static_cast<std::size_t>(train.rows));
    for (Index row = 0; row < count; ++row) {
      const auto distances = squared.row(row);
      std::iota(order.begin(), order.end(), 0);
      std::ranges::partial_sort(order, order.begin() + k, [&](int a, int b) {
        const double of_a = distances[static_cast<std::size_t>(a)],
                     of_b = distances[static_cast<std::size_t>(b)];
        return of_a != of_b ? of_a < of_b : a < b;
      });
      for (int i = 0; i < k; ++i) {
        const int neighbour = order[static_cast<std::size_t>(i)];
        found.rows(first + row, i) = neighbour;
        found.distances(first + row, i) = std::sqrt(distances[static_cast<std::size_t>(neighbour)]);
      }
    }
  });
  return found;
}

}  // namespace melgrad
