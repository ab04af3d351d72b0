#include "host/cache/hdf5.hpp"

#include <doctest/doctest.h>
#include <hdf5.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/cache/atomic_file.hpp"
#include "host/cache/hdf5_structure.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;
using test::TemporaryFolder;

namespace {

void save(const std::filesystem::path& file, hdf5::Writer& writer) {
  save_atomically(file, writer.finish(), [](const auto&) {});
}

std::string sample_image() {
  hdf5::Writer writer;
  writer.attribute("spec", R"({"a": 1})");
  writer.attribute("format_version", 3);
  const std::vector<std::string> names{"", "happy", "fröhlich", std::string(3000, 'x')};
  writer.strings("names", names);
  Matrix<float> values(300, 7);
  for (Index i = 0; i < 300 * 7; ++i) values.values[static_cast<std::size_t>(i)] = static_cast<float>(i);
  writer.matrix("deep/er/values", values.view());
  const auto image = writer.finish();
  return {reinterpret_cast<const char*>(image.data()), image.size()};
}

// A file of HDF5's own in the format that a Writer asks for; and properties of datasets without time stamps.
hid_t craft(const std::filesystem::path& file, unsigned most_links = 1000) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
  const hid_t root = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_obj_track_times(root, false);
  H5Pset_link_phase_change(root, most_links, most_links);
  const hid_t made = H5Fcreate(file.c_str(), H5F_ACC_TRUNC, root, access);
  H5Pclose(root);
  H5Pclose(access);
  REQUIRE(made >= 0);
  return made;
}
hid_t dataset_properties() {
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(creation, false);
  return creation;
}

}  // namespace

