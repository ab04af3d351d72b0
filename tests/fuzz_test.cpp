// The fuzzers' targets (fuzz/targets.hpp) on their seeds, on small changes of them, and on every input that
// once broke one: fuzz/crashers/TARGET/. `tools/fuzz` goes on from there.

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "fuzz/hdf5_checksums.hpp"
#include "fuzz/targets.hpp"
#include "host/core/error.hpp"
#include "host/core/parse_json.hpp"
#include "host/core/philox.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;

namespace fs = std::filesystem;

namespace {

// Bytes flipped, doubled, lost and exchanged, in one to four places.
std::string changed(std::string bytes, const std::string& other, PhiloxSequence& random) {
  const auto below = [&](std::size_t n) { return random.next_below(static_cast<std::uint32_t>(n)); };
  for (auto n_changes = 1 + below(4); n_changes > 0 && !bytes.empty(); --n_changes) {
    const std::size_t at = below(bytes.size()),
                      length = std::min<std::size_t>(1 + below(16), bytes.size() - at);
    switch (below(5)) {
      case 0:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 1:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        for (std::size_t i = 0; i < length; ++i) bytes[at + i] = static_cast<char>(below(2) ? 0xff : 0);
        break;
      default:
        if (!other.empty()) bytes.replace(at, length, other, below(other.size()), length);
    }
  }
  return bytes;
}

}  // namespace

TEST_SUITE("fuzz") {
  TEST_CASE("no reader of foreign bytes is broken by its seeds or by changes of them") {
    for (const fuzz::Target& target : fuzz::targets()) {
      CAPTURE(target.name);
      const std::vector<std::string> seeds = target.seeds();
      REQUIRE_FALSE(seeds.empty());
      PhiloxSequence random(1, RandomStream::search);
      for (std::size_t seed = 0; seed < seeds.size(); ++seed) {
        CAPTURE(seed);
        CHECK_NOTHROW(target.run(seeds[seed]));
        for (std::size_t change = 0; change < 300 / seeds.size() + 3; ++change) {
          CAPTURE(change);
          CHECK_NOTHROW(target.run(changed(seeds[seed], seeds[change % seeds.size()], random)));
        }
      }
      CHECK_NOTHROW(target.run(""));
    }
  }

  TEST_CASE("what once broke a reader breaks it no more") {
    int n_files = 0;
    for (const fuzz::Target& target : fuzz::targets()) {
      const fs::path folder = fs::path(MELGRAD_CRASHERS) / target.name;
      if (!fs::exists(folder)) continue;
      for (const auto& entry : fs::directory_iterator(folder)) {
        CAPTURE(entry.path());
        CHECK_NOTHROW(target.run(test::read_bytes(entry.path())));
        ++n_files;
      }
    }
    MESSAGE(n_files << " inputs");
  }

  TEST_CASE("the checksums that the fuzzers repair are HDF5's") {
    for (const fuzz::Target& target : fuzz::targets()) {
      const std::string name = target.name;
      if (name != "cache" && name != "model") continue;
      for (const std::string& seed : target.seeds()) {
        CHECK(fuzz::with_right_checksums(seed) == seed);
        std::string broken = seed;
        broken[44] = static_cast<char>(broken[44] ^ 1);  // of the superblock
        const std::size_t header = broken.find("OHDR");
        REQUIRE(header != broken.npos);
        CHECK(fuzz::with_right_checksums(broken) == seed);
      }
    }
  }

  TEST_CASE("JSON that is nested without end is refused and overflows no stack") {
    for (const int depth : {max_json_depth + 1, 1'000'000}) {
      const auto n = static_cast<std::size_t>(depth);
      CHECK_THROWS_WITH_AS(parse_json(std::string(n, '[') + std::string(n, ']')),
                           doctest::Contains("nested deeper than 100"), Error);
    }
    CHECK(parse_json(std::string(max_json_depth, '[') + std::string(max_json_depth, ']')).size() == 1);
    CHECK_THROWS_WITH_AS(parse_json("[1e999]"), doctest::Contains("not JSON: number overflow"), Error);
    CHECK_THROWS_WITH_AS(parse_json("{\"a\": }"),
                         doctest::Contains("not JSON: parse error at line 1, column 7"), Error);
  }
}
