// The example kernels against plain loops: emulated in every order of threads and streams, or on a GPU.

#include "examples.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#ifdef MELGRAD_ON_GPU
#define MELGRAD_SUITE "gpu_examples"
#else
#include "session.hpp"
#define MELGRAD_SUITE "emulation_examples"
#endif

namespace {

namespace examples = melgrad::MELGRAD_KERNELS::examples;

// Runs `example` once on a GPU, or in a Session for each order; all results must be the same.
template <class Example>
auto run(Example&& example) {
#ifdef MELGRAD_ON_GPU
  return example();
#else
  using namespace melgrad::emulation;
  decltype(example()) first;
  bool is_first = true;
  for (const FiberOrder order : {FiberOrder::ascending, FiberOrder::descending, FiberOrder::random}) {
    for (const Schedule schedule : {Schedule::late, Schedule::eager, Schedule::random}) {
      for (const std::uint64_t seed : {1, 2}) {
        Session session({.order = order, .schedule = schedule, .seed = seed});
        auto result = example();
        session.finish();
        if (is_first) first = result;
        is_first = false;
        CAPTURE(static_cast<int>(order));
        CAPTURE(static_cast<int>(schedule));
        CAPTURE(seed);
        REQUIRE(result.size() == first.size());
        const std::size_t bytes = result.size() * sizeof(first[0]);
        CHECK((bytes == 0 || std::memcmp(result.data(), first.data(), bytes) == 0));
      }
    }
  }
  return first;
#endif
}

bool is_skipped() {
#ifdef MELGRAD_ON_GPU
  const std::string why = examples::why_no_device();
  if (!why.empty()) MESSAGE("skipped: no GPU: " << why);
  return !why.empty();
#else
  return false;
#endif
}

// Integers in [0, limit).
template <class T>
std::vector<T> integers(std::size_t n, unsigned limit, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<T> values(n);
  for (T& value : values) value = static_cast<T>(random() % limit);
  return values;
}

}  // namespace