TEST_SUITE("hdf5") {
  TEST_CASE("attributes, strings, matrices and numbers come back as they were written") {
    const TemporaryFolder folder;
    hdf5::Writer writer;
    writer.attribute("spec", "{}");
    writer.attribute("empty", "");
    writer.attribute("version", -5);
    const std::vector<std::string> names{"", "happy", "fröhlich", std::string(100'000, 'x')};
    writer.strings("names", names);
    writer.strings("attributes/sex", std::vector<std::string>{"f"});
    writer.strings("attributes/age", std::vector<std::string>{});
    Matrix<float> wide(5, 8);
    for (std::size_t i = 0; i < wide.values.size(); ++i) wide.values[i] = static_cast<float>(i);
    wide(1, 2) = std::numeric_limits<float>::quiet_NaN();
    writer.matrix("part", MatrixView<const float>(wide.values.data() + 1, 5, 3, 8));
    writer.matrix("no_rows", MatrixView<const float>(nullptr, 0, 3));
    writer.numbers("f", std::vector<float>{1.5f, -0.0f});
    writer.numbers("d", std::vector<double>{0.1});
    writer.numbers("u", std::vector<std::uint64_t>{~0ull, 7});
    save(folder / "x.h5", writer);

    const hdf5::Reader reader(folder / "x.h5");
    CHECK(reader.string_attribute("spec") == "{}");
    CHECK(reader.string_attribute("empty").empty());
    CHECK(reader.integer_attribute("version") == -5);
    CHECK(reader.has_attribute("version"));
    CHECK_FALSE(reader.has_attribute("versions"));
    CHECK(reader.strings("names") == names);
    CHECK(reader.strings("attributes/sex") == std::vector<std::string>{"f"});
    CHECK(reader.strings("attributes/age").empty());
    const Matrix<float> part = reader.matrix("part");
    REQUIRE(part.rows == 5);
    REQUIRE(part.cols == 3);
    CHECK(part(4, 2) == 35);
    CHECK(std::isnan(part(1, 1)));
    CHECK(reader.matrix("no_rows").cols == 3);
    CHECK(reader.floats("f") == std::vector<float>{1.5f, -0.0f});
    CHECK(reader.doubles("d") == std::vector<double>{0.1});
    CHECK(reader.unsigned_integers("u") == std::vector<std::uint64_t>{~0ull, 7});
  }

  TEST_CASE("equal content gives equal bytes") {
    CHECK(sample_image() == sample_image());
  }

  TEST_CASE("a file that is missing, no HDF5, or lacks something says so by name") {
    const TemporaryFolder folder;
    CHECK_THROWS_WITH_AS(hdf5::Reader(folder / "none.h5"),
                         doctest::Contains("none.h5: cannot be read: No such"), Error);
    test::write_bytes(folder / "text.h5", "hello");
    CHECK_THROWS_WITH_AS(hdf5::Reader(folder / "text.h5"), doctest::Contains("text.h5: not an HDF5 file"),
                         Error);
    test::write_bytes(folder / "good.h5", sample_image());
    const hdf5::Reader reader(folder / "good.h5");
    CHECK_THROWS_WITH_AS(reader.matrix("values"), doctest::Contains("good.h5: cannot read values: "),
                         hdf5::DamagedFile);
    CHECK_THROWS_WITH_AS(reader.matrix("names"), doctest::Contains("names is not of the type"),
                         hdf5::DamagedFile);
    CHECK_THROWS_WITH_AS(reader.doubles("deep/er/values"), doctest::Contains("not of the type"),
                         hdf5::DamagedFile);
    CHECK_THROWS_WITH_AS(reader.floats("deep/er/values"), doctest::Contains("has 2 dimensions instead of 1"),
                         hdf5::DamagedFile);
    CHECK_THROWS_WITH_AS(reader.integer_attribute("spec"), doctest::Contains("spec is not of the type"),
                         hdf5::DamagedFile);
  }

  TEST_CASE("every truncation of a file is found") {
    const TemporaryFolder folder;
    const std::string image = sample_image();
    test::write_bytes(folder / "short.h5", image);
    for (std::size_t size = image.size() - 1; size > 97; size -= 97) {
      std::filesystem::resize_file(folder / "short.h5", size);
      CHECK_THROWS_AS(hdf5::Reader(folder / "short.h5"), hdf5::DamagedFile);
    }
  }

  TEST_CASE("a flipped bit among the numbers is found by their checksum") {
    const TemporaryFolder folder;
    std::string image = sample_image();
    const float needle = 1234;  // values[1234]
    const auto at = image.find(std::string(reinterpret_cast<const char*>(&needle), sizeof needle));
    REQUIRE(at != image.npos);
    image[at] = static_cast<char>(image[at] ^ 1);
    test::write_bytes(folder / "flipped.h5", image);
    const hdf5::Reader reader(folder / "flipped.h5");
    CHECK_THROWS_WITH_AS(reader.matrix("deep/er/values"), doctest::Contains("do not match their checksum"),
                         hdf5::DamagedFile);
  }

  TEST_CASE("links out of the file, foreign storage and impossible sizes are refused") {
    const TemporaryFolder folder;
    test::write_bytes(folder / "target.h5", sample_image());
    const auto path = folder / "crafted.h5";
    const hid_t file = craft(path);
    H5Lcreate_external((folder / "target.h5").c_str(), "/names", file, "outside", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/huge", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    auto make = [&](const char* name, hsize_t extent, hid_t creation) {
      const hid_t space = H5Screate_simple(1, &extent, nullptr);
      H5Dclose(H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
      H5Sclose(space);
    };
    const hid_t chunked = dataset_properties();
    const hsize_t chunk = 16;
    H5Pset_chunk(chunked, 1, &chunk);  // no chunk is ever allocated: a small file declares much
    make("huge", hsize_t{1} << 40, chunked);
    const hid_t external = dataset_properties();
    H5Pset_external(external, (folder / "target.h5").c_str(), 0, 64);
    make("foreign", 16, external);
    H5Pclose(chunked);
    H5Pclose(external);
    H5Fclose(file);

    const hdf5::Reader reader(path);
    CHECK_THROWS_WITH_AS(reader.strings("outside"), doctest::Contains("outside is a link to elsewhere"),
                         hdf5::DamagedFile);
    CHECK_THROWS_WITH_AS(reader.floats("soft"), doctest::Contains("soft is a link to elsewhere"),
                         hdf5::DamagedFile);
    CHECK_THROWS_WITH_AS(reader.floats("huge"),
                         doctest::Contains("huge declares [1099511627776] values of 4 bytes"),
                         hdf5::DamagedFile);
    CHECK_THROWS_WITH_AS(reader.floats("foreign"),
                         doctest::Contains("foreign keeps its values in another file"), hdf5::DamagedFile);
  }

  TEST_CASE("a file of another program's or format is refused, with the reason") {
    const TemporaryFolder folder;
    const hid_t old = H5Fcreate((folder / "old.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(old);
    CHECK_THROWS_WITH_AS(hdf5::Reader(folder / "old.h5"), doctest::Contains("its superblock has version 0"),
                         hdf5::DamagedFile);
    const hid_t dense = craft(folder / "dense.h5", 4);
    for (int i = 0; i < 9; ++i)
      H5Gclose(H5Gcreate2(dense, std::to_string(i).c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(dense);
    const hdf5::Reader reader(folder / "dense.h5");
    CHECK_THROWS_WITH_AS(reader.has("0"), doctest::Contains("its groups are not stored as"),
                         hdf5::DamagedFile);
  }

  TEST_CASE("checksums are those that are known") {
    const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
    // The author's own (lookup3.c, driver5).
    CHECK(hdf5::lookup3(bytes("")) == 0xdeadbeef);
    CHECK(hdf5::lookup3(bytes("Four score and seven years ago")) == 0x17770551);
    CHECK(hdf5::fletcher32(bytes("")) == 0);
    CHECK(hdf5::fletcher32(bytes("abcde")) ==
          ((((3 * 0x6162 + 2 * 0x6364 + 0x6500) % 65535) << 16) | ((0x6162 + 0x6364 + 0x6500) % 65535)));
  }

  TEST_CASE("chunks that no file of ours has are refused, whatever HDF5 would make of them") {
    const TemporaryFolder folder;
    const auto path = folder / "crafted.h5";
    const hid_t file = craft(path);
    // Of n floats; filters as letters: shuffled, deflated, with checksums.
    auto make = [&](const char* name, hsize_t n, hsize_t n_in_chunk, const std::string& filters,
                    hid_t type = H5T_IEEE_F32LE) {
      const hid_t space = H5Screate_simple(1, &n, nullptr), creation = dataset_properties();
      if (n_in_chunk > 0) H5Pset_chunk(creation, 1, &n_in_chunk);
      for (const char filter : filters) {
        if (filter == 's') H5Pset_shuffle(creation);
        if (filter == 'd') H5Pset_deflate(creation, 1);
        if (filter == 'c') H5Pset_fletcher32(creation);
      }
      const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
      H5Pclose(creation);
      H5Sclose(space);
      return set;
    };
    auto make_growing = [&](const char* name, hsize_t n, hsize_t n_in_chunk) {
      const hsize_t most = H5S_UNLIMITED;
      const hid_t space = H5Screate_simple(1, &n, &most), creation = dataset_properties();
      H5Pset_chunk(creation, 1, &n_in_chunk);
      H5Pset_fletcher32(creation);
      H5Dclose(H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
      H5Pclose(creation);
      H5Sclose(space);
    };
    make_growing("wide", 3, hsize_t{1} << 28);  // 1 GB for three values
    make_growing("growing", 16, 16);
    const std::vector<float> values(16, 1.0f);
    auto write = [&](hid_t set) {
      REQUIRE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
      H5Dclose(set);
    };
    const hsize_t start = 0;
    auto write_chunk = [&](hid_t set, const std::string& bytes, std::uint32_t skipped_filters = 0) {
      REQUIRE(H5Dwrite_chunk(set, H5P_DEFAULT, skipped_filters, &start, bytes.size(), bytes.data()) >= 0);
      H5Dclose(set);
    };

    write_chunk(make("brief", 16, 16, "c"), "ab");
    write_chunk(make("part", 16, 16, "c"), std::string(8 + 4, '\0'));  // of zeros the checksum is 0
    write_chunk(make("skipped", 16, 16, "c"), std::string(64, 'x'), 1);
    write_chunk(make("unpackable", 16, 16, "dc"), std::string(8 + 4, '\0'));
    H5Dclose(make("absent", 16, 16, "c"));
    write(make("contiguous", 16, 0, ""));
    write(make("unchecked", 16, 16, ""));
    write(make("shuffled", 16, 16, "sc"));
    write(make("big_endian", 16, 16, "c", H5T_IEEE_F32BE));
    write(make("deflated", 16, 16, "dc"));
    std::string deflated(100, '\0');
    const hid_t whole = H5Dopen2(file, "deflated", H5P_DEFAULT);
    hsize_t n_bytes = 0;
    REQUIRE(H5Dget_chunk_storage_size(whole, &start, &n_bytes) >= 0);
    std::uint32_t skipped_filters = 0;
    REQUIRE(H5Dread_chunk(whole, H5P_DEFAULT, &start, &skipped_filters, deflated.data()) >= 0);
    H5Dclose(whole);
    deflated.resize(n_bytes);
    write_chunk(make("unpacked_short", 17, 17, "dc"), deflated);
    write_chunk(make("unpacked_long", 15, 15, "dc"), deflated);
    write(make("good", 16, 5, "dc"));
    const hid_t scalar = H5Screate(H5S_SCALAR), properties = dataset_properties();
    H5Dclose(H5Dcreate2(file, "scalar", H5T_IEEE_F32LE, scalar, H5P_DEFAULT, properties, H5P_DEFAULT));
    H5Pclose(properties);
    H5Sclose(scalar);
    // An index of chunks is paged from 1024 on, which takes 256 MB as a Writer makes chunks.
    std::vector<float> many(4401);
    std::iota(many.begin(), many.end(), 0.0f);
    const hid_t paged = make("paged", many.size(), 4, "c");
    REQUIRE(H5Dwrite(paged, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, many.data()) >= 0);
    H5Dclose(paged);
    H5Fclose(file);

    const hdf5::Reader reader(path);
    CHECK(reader.floats("good") == values);
    CHECK(reader.floats("deflated") == values);
    CHECK(reader.floats("paged") == many);
    auto check_refused = [&](const char* name, const char* words) {
      CHECK_THROWS_WITH_AS(reader.floats(name), doctest::Contains(words), hdf5::DamagedFile);
    };
    check_refused("wide", "wide has [3] values in chunks of [268435456, 4] bytes");
    check_refused("growing", "growing has 1 chunks in an index of kind 4");
    check_refused("scalar", "scalar has no dimensions");
    check_refused("brief", "brief declares a chunk of 2 bytes");
    check_refused("part", "part has 8 bytes from row 0 on instead of 64");
    check_refused("skipped", "skipped has a chunk that was not put through its filters");
    check_refused("unpackable", "unpackable: its values from row 0 on cannot be unpacked");
    check_refused("absent", "absent lacks a chunk");
    check_refused("contiguous", "contiguous is not stored in chunks");
    check_refused("unchecked", "unchecked is stored without checksums");
    check_refused("shuffled", "shuffled is stored through the filters [2, 3]");
    check_refused("big_endian", "big_endian is not of the type it should be");
    check_refused("unpacked_short", "unpacked_short has 64 bytes from row 0 on instead of 68");
    check_refused("unpacked_long", "unpacked_long: its values from row 0 on cannot be unpacked");
  }

  TEST_CASE("one chunk in many places does not make a small file a large one") {
    const TemporaryFolder folder;
    constexpr std::size_t n_chunks = 8, n_in_chunk = 4096, n_entry_bytes = 8 + 3 + 4;
    // The first chunk is of numbers that do not compress, the others of zeros.
    std::vector<float> values(n_chunks * n_in_chunk);
    for (std::size_t i = 0; i < n_in_chunk; ++i) values[i] = std::sin(static_cast<float>(i));
    const hsize_t n = values.size(), chunk = n_in_chunk;
    const hid_t file = craft(folder / "crafted.h5"), space = H5Screate_simple(1, &n, nullptr),
                creation = dataset_properties();
    H5Pset_chunk(creation, 1, &chunk);
    H5Pset_deflate(creation, 1);
    H5Pset_fletcher32(creation);
    const hid_t set = H5Dcreate2(file, "x", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    REQUIRE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
    H5Dclose(set);
    H5Pclose(creation);
    H5Sclose(space);
    H5Fclose(file);
    CHECK(hdf5::Reader(folder / "crafted.h5").floats("x") == values);

    // The index then names the first chunk eight times: each is whole, all lie in the file.
    std::string image = test::read_bytes(folder / "crafted.h5");
    const std::size_t block = image.find("FADB"), first = block + 14, end = first + n_chunks * n_entry_bytes;
    REQUIRE(end + 4 <= image.size());
    for (std::size_t entry = first + n_entry_bytes; entry < end; entry += n_entry_bytes)
      image.replace(entry, n_entry_bytes, image, first, n_entry_bytes);
    const std::uint32_t checksum = hdf5::lookup3(std::as_bytes(std::span(image).subspan(block, end - block)));
    for (std::size_t i = 0; i < 4; ++i) image[end + i] = static_cast<char>(checksum >> 8 * i);
    test::write_bytes(folder / "crafted.h5", image);
    CHECK_THROWS_WITH_AS(hdf5::Reader(folder / "crafted.h5").floats("x"),
                         doctest::Contains("the chunks of x have more bytes than the file"),
                         hdf5::DamagedFile);
  }

  TEST_CASE("a string with a NUL is refused rather than cut") {
    hdf5::Writer writer;
    CHECK_THROWS_WITH_AS(writer.strings("s", std::vector{std::string("a\0b", 3)}), doctest::Contains("NUL"),
                         Error);
  }

  TEST_CASE("a save whose check fails leaves the old file and no temporary") {
    const TemporaryFolder folder;
    test::write_bytes(folder / "x", "old");
    const std::vector<std::byte> content(10);
    CHECK_THROWS_WITH_AS(save_atomically(folder / "x", content, [](const auto&) { fail("no good"); }),
                         "no good", Error);
    CHECK(test::read_bytes(folder / "x") == "old");
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
    save_atomically(folder / "x", content, [&](const std::filesystem::path& temporary) {
      CHECK(std::filesystem::file_size(temporary) == 10);
      CHECK(test::read_bytes(folder / "x") == "old");
    });
    CHECK(test::read_bytes(folder / "x") == std::string(10, '\0'));
  }

  TEST_CASE("a save onto a symbolic link replaces what it points to") {
    const TemporaryFolder folder;
    std::filesystem::create_symlink("real", folder / "link");
    save_atomically(folder / "link", std::vector<std::byte>(3), [](const auto&) {});
    CHECK(std::filesystem::is_symlink(folder / "link"));
    CHECK(std::filesystem::file_size(folder / "real") == 3);
  }

  TEST_CASE("a folder that is not there is an error that names the file and the reason") {
    const TemporaryFolder folder;
    const std::filesystem::path file = folder.path() / "missing_folder" / "x.h5";
    CHECK_THROWS_WITH_AS(save_atomically(file, {}, [](const auto&) {}), doctest::Contains("No such file"),
                         Error);
  }

  TEST_CASE("a lock is held once, tells the second who has it, and goes with its holder") {
    const TemporaryFolder folder;
    {
      const FileLock lock(folder / "x.lock", "x");
      CHECK_THROWS_WITH_AS(FileLock(folder / "x.lock", "x"),
                           doctest::Contains("x is in use by another process ("), Error);
    }
    CHECK_FALSE(std::filesystem::exists(folder / "x.lock"));
    test::write_bytes(folder / "x.lock", "4711");  // of a process that was killed
    CHECK_NOTHROW(FileLock(folder / "x.lock", "x"));
  }
}
