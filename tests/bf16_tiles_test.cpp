// Products of bf16 on the tile registers, against plain loops in double precision.

#include "host/cpu/bf16_tiles.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "host/core/philox.hpp"
#include "host/cpu/aligned.hpp"

using namespace melgrad;

#ifdef __x86_64__
namespace {

bool skips_without_tiles() {
  if (lack_of_bf16_tiles().empty()) return false;
  MESSAGE("skipped: " << lack_of_bf16_tiles());
  return true;
}

// The nearest of the numbers with 8 significant bits, ties to even.
float nearest_bf16(float x) {
  int exponent = 0;
  const float fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

float value_of(std::uint32_t bf16) {
  return std::bit_cast<float>(bf16 << 16);
}

// n random floats between -2 and 2 with a few tiny ones.
AlignedArray<float> floats(Index n, std::uint64_t seed) {
  AlignedArray<float> values(static_cast<std::size_t>(n));
  PhiloxSequence random(seed, RandomStream::split);
  for (Index i = 0; i < n; ++i)
    values.data()[i] = (4 * random.next_uniform01() - 2) * (i % 7 == 0 ? 1e-6f : 1.0f);
  return values;
}

}  // namespace

TEST_SUITE("bf16_tiles") {
  TEST_CASE("floats are rounded to the nearest bf16, ties to even, and paired") {
    if (skips_without_tiles()) return;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    AlignedArray<float> values = floats(48, 1);
    const std::vector<float> hard = {1 + 0x1p-8f,          // a tie, down to 1
                                     1 + 0x3p-8f,          // a tie, up to 1 + 2^-6
                                     -1 - 0x1.000002p-8f,  // beyond a tie
                                     255.9f,               // up to another exponent
                                     0.0f,
                                     infinity,
                                     -infinity,
                                     std::numeric_limits<float>::max()};
    std::copy(hard.begin(), hard.end(), values.data());
    AlignedArray<std::uint16_t> rounded(64);
    round_to_bf16(values.data(), 48, rounded.data());
    for (std::size_t i = 0; i < 48; ++i) {
      const float expected = i == 7 ? infinity : nearest_bf16(values[i]);
      CHECK(value_of(rounded[i]) == expected);
    }
    for (std::size_t i = 48; i < 64; ++i) CHECK(rounded[i] == 0);
    CHECK(value_of(rounded[1]) == 1 + 0x1p-6f);

    AlignedArray<float> odd(16);
    std::fill_n(odd.data(), 16, 1e-39f);  // below the normal range
    odd[0] = std::numeric_limits<float>::quiet_NaN();
    AlignedArray<std::uint32_t> pairs(16);
    pair_to_bf16(values.data(), odd.data(), 16, pairs.data());
    for (std::size_t i = 0; i < 16; ++i) {
      CHECK((pairs[i] & 0xffff) == rounded[i]);
      if (i > 0) CHECK((pairs[i] >> 16) == 0);
    }
    CHECK(std::isnan(value_of(pairs[0] >> 16)));
    pair_to_bf16(values.data(), nullptr, 16, pairs.data());
    for (std::size_t i = 0; i < 16; ++i) CHECK(pairs[i] == rounded[i]);
  }

  TEST_CASE("a matrix of bf16 is transposed, and nothing beside it is written") {
    if (skips_without_tiles()) return;
    constexpr Index n_rows = 96, n_cols = 48, in_stride = 57, out_stride = 128;
    std::vector<std::uint16_t> in(n_rows * in_stride);
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::uint16_t>(i * 40503 >> 3);
    AlignedArray<std::uint16_t> out(n_cols * out_stride);
    std::fill_n(out.data(), out.size(), std::uint16_t{12345});
    transpose_bf16(in.data(), in_stride, n_rows, n_cols, out.data(), out_stride);
    for (Index row = 0; row < n_cols; ++row)
      for (Index col = 0; col < out_stride; ++col)
        REQUIRE(out.data()[row * out_stride + col] ==
                (col < n_rows ? in[static_cast<std::size_t>(col * in_stride + row)] : 12345));
  }

  TEST_CASE("a block's product equals plain loops over the rounded values, and touches nothing else") {
    if (skips_without_tiles()) return;
    for (const Index n_cols : {16, 32}) {
      for (const Index depth : {32, 96, 512}) {
        CAPTURE(n_cols);
        CAPTURE(depth);
        const Index a_stride = depth + 32, b_stride = 48, c_stride = 53;
        const AlignedArray<float> a = floats(bf16_block * depth, 2), b = floats(depth * b_stride, 3);
        AlignedArray<std::uint16_t> a_bf16(static_cast<std::size_t>(bf16_block * a_stride));
        for (Index row = 0; row < bf16_block; ++row)
          round_to_bf16(a.data() + row * depth, depth, a_bf16.data() + row * a_stride);
        AlignedArray<std::uint32_t> b_pairs(static_cast<std::size_t>(depth / 2 * b_stride));
        for (Index k = 0; k < depth; k += 2)
          pair_to_bf16(b.data() + k * b_stride, b.data() + (k + 1) * b_stride, b_stride,
                       b_pairs.data() + k / 2 * b_stride);
        std::vector<float> c(bf16_block * c_stride, -7.0f);
        {
          const Bf16Tiles tiles;
          tiles.clear();
          for (Index k = 0; k < depth; k += bf16_block)
            tiles.add(a_bf16.data() + k, a_stride, b_pairs.data() + k / 2 * b_stride, b_stride, n_cols);
          tiles.store(c.data(), c_stride, n_cols);
        }
        double worst = 0;
        for (Index row = 0; row < bf16_block; ++row) {
          for (Index col = 0; col < c_stride; ++col) {
            const auto actual = static_cast<double>(c[static_cast<std::size_t>(row * c_stride + col)]);
            if (col >= n_cols) {
              REQUIRE(actual == -7.0);
              continue;
            }
            double expected = 0, magnitude = 0;
            for (Index k = 0; k < depth; ++k) {
              const double term = static_cast<double>(nearest_bf16(a.data()[row * depth + k])) *
                                  static_cast<double>(nearest_bf16(b.data()[k * b_stride + col]));
              expected += term;
              magnitude += std::abs(term);
            }
            worst = std::max(worst, std::abs(actual - expected) / magnitude);
          }
        }
        // Products of bf16 are exact in float32, and each of `depth` sums rounds by 2^-24 of what it is.
        CHECK(worst < static_cast<double>(depth) * 0x1p-24);
      }
    }
  }
}
#endif  // __x86_64__