TEST_SUITE(MELGRAD_SUITE) {
  TEST_CASE("block sums equal plain sums, whatever the size of the last block") {
    if (is_skipped()) return;
    for (const std::size_t n : {0, 1, 255, 256, 257, 1000}) {
      const auto x = integers<float>(n, 1000);
      std::vector<float> expected((n + 255) / 256);
      for (std::size_t i = 0; i < n; ++i) expected[i / 256] += x[i];
      CHECK(run([&] { return examples::block_sums(x); }) == expected);
    }
  }

  TEST_CASE("a transposed matrix has its elements in the right places") {
    if (is_skipped()) return;
    for (const auto& [rows, cols] :
         {std::pair(1, 1), std::pair(32, 32), std::pair(33, 70), std::pair(64, 31)}) {
      const auto matrix = integers<float>(static_cast<std::size_t>(rows * cols), 1u << 20);
      std::vector<float> expected(matrix.size());
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < cols; ++c)
          expected[static_cast<std::size_t>(c * rows + r)] = matrix[static_cast<std::size_t>(r * cols + c)];
      for (const bool padded : {false, true})
        CHECK(run([&, r = rows, c = cols] { return examples::transpose(matrix, r, c, padded); }) == expected);
    }
  }

  TEST_CASE("prefix sums of warps, by shuffles and through shared memory") {
    if (is_skipped()) return;
    for (const std::size_t n : {32, 96, 128, 160}) {
      const auto x = integers<int>(n, 1000);
      std::vector<int> expected(x);
      for (std::size_t i = 0; i < n; ++i)
        if (i % 32 != 0) expected[i] += expected[i - 1];
      CHECK(run([&] { return examples::warp_scan(x); }) == expected);
      CHECK(run([&] { return examples::warp_scan_shared(x); }) == expected);
    }
  }

  TEST_CASE("a histogram by atomics counts every byte") {
    if (is_skipped()) return;
    const auto x = integers<std::uint8_t>(5000, 256);
    std::vector<unsigned> expected(256);
    for (const std::uint8_t value : x) ++expected[value];
    CHECK(run([&] { return examples::histogram(x); }) == expected);
  }

  TEST_CASE("a matrix product whose tiles come by asynchronous copies") {
    if (is_skipped()) return;
    for (const int n : {16, 32, 48}) {
      const auto size = static_cast<std::size_t>(n);
      const auto a = integers<float>(size * size, 100), b = integers<float>(size * size, 100, 2);
      std::vector<float> expected(size * size);
      for (std::size_t r = 0; r < size; ++r)
        for (std::size_t c = 0; c < size; ++c)
          for (std::size_t k = 0; k < size; ++k) expected[r * size + c] += a[r * size + k] * b[k * size + c];
      CHECK(run([&] { return examples::matmul(a, b, n); }) == expected);
    }
  }

  TEST_CASE("rows of 64 KB are reversed in shared memory that was asked for") {
    if (is_skipped()) return;
    const int rows = 2, cols = 16384;
    const auto matrix = integers<float>(static_cast<std::size_t>(rows) * cols, 1u << 20);
    std::vector<float> expected(matrix);
    for (int r = 0; r < rows; ++r)
      std::reverse(expected.begin() + r * cols, expected.begin() + (r + 1) * cols);
    CHECK(run([&] { return examples::reverse_rows(matrix, rows, cols); }) == expected);
  }

  TEST_CASE("chunks that overlap on two streams come back in order") {
    if (is_skipped()) return;
    for (const std::size_t n : {0, 1, 100, 1000}) {
      const auto x = integers<float>(n, 1000);
      std::vector<float> expected(x);
      for (float& value : expected) value = 2 * value + 1;
      CHECK(run([&] { return examples::pipeline(x, 128); }) == expected);
    }
  }

  TEST_CASE("a graph of two streams does the same each time it is launched") {
    if (is_skipped()) return;
    const auto x = integers<float>(300, 1000);
    for (const int n_times : {0, 1, 5}) {
      std::vector<float> expected(x);
      for (float& value : expected) value = std::ldexp(value, n_times);
      CHECK(run([&] { return examples::replay(x, n_times); }) == expected);
    }
  }

  TEST_CASE("votes of a warp and of a block") {
    if (is_skipped()) return;
    const auto x = integers<unsigned>(128, 1020, 7);
    std::vector<unsigned> expected(4 * x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      unsigned n_odd = 0, any = 0, greatest = 0, same = 0, all = 1;
      for (std::size_t j = i / 64 * 64; j < i / 64 * 64 + 64; ++j) all &= x[j] < 1000;
      for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
        n_odd += x[j] % 2;
        any |= x[j] > 100;
        greatest = std::max(greatest, x[j]);
        same |= unsigned{x[j] == x[i]} << (j % 32);
      }
      const unsigned row[] = {n_odd | all << 31, any, greatest, same};
      std::copy(row, row + 4, &expected[4 * i]);
    }
    CHECK(run([&] { return examples::votes(x); }) == expected);
  }

  TEST_CASE("16-bit floats round to nearest even, with subnormals and infinity") {
    if (is_skipped()) return;
    const std::vector<float> x{0.0f,       1.0f,       -2.5f,   1.00048828125f, 1.00146484375f, 65504.0f,
                               65519.0f,   65520.0f,   -1e30f,  0x1p-14f,       0x1p-24f,       0x1p-25f,
                               0x1.8p-24f, 0x1.8p-25f, 6.1e-5f, 1.0f / 3,       -0x1p-15f,      100.03f};
    const std::vector<float> expected{0.0f,     1.0f,     -2.5f,        1.0f,        1.001953125f, 65504.0f,
                                      65504.0f, INFINITY, -INFINITY,    0x1p-14f,    0x1p-24f,     0.0f,
                                      0x1p-23f, 0x1p-24f, 0x1.ff8p-15f, 0x1.554p-2f, -0x1p-15f,    100.0f};
    CHECK(run([&] { return examples::through_half(x); }) == expected);
  }
}
