#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "host/audio/csv.hpp"
#include "host/audio/folder_scan.hpp"
#include "host/audio/manifest.hpp"
#include "host/audio/naming.hpp"
#include "host/audio/utf8.hpp"
#include "host/core/error.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

// Nobody decodes here: a file of one byte will do.
void touch(const fs::path& file) {
  write_bytes(file, "x");
}

std::vector<std::string> paths(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const Clip& clip : manifest.clips) all.push_back(clip.path);
  return all;
}

// "path=label" of every clip, with the group after a slash where there is one.
std::vector<std::string> labels(const Manifest& manifest) {
  std::vector<std::string> all;
  for (const Clip& clip : manifest.clips)
    all.push_back(clip.path + "=" + clip.label + (clip.group.empty() ? "" : "/" + clip.group));
  return all;
}

Clip applied(const std::string& pattern, const std::string& path) {
  Clip clip;
  NamePattern(pattern).apply(path, clip);
  return clip;
}

Manifest csv_manifest(const std::string& text) {
  const TemporaryFolder folder;
  write_bytes(folder / "list.csv", text);
  return load_manifest(folder / "list.csv");
}

std::string csv_error(const std::string& text) {
  const TemporaryFolder folder;
  const std::string file = folder / "list.csv";
  write_bytes(file, text);
  try {
    load_manifest(file);
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK_MESSAGE(message.starts_with(file + ": "), message);
    return message.substr(file.size() + 2);
  }
  return "no error";
}

using Strings = std::vector<std::string>;
using Attributes = std::map<std::string, std::string>;

}  // namespace

