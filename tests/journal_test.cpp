#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "host/cache/journal.hpp"
#include "host/core/error.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;
using namespace melgrad::test;

namespace {

std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_content(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

const std::vector<std::string> first = {"one", "two {\"x\": 1}"}, second = {"three"};
const std::vector<std::string> all = {"one", "two {\"x\": 1}", "three"};

}  // namespace

TEST_SUITE("journal") {
  TEST_CASE("records come back in order, with the header") {
    const TemporaryFolder folder;
    const auto file = folder / "a.journal";
    {
      Journal journal(file);
      CHECK_FALSE(journal.header().has_value());
      journal.start("of this");
      journal.append(first);
    }
    {
      Journal journal(file);
      CHECK(journal.header() == "of this");
      CHECK(journal.records() == first);
      journal.append(second);
      CHECK(journal.records() == all);
    }
    CHECK(Journal(file).records() == all);
    Journal(file).start("of that");
    CHECK(Journal(file).header() == "of that");
    CHECK(Journal(file).records().empty());
  }

  TEST_CASE("a journal that was cut off anywhere gives its whole records, and goes on behind them") {
    const TemporaryFolder folder;
    const auto file = folder / "a.journal";
    {
      Journal journal(file);
      journal.start("h");
      journal.append(all);
    }
    const std::string whole = content_of(file);
    std::size_t most = 0;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      write_content(file, whole.substr(0, size));
      {
        Journal journal(file);
        const auto records = journal.records();
        CHECK(journal.n_damaged() == 0);
        REQUIRE(records.size() >= most);
        most = records.size();
        CHECK(std::equal(records.begin(), records.end(), all.begin()));
        if (!journal.header()) {
          CHECK(records.empty());
          journal.start("h");
        }
        journal.append(second);
      }
      const Journal again(file);
      CHECK(again.header() == "h");
      CHECK(again.n_damaged() == 0);
      CHECK(again.records().size() == most + 1);
      CHECK(again.records().back() == "three");
    }
    CHECK(most == 3);
  }

  TEST_CASE("any flipped bit of a record costs that record and no other") {
    const TemporaryFolder folder;
    const auto file = folder / "a.journal";
    {
      Journal journal(file);
      journal.start("h");
      journal.append(all);
    }
    const std::string whole = content_of(file);
    const std::size_t begin = whole.find('\n') + 1, end = whole.find('\n', begin);  // the first record
    for (std::size_t at = begin; at < end; ++at)
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 1 << bit);
        write_content(file, damaged);
        const Journal journal(file);
        CHECK(journal.n_damaged() >= 1);
        CHECK(journal.records() == std::vector<std::string>{"two {\"x\": 1}", "three"});
      }
  }

  TEST_CASE("a file that is no journal, or whose header is damaged, is refused and stays as it is") {
    const TemporaryFolder folder;
    const auto file = folder / "a.journal";
    for (const std::string& content : {std::string("my notes\n"), std::string("x"),
                                       std::string("melgrad-journal 1 0123456789abcdef h\n")}) {
      write_content(file, content);
      CHECK_THROWS_AS(Journal{file}, Error);
      CHECK(content_of(file) == content);
    }
    CHECK_THROWS_AS(Journal(folder / "nowhere" / "a.journal").start("h"), Error);
  }
}
