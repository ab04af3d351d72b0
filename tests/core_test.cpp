#include <doctest/doctest.h>
#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/fields.hpp"
#include "host/core/parallel.hpp"
#include "host/core/philox.hpp"
#include "host/core/thread_name.hpp"
#include "host/engine/mlp.hpp"

using namespace melgrad;

namespace {

struct Count {
  std::int64_t n = 0;
  static constexpr auto fields() { return std::tuple{field("n", &Count::n, "")}; }
};

}  // namespace

TEST_SUITE("core") {
  TEST_CASE("philox gives the known answers of its authors' library") {
    // Random123, tests/kat_vectors: philox4x32 with 10 rounds.
    CHECK(philox(0, {0, 0, 0, 0}) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox(~0ull, {~0u, ~0u, ~0u, ~0u}) == PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox(0x299f31d0a4093822ull, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
          PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  }

  TEST_CASE("next_below stays below its bound and reaches every value") {
    PhiloxSequence sequence(7, RandomStream::split);
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(sequence.next_below(10));
    CHECK(seen.size() == 10);
    CHECK(*seen.rbegin() == 9);
  }

  TEST_CASE("parallel_for does every item once, for any number of threads") {
    for (int n_threads : {1, 2, 7}) {
      for (Index n : {Index{0}, Index{1}, Index{100}}) {
        std::vector<std::atomic<int>> done(static_cast<std::size_t>(n));
        parallel_for(n, n_threads, [&](Index item, int worker) {
          CHECK(worker < n_threads);
          ++done[static_cast<std::size_t>(item)];
        });
        for (const auto& count : done) CHECK(count == 1);
      }
    }
  }

  TEST_CASE("parallel_for rethrows the error of an item and hands out no more") {
    std::atomic<int> n_done{0};
    CHECK_THROWS_WITH_AS(parallel_for(1'000'000, 2,
                                      [&](Index item, int) {
                                        if (item == 3) fail("item 3");
                                        ++n_done;
                                      }),
                         "item 3", Error);
    CHECK(n_done < 1'000'000);
  }

  TEST_CASE("a spec goes through JSON and back, and absent fields keep their defaults") {
    MlpSpec spec;
    spec.hidden_layer_sizes = {8, 9};
    spec.activation = Activation::logistic;
    spec.alpha = 0.01;
    CHECK(from_json_fields<MlpSpec>(to_json_fields(spec)) == spec);
    CHECK(from_json_fields<MlpSpec>(Json::object()) == MlpSpec{});
  }

  TEST_CASE("a spec refuses unknown names, wrong types and values out of limits, and names each") {
    auto read = [](const char* text) { return from_json_fields<MlpSpec>(Json::parse(text)); };
    CHECK_THROWS_WITH_AS(read(R"({"alhpa": 1})"), doctest::Contains("unknown name 'alhpa'"), UsageError);
    CHECK_THROWS_WITH_AS(read(R"({"alpha": "x"})"), R"(alpha: "x" is not a number)", UsageError);
    CHECK_THROWS_WITH_AS(read(R"({"alpha": -1})"), doctest::Contains("alpha: -1 is not in [0"), UsageError);
    CHECK_THROWS_WITH_AS(read(R"({"max_iter": 1.5})"), "max_iter: 1.5 is not a whole number", UsageError);
    CHECK_THROWS_WITH_AS(read(R"({"activation": "swish"})"),
                         doctest::Contains("'swish' is not one of: identity"), UsageError);
    CHECK_THROWS_WITH_AS(read(R"({"hidden_layer_sizes": [8, 0]})"), doctest::Contains("0 is not in [1"),
                         UsageError);
  }

  TEST_CASE("a whole number that its type cannot hold is refused") {
    constexpr std::int64_t greatest = std::numeric_limits<std::int64_t>::max();
    CHECK(from_json_fields<Count>(Json{{"n", greatest}}).n == greatest);
    CHECK(from_json_fields<Count>(Json{{"n", -greatest - 1}}).n == -greatest - 1);
    CHECK_THROWS_WITH_AS(from_json_fields<Count>(Json{{"n", std::uint64_t{1} << 63}}),
                         doctest::Contains("n: 9223372036854775808 is not in"), UsageError);
  }

  TEST_CASE("a thread's name is cut where the kernel's limit is") {
    char name[32] = {};
    std::thread([&] {
      name_this_thread("decode 17 of many files");
      pthread_getname_np(pthread_self(), name, sizeof name);
    }).join();
    CHECK(std::string(name) == "decode 17 of ma");
  }
}