TEST_SUITE("manifest") {
  TEST_CASE("a RAVDESS name says emotion, actor, sex and the rest") {
    Clip clip;
    REQUIRE(read_ravdess_name("03-01-06-02-02-01-12", clip));
    CHECK(clip.label == "fearful");
    CHECK(clip.group == "12");
    CHECK(clip.attributes == Attributes{{"modality", "audio-only"},
                                        {"vocal_channel", "speech"},
                                        {"intensity", "strong"},
                                        {"statement", "02"},
                                        {"repetition", "01"},
                                        {"sex", "female"}});
    REQUIRE(read_ravdess_name("01-02-01-01-01-02-23", clip));
    CHECK(clip.label == "neutral");
    CHECK(clip.attributes == Attributes{{"modality", "full-AV"},
                                        {"vocal_channel", "song"},
                                        {"intensity", "normal"},
                                        {"statement", "01"},
                                        {"repetition", "02"},
                                        {"sex", "male"}});
    const char* emotions[] = {"neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"};
    for (int emotion = 1; emotion <= 8; ++emotion) {
      REQUIRE(read_ravdess_name("03-01-0" + std::to_string(emotion) + "-01-01-01-01", clip));
      CHECK(clip.label == emotions[emotion - 1]);
    }
  }

  TEST_CASE("what is almost a RAVDESS name is none, and leaves the clip untouched") {
    for (const char* stem :
         {"03-01-09-01-01-01-01", "03-01-00-01-01-01-01", "04-01-01-01-01-01-01", "03-03-01-01-01-01-01",
          "03-01-01-03-01-01-01", "03-01-01-01-03-01-01", "03-01-01-01-01-03-01", "03-01-01-01-01-01-25",
          "03-01-01-01-01-01-00", "03-01-01-01-01-01-1", "03-01-01-01-01-01-011", "03-01-01-01-01-01_01",
          "0a-01-01-01-01-01-01", "+3-01-01-01-01-01-01", "", "angry"}) {
      CAPTURE(stem);
      Clip clip;
      CHECK_FALSE(read_ravdess_name(stem, clip));
      CHECK(clip == Clip{});
    }
  }

  TEST_CASE("the label of a file is the name of its folder, and the order is that of the paths") {
    const TemporaryFolder folder;
    for (const char* file : {"b/2.wav", "b/10.flac", "a/deep/x.ogg", "a/y.MP3", "B/z.Wav"})
      touch(folder / file);
    const Manifest manifest = load_manifest(folder.path());
    CHECK(labels(manifest) ==
          Strings{"B/z.Wav=B", "a/deep/x.ogg=deep", "a/y.MP3=a", "b/10.flac=b", "b/2.wav=b"});
    CHECK(manifest.refused.empty());
    CHECK(manifest.labels_from == "folder names");
    CHECK(manifest.file(manifest.clips[0]) == folder / "B/z.Wav");
  }

  TEST_CASE("files directly in the root have no label and are refused alone") {
    const TemporaryFolder folder;
    touch(folder / "stray.wav");
    touch(folder / "a/x.wav");
    const Manifest manifest = load_manifest(folder.path());
    CHECK(paths(manifest) == Strings{"a/x.wav"});
    REQUIRE(manifest.refused.size() == 1);
    CHECK(manifest.refused[0].path == "stray.wav");
    CHECK(manifest.refused[0].reason.starts_with("no label: it lies directly in the data set's folder"));
  }

  TEST_CASE("other and hidden files are counted and ignored, undecodable recordings are refused") {
    const TemporaryFolder folder;
    for (const char* file : {"a/x.wav", "a/notes.txt", "a/wav", "a/.wav", "a/._x.wav", "a/x.wav.bak",
                             ".git/y.wav", "a/phone.M4A"})
      touch(folder / file);
    const Manifest manifest = load_manifest(folder.path());
    CHECK(paths(manifest) == Strings{"a/x.wav"});
    CHECK(manifest.n_ignored == 6);  // .git as one
    CHECK(manifest.refused ==
          std::vector<Refusal>{{"a/phone.M4A", "its format is not read here; convert it to FLAC or WAV"}});
  }

  TEST_CASE("a data set of RAVDESS names is labelled by them, in whatever folders, and refuses others") {
    const TemporaryFolder folder;
    for (const char* file : {"Actor_01/03-01-05-01-01-01-01.wav", "original_wav/03-01-03-01-01-01-02.flac",
                             "03-01-01-01-01-01-03.wav", "Actor_01/noise.wav"})
      touch(folder / file);
    const Manifest manifest = load_manifest(folder.path());
    CHECK(labels(manifest) == Strings{"03-01-01-01-01-01-03.wav=neutral/03",
                                      "Actor_01/03-01-05-01-01-01-01.wav=angry/01",
                                      "original_wav/03-01-03-01-01-01-02.flac=happy/02"});
    CHECK(manifest.labels_from == "RAVDESS names");
    REQUIRE(manifest.refused.size() == 1);
    CHECK(manifest.refused[0].path == "Actor_01/noise.wav");
    CHECK(manifest.refused[0].reason.starts_with("its name is no RAVDESS name"));
  }

  TEST_CASE("half of the files with RAVDESS names do not make a RAVDESS data set: folders label all") {
    const TemporaryFolder folder;
    touch(folder / "cheerful/03-01-03-01-01-01-02.wav");
    touch(folder / "cheerful/mine.wav");
    CHECK(labels(load_manifest(folder.path())) ==
          Strings{"cheerful/03-01-03-01-01-01-02.wav=cheerful", "cheerful/mine.wav=cheerful"});
  }

  TEST_CASE("a pattern divides a name at its texts") {
    const Clip clip = applied("{label}_{group}_{index}", "any/7_jackson_32.wav");
    CHECK(clip.label == "7");
    CHECK(clip.group == "jackson");
    CHECK(clip.attributes == Attributes{{"index", "32"}});

    CHECK(applied("{label}_{rest}", "a_b_c.wav").attributes == Attributes{{"rest", "b_c"}});
    CHECK(applied("take {n}: {label}!", "take 12: a: b!!.wav").label == "a: b!");
    CHECK(applied("{label}-take", "x-take-take.wav").label == "x-take");
    CHECK(applied("{label}.{n}", "good.morning.3.wav").attributes == Attributes{{"n", "morning.3"}});
    CHECK(applied("{group}/{label}_{n}", "deep/anna/yes_1.wav").group == "anna");
    CHECK(applied("{group}/{sex}-{x}/{label}", "anna/f-1/yes.wav").attributes ==
          Attributes{{"sex", "f"}, {"x", "1"}});
    CHECK(applied("{split}_{label}", "test_yes.wav").split == "test");
  }

  TEST_CASE("a name that does not fit the pattern is refused with a reason") {
    for (const auto& [pattern, path] : std::map<std::string, std::string>{{"{label}_{group}_{i}", "a_b.wav"},
                                                                          {"{label}_{group}", "_b.wav"},
                                                                          {"{label}_{group} ", "a_.wav"},
                                                                          {"x{label}", "yes.wav"},
                                                                          {"{label}x", "x.wav"},
                                                                          {"{group}/{label}", "yes.wav"},
                                                                          {"a/{label}", "b/yes.wav"}}) {
      CAPTURE(pattern);
      CHECK_THROWS_WITH_AS(applied(pattern, path),
                           ("its name does not fit the pattern '" + pattern + "'").c_str(), Error);
    }
    CHECK_THROWS_WITH_AS(applied("{split}_{label}", "dev_yes.wav"),
                         "its split 'dev' is neither train nor test", Error);

    const TemporaryFolder folder;
    touch(folder / "yes_anna.wav");
    touch(folder / "other.wav");
    const Manifest manifest = load_manifest(folder.path(), "{label}_{group}");
    CHECK(labels(manifest) == Strings{"yes_anna.wav=yes/anna"});
    CHECK(manifest.refused ==
          std::vector<Refusal>{{"other.wav", "its name does not fit the pattern '{label}_{group}'"}});
  }

  TEST_CASE("a pattern that cannot be meant is wrong usage") {
    for (const auto& [pattern, message] :
         std::map<std::string, std::string>{{"{group}_{index}", "has no {label}"},
                                            {"{label}{group}", "has nothing between {label} and {group}"},
                                            {"{label}_{label}", "has {label} twice"},
                                            {"{label}_{x}/{x}", "has {x} twice"},
                                            {"{label}_{}", "has a field '{}'"},
                                            {"{label}_{a b}", "has a field '{a b}'"},
                                            {"{label", "has a '{' without a '}'"},
                                            {"label}", "has a '}' without a '{'"}}) {
      CAPTURE(pattern);
      CHECK_THROWS_WITH_AS(NamePattern{pattern}, doctest::Contains(message.c_str()), UsageError);
    }
  }

  TEST_CASE("symbolic links to folders are followed once, and loops end") {
    const TemporaryFolder folder, elsewhere;
    touch(folder / "yes/a.wav");
    touch(elsewhere / "b.wav");
    fs::create_directory_symlink("..", folder / "yes/up");
    fs::create_directory_symlink(".", folder / "self");
    fs::create_directory_symlink("self2", folder / "self2");
    fs::create_directory_symlink("yes", folder / "aaa");  // keeps its real path, though the link sorts first
    fs::create_directory_symlink(elsewhere.path(), folder / "no");
    fs::create_directory_symlink(elsewhere.path(), folder / "no_again");
    fs::create_symlink("a.wav", folder / "yes/c.wav");
    fs::create_symlink("nowhere.wav", folder / "yes/d.wav");  // for the decoder to refuse
    CHECK(labels(load_manifest(folder.path())) ==
          Strings{"no/b.wav=no", "yes/a.wav=yes", "yes/c.wav=yes", "yes/d.wav=yes"});
  }

  TEST_CASE("names with spaces, quotes, newlines, leading dashes and UTF-8 come through as they are") {
    const TemporaryFolder folder;
    const Strings files = {"-rf/-x.wav", "a b/it's \"so\".wav", "new\nline/\t.wav",
                           "\xC3\xA9t\xC3\xA9/\xF0\x9F\x8E\xB5.wav"};
    for (const std::string& file : files) touch(folder / file);
    const Manifest manifest = load_manifest(folder.path());
    CHECK(paths(manifest) == files);
    CHECK(manifest.clips[2].label == "new\nline");
    CHECK(manifest.clips[3].label == "\xC3\xA9t\xC3\xA9");
  }

  TEST_CASE("a name that is not UTF-8 is refused, and shown with its bytes") {
    const TemporaryFolder folder;
    touch(folder / "a/x.wav");
    touch(folder / "a/\xE9t\xE9.wav");
    const Manifest manifest = load_manifest(folder.path());
    CHECK(paths(manifest) == Strings{"a/x.wav"});
    CHECK(manifest.refused ==
          std::vector<Refusal>{{"a/\\xe9t\\xe9.wav", "its path is not UTF-8; rename it"}});
  }

  TEST_CASE("a folder that cannot be listed is refused alone") {
    const TemporaryFolder folder;
    touch(folder / "a/x.wav");
    touch(folder / "b/y.wav");
    fs::permissions(folder.path(), fs::perms::all);
    fs::permissions(folder / "a", fs::perms::all);
    fs::permissions(folder / "b", fs::perms::none);
    Manifest manifest;
    {
      const WithoutPrivileges nobody;
      if (!nobody.works()) {
        MESSAGE("skipped: root cannot become another user here");
        return;
      }
      manifest = load_manifest(folder.path());
    }
    CHECK(paths(manifest) == Strings{"a/x.wav"});
    CHECK(manifest.refused == std::vector<Refusal>{{"b", "cannot be listed: Permission denied"}});
  }

  TEST_CASE("a data set that is not there, holds nothing or is something else is an error") {
    const TemporaryFolder folder;
    const auto error_of = [&](const char* name) {
      CHECK_THROWS_AS(load_manifest(folder / name), Error);
      try {
        load_manifest(folder / name);
      } catch (const Error& error) {
        return std::string(error.what()).substr((folder / name).string().size());
      }
      return std::string();
    };
    CHECK(error_of("absent") == ": cannot be opened: No such file or directory");
    touch(folder / "none/x.txt");
    CHECK(error_of("none").starts_with(": no recordings (1 other files); known are .aif "));
    touch(folder / "x.wav");
    CHECK(error_of("x.wav") == ": is neither a folder of recordings nor a CSV manifest (.csv)");
    write_bytes(folder / "x.csv", "path,label\n");
    CHECK(error_of("x.csv").starts_with(": no recordings"));
    CHECK_THROWS_WITH_AS(load_manifest(folder / "x.csv", "{label}"),
                         doctest::Contains("a pattern goes with a folder"), UsageError);
  }

  TEST_CASE("a CSV manifest gives label, group, split and attributes, in any order of columns") {
    const TemporaryFolder folder;
    write_bytes(folder / "list.csv",
                "label,path,group,split,mood\nyes,b.wav,anna,train,good\nno,sub/a.wav,,test,\n");
    const Manifest manifest = load_manifest(folder / "list.csv");
    CHECK(labels(manifest) == Strings{"b.wav=yes/anna", "sub/a.wav=no"});
    CHECK(manifest.clips[0].split == "train");
    CHECK(manifest.clips[0].attributes == Attributes{{"mood", "good"}});
    CHECK(manifest.file(manifest.clips[1]) == folder / "sub/a.wav");
  }

  TEST_CASE(
      "an absolute path in a CSV manifest is kept, or made relative where it lies under the CSV's folder") {
    const TemporaryFolder folder;
    const std::string inside = folder / "sub/a.wav";
    write_bytes(folder / "list.csv", "path,label\n/no/where.wav,x\n" + inside + ",y\n");
    const Manifest manifest = load_manifest(folder / "list.csv");
    CHECK(labels(manifest) == Strings{"/no/where.wav=x", "sub/a.wav=y"});
    CHECK(manifest.file(manifest.clips[0]) == "/no/where.wav");
  }

  TEST_CASE("a CSV manifest may have a byte order mark, CRLF, quotes, commas and line ends in fields") {
    const Manifest manifest = csv_manifest(
        "\xEF\xBB\xBFpath,label\r\n\"a, b.wav\",\"says \"\"yes\"\"\"\r\n\r\n\"new\r\nline.wav\",no");
    CHECK(labels(manifest) == Strings{"a, b.wav=says \"yes\"", "new\r\nline.wav=no"});
  }

  TEST_CASE("what is wrong with a CSV manifest is an error with its line") {
    CHECK(csv_error("") == "line 1: no header; it must name the columns path and label");
    CHECK(csv_error("file,label\n") == "line 1: the header has no column 'path'; it has: file, label");
    CHECK(csv_error("path;label\n") == "line 1: the header has no column 'path'; it has: path;label");
    CHECK(csv_error("path,label,path\n") == "line 1: the column 'path' is there twice");
    CHECK(csv_error("path,label,\n") == "line 1: column 3 has no name");
    CHECK(csv_error("path,label\na.wav,x\nb.wav\n") == "line 3: 1 fields; the header has 2");
    CHECK(csv_error("path,label\na.wav,x,y\n") == "line 2: 3 fields; the header has 2");
    CHECK(csv_error("path,label\n,x\n") == "line 2: the path is empty");
    CHECK(csv_error("path,label\na.wav,x\n\n./a.wav,y\n") == "line 4: './a.wav' is there already, on line 2");
    CHECK(csv_error("path,label,split\na.wav,x,dev\n") ==
          "line 2: the split 'dev' is not train, test or empty");
    CHECK(csv_error("path,label\n\"a\nb.wav\",x\nc\"d,y\n") ==
          "line 4: a quote after 'c'; a field with quotes stands in quotes, its own doubled");
    CHECK(csv_error("path,label\n\"a.wav\"b,x\n") == "line 2: 'b' after the closing quote of a field");
    CHECK(csv_error("path,label\na.wav,x\n\"b.wav,x\n\n") == "line 3: a quote that never ends");
    CHECK(csv_error("path,label\na.wav,\xE9\n") == "line 2: not UTF-8 text");
    CHECK(csv_error(std::string("path,label\na.wav,\0\n", 19)) == "line 2: a zero byte");
  }

  TEST_CASE("a CSV row without a label is refused alone") {
    const Manifest manifest = csv_manifest("path,label\na.wav,\nb.wav,x\n");
    CHECK(paths(manifest) == Strings{"b.wav"});
    CHECK(manifest.refused == std::vector<Refusal>{{"a.wav", "no label: line 2 of the manifest has none"}});
  }

  TEST_CASE("CSV rows end with LF, CRLF or CR, and an empty last field counts") {
    for (const char* text : {"a,b\nc,\n", "a,b\r\nc,\r\n", "a,b\rc,", "\n\na,b\n\r\nc,"}) {
      const auto rows = parse_csv(text);
      REQUIRE(rows.size() == 2);
      CHECK(rows[0].fields == Strings{"a", "b"});
      CHECK(rows[1].fields == Strings{"c", ""});
    }
    CHECK(parse_csv("").empty());
  }

  TEST_CASE("UTF-8 is what RFC 3629 says") {
    for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBF",
                             "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
      CHECK(is_utf8(good));
    for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80",
                            "\xE2\x82", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"})
      CHECK_FALSE(is_utf8(bad));
    CHECK(as_utf8("a\xC3\xA9\xE9z") == "a\xC3\xA9\\xe9z");
  }

  TEST_CASE("RAVDESS on the disk is labelled by its names") {
    const char* ravdess = std::getenv("MELGRAD_RAVDESS");
    if (ravdess == nullptr) {
      MESSAGE("skipped: MELGRAD_RAVDESS is not set");
      return;
    }
    const Manifest manifest = load_manifest(ravdess);
    CHECK(manifest.labels_from == "RAVDESS names");
    CHECK(manifest.refused.empty());
    CHECK(manifest.clips.size() >= 1203);
    std::map<std::string, std::map<std::string, std::string>> label_of;  // [stem][extension]
    for (const Clip& clip : manifest.clips) {
      const fs::path path = clip.path;
      label_of[path.stem()][path.extension()] = clip.label + clip.group;
    }
    int n_twins = 0;
    for (const auto& [stem, by_extension] : label_of) {
      if (by_extension.size() < 2) continue;
      CHECK(by_extension.at(".wav") == by_extension.at(".flac"));
      ++n_twins;
    }
    CHECK(n_twins == 3);
  }
}
