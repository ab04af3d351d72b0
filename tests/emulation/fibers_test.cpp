// Fibers themselves; also built with ucontext, which machines other than x86-64 use.

#include "fibers.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

namespace {

using melgrad::emulation::Fiber;
using melgrad::emulation::FiberStacks;

constexpr int n_fibers = 3;
std::array<Fiber, n_fibers> fibers;
int current = 0;
std::vector<int> events;
std::array<double, n_fibers> sums{};

// Suspends three times; what is on its stack and in its registers must survive.
void count_and_sum() {
  const int me = current;
  double sum = me;
  for (int i = 0; i < 3; ++i) {
    events.push_back(10 * me + i);
    sum += std::sqrt(static_cast<double>(i));
    fibers[static_cast<std::size_t>(me)].suspend();
  }
  sums[static_cast<std::size_t>(me)] = sum;
  fibers[static_cast<std::size_t>(me)].end();
}

}  // namespace

TEST_SUITE("emulation_fibers") {
  TEST_CASE("fibers take turns, keep their stacks, and can be begun again on a used stack") {
    FiberStacks stacks(n_fibers, 256 << 10);
    for (int round = 0; round < 2; ++round) {
      events.clear();
      sums = {};
      for (std::size_t i = 0; i < n_fibers; ++i)
        fibers[i].prepare(stacks.stack(static_cast<int>(i)), stacks.usable_size(), count_and_sum);
      for (int turn = 0; turn < 4; ++turn)
        for (current = 0; current < n_fibers; ++current) fibers[static_cast<std::size_t>(current)].resume();
      CHECK(events == std::vector{0, 10, 20, 1, 11, 21, 2, 12, 22});
      for (std::size_t i = 0; i < n_fibers; ++i)
        CHECK(sums[i] == static_cast<double>(i) + 0.0 + 1.0 + std::sqrt(2.0));
    }
  }

  TEST_CASE("an address is found to be on the stack that holds it") {
    FiberStacks stacks(2, 256 << 10);
    const auto second = reinterpret_cast<std::uintptr_t>(stacks.stack(1));
    CHECK(stacks.holder(second) == 1);
    CHECK(stacks.holder(second - 1) == 1);
    CHECK(stacks.is_guard(second - 1));
    CHECK_FALSE(stacks.is_guard(second));
    CHECK(stacks.holder(second + stacks.usable_size()) == -1);
  }
}
