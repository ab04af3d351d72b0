#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). A number is a pure function of (key, counter), so any thread of any engine can have any number
// without state, and the order of computation never matters. constexpr, so device code can call it too.

#include <array>
#include <cstdint>

namespace melgrad {

using PhiloxBlock = std::array<std::uint32_t, 4>;

// What a stream of random numbers is for; part of the counter, so streams never overlap.
enum class RandomStream : std::uint32_t {
  initial_weights,
  shuffle,
  validation_split,
  dropout,
  mixup,
  split,
  bootstrap,
  search,
  copies
};

// Ten rounds over counter [4] with key [2].
constexpr PhiloxBlock philox(std::uint64_t key, PhiloxBlock counter) {
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

// The upper 24 bits as a float in [0, 1).
constexpr float uniform01(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

// A sequential reader of one stream, for host code that draws one number after another.
class PhiloxSequence {
 public:
  constexpr PhiloxSequence(std::uint64_t random_state, RandomStream stream, std::uint32_t index = 0)
      : key_(random_state), stream_(static_cast<std::uint32_t>(stream)), index_(index) {}

  constexpr std::uint32_t next() {
    const auto lane = static_cast<std::uint32_t>(position_ % 4);
    if (lane == 0) {
      const std::uint64_t block = position_ / 4;
      block_ = philox(key_, {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                             index_, stream_});
    }
    ++position_;
    return block_[lane];
  }
  constexpr float next_uniform01() { return uniform01(next()); }
  // Uniform in [0, bound), without bias: draws again in the incomplete last interval.
  constexpr std::uint32_t next_below(std::uint32_t bound) {
    const std::uint32_t reject_below = (0u - bound) % bound;  // 2^32 mod bound
    for (;;) {
      const std::uint32_t bits = next();
      if (bits >= reject_below) return bits % bound;
    }
  }

 private:
  std::uint64_t key_;
  std::uint32_t stream_;
  std::uint32_t index_;
  std::uint64_t position_ = 0;
  PhiloxBlock block_{};
};

}  // namespace melgrad
