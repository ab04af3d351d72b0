#include "host/cache/feature_cache.hpp"

#include <doctest/doctest.h>
#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "host/cache/hdf5.hpp"
#include "host/core/error.hpp"
#include "support/audio_files.hpp"
#include "support/fake_engine.hpp"

using namespace melgrad;
using test::RecordedProgress;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

FeatureSpec small_spec(int n_mels = 8) {
  FeatureSpec spec;
  spec.name = "small";
  spec.descriptors = {{MelSpectrogram{.n_mels = n_mels}, {Functional::mean}}};
  return spec;
}

// n_clips rows, of which the second is refused; first numbers their audio.
FeatureTable sample_table(Index n_clips, int first = 0, const FeatureSpec& spec = small_spec()) {
  FeatureTable table = make_feature_table(spec, "fake", n_clips);
  for (Index clip = 0; clip < n_clips; ++clip) {
    const auto i = static_cast<std::size_t>(clip);
    const int number = first + static_cast<int>(clip);
    table.clips[i] = {fmt::format("Actor/ä{}.wav", number), number % 2 ? "happy" : "sad", "01", "", {}};
    table.clips[i].attributes = {{"sex", "f"}, {"a/b%", std::to_string(number)}};
    if (clip == 0) table.clips[i].attributes[".x"] = "only here";
    const bool is_refused = clip == 1;
    table.audio_hash[i] = is_refused ? "" : fmt::format("{:032x}", number);
    table.status[i] = is_refused ? "refused: is empty (0 bytes)" : "ok";
    table.duration_s[i] = is_refused ? 0 : 0.1 * number;
    table.file_stamp[i] = is_refused ? 0 : static_cast<std::uint64_t>(7'000 + number);
    for (Index j = 0; j < table.features.cols; ++j)
      table.features(clip, j) =
          is_refused ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(1000 * number + j) + 0.5f;
  }
  return table;
}

// NaN equals NaN.
bool same_values(const Matrix<float>& a, const Matrix<float>& b) {
  return a.rows == b.rows && a.cols == b.cols && std::ranges::equal(a.values, b.values, [](float x, float y) {
           return x == y || (std::isnan(x) && std::isnan(y));
         });
}

void check_same(const FeatureTable& a, const FeatureTable& b) {
  CHECK(a.spec == b.spec);
  CHECK(a.engine == b.engine);
  CHECK(a.columns == b.columns);
  CHECK(a.clips == b.clips);
  CHECK(a.audio_hash == b.audio_hash);
  CHECK(a.status == b.status);
  CHECK(a.duration_s == b.duration_s);
  CHECK(a.file_stamp == b.file_stamp);
  CHECK(same_values(a.features, b.features));
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

// A cache of a file of four rows and two segments of three rows each.
void make_unfinished_cache(const fs::path& file) {
  save_feature_file(sample_table(4), file);
  RecordedProgress progress;
  FeatureCache cache(file, small_spec(), progress);
  FeatureTable rows = sample_table(3, 100);
  rows.status[1] = "ok";
  rows.audio_hash[1] = "a hash";
  rows.features(1, 0) = 7;
  for (Index j = 1; j < rows.features.cols; ++j) rows.features(1, j) = 0;
  cache.commit(rows);
  cache.commit(sample_table(1, 200));
}

}  // namespace

TEST_SUITE("cache") {
  TEST_CASE(
      "a table comes back from its file as it was, refused rows, NaN and odd attribute names included") {
    const TemporaryFolder folder;
    for (const Index n_clips : {0, 1, 2, 1000}) {
      CAPTURE(n_clips);
      const FeatureTable table = sample_table(n_clips);
      save_feature_file(table, folder / "features.h5");
      check_same(read_feature_table(folder / "features.h5"), table);
    }
    CHECK(names_in(folder.path()) == std::set<std::string>{"features.h5"});
  }

  TEST_CASE("the file has the documented layout") {
    const TemporaryFolder folder;
    save_feature_file(sample_table(3), folder / "features.h5");
    const hdf5::Reader reader(folder / "features.h5");
    for (const char* name : {"audio_hash", "columns", "duration_s", "features", "file_stamp", "groups",
                             "labels", "paths", "row_hash", "splits", "status"})
      CHECK_MESSAGE(reader.has(name), name);
    CHECK(reader.strings("attribute_names") == std::vector<std::string>{".x", "a/b%", "sex"});
    for (const char* name : {"attributes/%2Ex", "attributes/a%2Fb%25", "attributes/sex"})
      CHECK(reader.strings(name).size() == 3);
    CHECK(reader.integer_attribute("format_version") == feature_cache_version);
    CHECK(feature_spec_from_json(Json::parse(reader.string_attribute("feature_spec"))) == small_spec());
    CHECK(reader.string_attribute("engine") == "fake");
    CHECK(reader.strings("labels") == std::vector<std::string>{"sad", "happy", "sad"});
    CHECK(reader.matrix("features").cols == 8);
  }

  TEST_CASE("names of attributes that no writer of ours leaves are damage") {
    const TemporaryFolder folder;
    for (const std::vector<std::string>& names :
         {std::vector<std::string>{"b", "a"}, std::vector<std::string>{"a", "a"}}) {
      hdf5::Writer writer;
      writer.attribute("format_version", feature_cache_version);
      for (const char* name : {"feature_spec", "engine", "melgrad_version", "hdf5_version"})
        writer.attribute(name, "x");
      writer.strings("columns", std::vector<std::string>{"c"});
      writer.strings("attribute_names", names);
      writer.numbers("row_hash", std::vector<std::uint64_t>{});
      save_atomically(folder / "features.h5", writer.finish(), [](const auto&) {});
      CHECK_THROWS_WITH_AS(read_feature_file(folder / "features.h5"),
                           doctest::Contains("attribute_names: not sorted, or one of them twice"),
                           hdf5::DamagedFile);
    }
  }

  TEST_CASE("equal tables are equal files, and content_hash sees every part of a table") {
    const TemporaryFolder folder;
    const FeatureTable table = sample_table(3);
    save_feature_file(table, folder / "a.h5");
    save_feature_file(table, folder / "b.h5");
    CHECK(test::read_bytes(folder / "a.h5") == test::read_bytes(folder / "b.h5"));
    std::set<std::uint64_t> hashes{content_hash(table)};
    auto change = [&](auto edit) {
      FeatureTable other = table;
      edit(other);
      hashes.insert(content_hash(other));
    };
    change([](FeatureTable& t) { t.spec.name = "other"; });
    change([](FeatureTable& t) { t.engine = "other"; });
    change([](FeatureTable& t) { t.columns[1] += "x"; });
    change([](FeatureTable& t) { t.clips[0].path += "x"; });
    change([](FeatureTable& t) { t.clips[0].label += "x"; });
    change([](FeatureTable& t) { t.clips[0].group += "x"; });
    change([](FeatureTable& t) { t.clips[0].split += "x"; });
    change([](FeatureTable& t) { t.clips[0].attributes["sex"] = "m"; });
    change([](FeatureTable& t) { t.clips[0].attributes["new"] = "x"; });
    change([](FeatureTable& t) { t.audio_hash[0] += "x"; });
    change([](FeatureTable& t) { t.status[1] += "x"; });
    change([](FeatureTable& t) { t.duration_s[2] += 1e-9; });
    change([](FeatureTable& t) { ++t.file_stamp[2]; });
    change([](FeatureTable& t) { t.features(2, 7) = std::nextafter(t.features(2, 7), 0.0f); });
    CHECK(hashes.size() == 15);
  }

  TEST_CASE("a row that was changed by other means than ours is named") {
    const TemporaryFolder folder;
    const auto path = folder / "features.h5";
    save_feature_file(sample_table(5), path);
    // HDF5 itself rewrites the row, with a good Fletcher-32: only the row's own hash can tell.
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t set = H5Dopen2(file, "features", H5P_DEFAULT);
    std::vector<float> values(5 * 8);
    REQUIRE(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
    values[3 * 8 + 2] += 1;
    REQUIRE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
    H5Dclose(set);
    H5Fclose(file);
    CHECK_THROWS_WITH_AS(read_feature_table(path),
                         doctest::Contains("features.h5: row 3 (Actor/ä3.wav) is damaged"),
                         hdf5::DamagedFile);
  }

  TEST_CASE("no flipped bit and no truncation goes unnoticed or changes what is read") {
    const TemporaryFolder folder;
    const auto path = folder / "features.h5";
    const FeatureTable table = sample_table(3);
    save_feature_file(table, path);
    const std::string whole = test::read_bytes(path);
    const std::uint64_t hash = content_hash(table);
    Index n_noticed = 0, n_changed = 0;
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    auto put = [&](std::size_t at, char byte) {
      stream.seekp(static_cast<std::streamoff>(at));
      stream.put(byte).flush();
    };
    for (std::size_t at = 0; at < whole.size(); ++at) {
      put(at, static_cast<char>(whole[at] ^ (1 << (at % 8))));
      try {
        n_changed += content_hash(read_feature_file(path).table) != hash;
      } catch (const Error&) {
        ++n_noticed;
      }
      put(at, whole[at]);
    }
    CHECK(n_changed == 0);
    CHECK(n_noticed > 0);
    for (std::size_t size = whole.size(); size > 41; size -= 41) {
      fs::resize_file(path, size - 41);
      CHECK_THROWS_AS(read_feature_file(path), hdf5::DamagedFile);
    }
  }

  TEST_CASE("a reader takes the file and its segments together, each recording once") {
    const TemporaryFolder folder;
    make_unfinished_cache(folder / "features.h5");
    const FeatureTable table = read_feature_table(folder / "features.h5");
    CHECK(table.n_clips() == 4 + 3 + 1);
    CHECK(table.clips[7].path == "Actor/ä200.wav");
    fs::remove(folder / "features.h5");  // as after a crash in a first run
    CHECK(read_feature_table(folder / "features.h5").n_clips() == 4);
  }

  TEST_CASE("committed rows are found again by their audio, refused ones are not") {
    const TemporaryFolder folder;
    make_unfinished_cache(folder / "features.h5");
    RecordedProgress progress;
    const FeatureCache cache(folder / "features.h5", small_spec(), progress);
    CHECK(progress.warnings.empty());
    CHECK(cache.find(fmt::format("{:032x}", 3))->features[0] == 3000.5f);
    CHECK(cache.find("a hash")->features[0] == 7);
    CHECK(cache.find(fmt::format("{:032x}", 200))->features[1] == 200'001.5f);
    CHECK_FALSE(cache.find(fmt::format("{:032x}", 4)));
    CHECK_FALSE(cache.find(""));
    CHECK(cache.find_file("Actor/ä3.wav", 7'003)->features[0] == 3000.5f);
    CHECK(cache.find_file("Actor/ä3.wav", 7'003)->audio_hash == fmt::format("{:032x}", 3));
    CHECK(cache.find_file("Actor/ä3.wav", 7'003)->duration_s == doctest::Approx(0.3));
    CHECK_FALSE(cache.find_file("Actor/ä3.wav", 7'002));
    CHECK_FALSE(cache.find_file("Actor/ä2.wav", 7'003));
    CHECK_FALSE(cache.find_file("Actor/ä1.wav", 0));
    CHECK(cache.engines() == std::set<std::string>{"fake"});
  }

  TEST_CASE("finishing leaves one file and nothing else, and does not touch a file that is right already") {
    const TemporaryFolder folder;
    make_unfinished_cache(folder / "features.h5");
    const FeatureTable table = read_feature_table(folder / "features.h5");
    RecordedProgress progress;
    FeatureCache(folder / "features.h5", small_spec(), progress).finish(table);
    CHECK(names_in(folder.path()) == std::set<std::string>{"features.h5"});
    check_same(read_feature_table(folder / "features.h5"), table);
    const auto written = fs::last_write_time(folder / "features.h5");
    FeatureCache(folder / "features.h5", small_spec(), progress).finish(table);
    CHECK(fs::last_write_time(folder / "features.h5") == written);
    CHECK(progress.warnings.empty());
  }

  TEST_CASE("rows of recordings that are no longer in the data are left out and counted") {
    const TemporaryFolder folder;
    save_feature_file(sample_table(10), folder / "features.h5");
    RecordedProgress progress;
    FeatureCache(folder / "features.h5", small_spec(), progress).finish(sample_table(7));
    REQUIRE(progress.warnings.size() == 1);
    CHECK(progress.warnings[0].find("left out the features of 3 recordings no longer in the data (first: "
                                    "Actor/ä7.wav)") != std::string::npos);
  }

  TEST_CASE("a damaged file or segment is set aside and named, and the others serve on") {
    for (const std::string damaged : {"features.h5", "features.h5.segments/000001.h5"}) {
      for (const bool is_truncated : {false, true}) {
        CAPTURE(damaged);
        CAPTURE(is_truncated);
        const TemporaryFolder folder;
        make_unfinished_cache(folder / "features.h5");
        std::string bytes = test::read_bytes(folder / damaged);
        if (is_truncated)
          bytes.resize(bytes.size() / 2);
        else
          bytes[bytes.find("fake") + 1] ^= 4;  // the engine's name
        test::write_bytes(folder / damaged, bytes);

        CHECK_THROWS_AS(read_feature_table(folder / "features.h5"), hdf5::DamagedFile);
        RecordedProgress progress;
        const FeatureCache cache(folder / "features.h5", small_spec(), progress);
        REQUIRE(progress.warnings.size() == 1);
        CHECK(progress.warnings[0].find(damaged) != std::string::npos);
        CHECK(progress.warnings[0].find("features.h5.damaged-1") != std::string::npos);
        CHECK(test::read_bytes(folder / "features.h5.damaged-1") == bytes);
        CHECK(cache.find(fmt::format("{:032x}", 0)).has_value() == (damaged != "features.h5"));
        CHECK(cache.find("a hash").has_value() == (damaged == "features.h5"));
        CHECK(cache.find(fmt::format("{:032x}", 200)));
      }
    }
  }

  TEST_CASE("a segment that is no HDF5 file any more is set aside, and an earlier one set aside stays") {
    const TemporaryFolder folder;
    make_unfinished_cache(folder / "features.h5");
    test::write_bytes(folder / "features.h5.damaged-1", "older");
    test::write_bytes(folder / "features.h5.segments/000002.h5", "rubbish");
    RecordedProgress progress;
    const FeatureCache cache(folder / "features.h5", small_spec(), progress);
    CHECK(test::read_bytes(folder / "features.h5.damaged-1") == "older");
    CHECK(test::read_bytes(folder / "features.h5.damaged-2") == "rubbish");
  }

  TEST_CASE("a file that is not a feature cache is refused and not touched") {
    const TemporaryFolder folder;
    RecordedProgress progress;
    test::write_bytes(folder / "thesis.h5", "not HDF5 at all");
    CHECK_THROWS_WITH_AS(FeatureCache(folder / "thesis.h5", small_spec(), progress),
                         doctest::Contains("thesis.h5: not an HDF5 file"), Error);
    hdf5::Writer writer;
    writer.attribute("format_version", 1);
    save_atomically(folder / "model.h5", writer.finish(), [](const auto&) {});
    CHECK_THROWS_WITH_AS(FeatureCache(folder / "model.h5", small_spec(), progress),
                         doctest::Contains("model.h5: an HDF5 file, but not a feature cache"), Error);
    CHECK_THROWS_WITH_AS(FeatureCache(folder / "missing/x.h5", small_spec(), progress),
                         doctest::Contains("missing does not exist"), Error);
    CHECK_THROWS_WITH_AS(read_feature_table(folder / "none.h5"),
                         doctest::Contains("none.h5: cannot be read: No such"), Error);
    CHECK(names_in(folder.path()) == std::set<std::string>{"model.h5", "thesis.h5"});
  }

  TEST_CASE("a cache of another FeatureSpec is refused with both named and what differs") {
    const TemporaryFolder folder;
    save_feature_file(sample_table(2), folder / "features.h5");
    const std::string before = test::read_bytes(folder / "features.h5");
    FeatureSpec other = small_spec(16);
    other.name = "other";
    RecordedProgress progress;
    CHECK_THROWS_WITH_AS(
        FeatureCache(folder / "features.h5", other, progress),
        doctest::Contains("features.h5 holds features of 'small', and 'other' is asked for; they "
                          "differ in melspectrogram n_mels 8 and 16"),
        Error);
    CHECK(test::read_bytes(folder / "features.h5") == before);
  }

  TEST_CASE("a cache of another format version is refused with both versions named") {
    const TemporaryFolder folder;
    const auto path = folder / "features.h5";
    save_feature_file(sample_table(2), path);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t attribute = H5Aopen(file, "format_version", H5P_DEFAULT);
    const std::int64_t version = 99;
    REQUIRE(H5Awrite(attribute, H5T_NATIVE_INT64, &version) >= 0);
    H5Aclose(attribute);
    H5Fclose(file);
    RecordedProgress progress;
    const std::string text =
        fmt::format("features.h5 is a feature cache of version 99, and this melgrad reads version {}",
                    feature_cache_version);
    const auto expected = doctest::Contains(text.c_str());
    CHECK_THROWS_WITH_AS(FeatureCache(path, small_spec(), progress), expected, Error);
    CHECK_THROWS_WITH_AS(read_feature_table(path), expected, Error);
  }

  TEST_CASE("a second writer is turned away, and readers are not") {
    const TemporaryFolder folder;
    save_feature_file(sample_table(2), folder / "features.h5");
    RecordedProgress progress;
    const FeatureCache cache(folder / "features.h5", small_spec(), progress);
    CHECK_THROWS_WITH_AS(FeatureCache(folder / "features.h5", small_spec(), progress),
                         doctest::Contains("features.h5 is in use by another process ("), Error);
    CHECK(read_feature_table(folder / "features.h5").n_clips() == 2);
  }

  TEST_CASE("temporaries of a process that was killed are removed, other files are not") {
    const TemporaryFolder folder;
    make_unfinished_cache(folder / "features.h5");
    test::write_bytes(folder / "features.h5.tmp-4711-0", "half");
    test::write_bytes(folder / "features.h5.segments/000003.h5.tmp-4711-0", "half");
    test::write_bytes(folder / "other.h5.tmp-4711-0", "not ours");
    RecordedProgress progress;
    const FeatureCache cache(folder / "features.h5", small_spec(), progress);
    CHECK(names_in(folder.path()) == std::set<std::string>{"features.h5", "features.h5.lock",
                                                           "features.h5.segments", "other.h5.tmp-4711-0"});
    CHECK(names_in(folder / "features.h5.segments") == std::set<std::string>{"000001.h5", "000002.h5"});
  }
}
