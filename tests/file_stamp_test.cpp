#include "host/cache/file_stamp.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <thread>

#include "host/cache/extraction.hpp"
#include "support/audio_files.hpp"
#include "support/fake_engine.hpp"

using namespace melgrad;
using test::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

constexpr double any_age = -1e9;

// Longer than a tick of any file system's clock.
void wait_a_tick() {
  std::this_thread::sleep_for(std::chrono::milliseconds(15));
}

void set_modified(const fs::path& file, timespec time) {
  const timespec times[2] = {time, time};
  REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times, 0) == 0);
}

timespec modified(const fs::path& file) {
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  return status.st_mtim;
}

// A recording and its cache, in which a mark tells whether the recording was read again.
struct Recording {
  TemporaryFolder folder;
  Manifest manifest;
  fs::path cache = folder / "features.h5";
  fs::path file = folder / "clip.wav";

  Recording() {
    manifest.root = folder.path();
    manifest.clips.push_back({"clip.wav", "label", "", "", {}});
    write(1);
    extract();
    FeatureTable table = read_feature_table(cache);
    table.duration_s[0] = mark;
    save_feature_file(table, cache);
  }
  void write(std::int16_t first) {
    test::write_bytes(file, test::wav_bytes(std::vector<std::int16_t>{first, 2, 3, 4, 5}));
  }
  Extraction extract(double min_file_age_s = any_age) {
    FeatureSpec spec;
    spec.name = "small";
    spec.descriptors = {{MelSpectrogram{.n_mels = 8}, {Functional::mean}}};
    test::FakeEngine engine;
    NoProgress progress;
    return extract_features(manifest, spec, engine, cache, {.min_file_age_s = min_file_age_s}, progress);
  }
  bool is_read_again() { return extract().table.duration_s[0] != mark; }

  static constexpr double mark = 1234;
};

}  // namespace

TEST_SUITE("file_stamp") {
  TEST_CASE("a stamp changes with content, size, times and inode, and with nothing else") {
    const TemporaryFolder folder;
    const fs::path file = folder / "a";
    test::write_bytes(file, "12345");
    const std::uint64_t first = file_stamp(file, any_age);
    CHECK(first != 0);
    CHECK(test::read_bytes(file) == "12345");
    CHECK(file_stamp(file, any_age) == first);
    std::set<std::uint64_t> stamps{first};
    const timespec before = modified(file);
    wait_a_tick();
    test::write_bytes(file, "54321");  // in place
    stamps.insert(file_stamp(file, any_age));
    CHECK(stamps.size() == 2);
    wait_a_tick();
    set_modified(file, before);  // as rsync --times does
    stamps.insert(file_stamp(file, any_age));
    CHECK(stamps.size() == 3);
    test::write_bytes(folder / "b", "54321");
    set_modified(folder / "b", before);
    fs::rename(folder / "b", file);
    stamps.insert(file_stamp(file, any_age));
    CHECK(stamps.size() == 4);
  }

  TEST_CASE("a file that changed just now has no stamp, nor has one that is not there") {
    const TemporaryFolder folder;
    test::write_bytes(folder / "a", "12345");
    CHECK(file_stamp(folder / "a", 1e6) == 0);
    CHECK(file_stamp(folder / "a", -1e6) != 0);
    CHECK(file_stamp(folder / "b", -1e6) == 0);
  }

  TEST_CASE("an unchanged recording is not read again") {
    Recording recording;
    CHECK_FALSE(recording.is_read_again());
    const Extraction done = recording.extract();
    CHECK(done.report.n_cached == 1);
    CHECK(done.report.cached_audio_seconds == Recording::mark);
    CHECK(done.table.status[0] == "ok");
  }

  TEST_CASE("a recording that was touched, written, replaced or moved is read again") {
    Recording recording;
    wait_a_tick();
    SUBCASE("touched") {
      set_modified(recording.file, {1'700'000'000, 0});
    }
    SUBCASE("written, with its old time") {
      const timespec before = modified(recording.file);
      recording.write(7);
      set_modified(recording.file, before);
    }
    SUBCASE("replaced by an equal one") {
      fs::copy_file(recording.file, recording.folder / "copy.wav");
      fs::rename(recording.folder / "copy.wav", recording.file);
    }
    SUBCASE("moved") {
      fs::rename(recording.file, recording.folder / "moved.wav");
      recording.manifest.clips[0].path = "moved.wav";
    }
    CHECK(recording.is_read_again());
    CHECK_FALSE(recording.extract().table.duration_s[0] == Recording::mark);
  }

  TEST_CASE("a recording as young as the clock's doubt is read again, and known once it is older") {
    Recording recording;
    CHECK(recording.extract(1e6).table.duration_s[0] != Recording::mark);
    CHECK(read_feature_table(recording.cache).file_stamp[0] == 0);
    CHECK(recording.extract().table.file_stamp[0] != 0);
  }
}
