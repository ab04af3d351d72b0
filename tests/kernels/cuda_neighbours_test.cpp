// Nearest neighbours on the emulated device against the CPU engine's.

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "host/core/philox.hpp"
#include "host/cpu/cpu_neighbours.hpp"
#include "kernels/nearest_neighbours.hpp"
#include "session.hpp"

namespace melgrad::emulated {
namespace {

using emulation::Session;

Matrix<float> drawn(Index rows, Index cols, std::uint32_t index) {
  PhiloxSequence random(5, RandomStream::search, index);
  Matrix<float> features(rows, cols);
  for (float& each : features.values) each = 4 * random.next_uniform01() - 2;
  return features;
}

}  // namespace

TEST_SUITE("kernels_neighbours") {
  TEST_CASE("neighbours are the CPU engine's, in parts of any size") {
    struct Case {
      Index n_train, n_queries, n_features;
      int k;
    };
    for (const Case& each : {Case{1, 3, 5, 1}, Case{300, 7, 33, 15}, Case{40, 4, 1, 40}, Case{9, 0, 4, 2}}) {
      CAPTURE(each.n_train);
      const Matrix<float> train = drawn(each.n_train, each.n_features, 0),
                          queries = drawn(each.n_queries, each.n_features, 1);
      const Neighbours expected = cpu_nearest_neighbours(train.view(), queries.view(), each.k, 1);
      for (const std::size_t workspace : {std::size_t{1} << 20, std::size_t{1}}) {
        Session session;
        {
          const Neighbours found =
              cuda_nearest_neighbours(train.view(), queries.view(), each.k, {.workspace_bytes = workspace});
          CHECK(found.rows == expected.rows);
          // Both sum in double, in another order.
          for (std::size_t i = 0; i < found.distances.values.size(); ++i)
            CHECK(std::abs(found.distances.values[i] - expected.distances.values[i]) < 1e-12);
        }
        session.finish();
      }
    }
  }

  TEST_CASE("of equally near rows the earlier comes first") {
    Matrix<float> train(70, 3);  // rows 0, 10, 20 .. are equal, as are 1, 11, 21 ..
    for (Index row = 0; row < train.rows; ++row) train(row, 1) = static_cast<float>(row % 10);
    const Matrix<float> query(1, 3);
    Session session;
    {
      const Neighbours found = cuda_nearest_neighbours(train.view(), query.view(), 9);
      CHECK(found.rows.values == std::vector<int>{0, 10, 20, 30, 40, 50, 60, 1, 11});
      CHECK(found.rows == cpu_nearest_neighbours(train.view(), query.view(), 9, 1).rows);
    }
    session.finish();
  }
}

}  // namespace melgrad::emulated
