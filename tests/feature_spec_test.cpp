#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "host/core/error.hpp"
#include "host/features/feature_spec.hpp"
#include "support/audio_files.hpp"

using namespace melgrad;
using melgrad::test::TemporaryFolder;

namespace {

// A spec in which nothing has its default.
FeatureSpec unusual_spec() {
  FeatureSpec spec;
  spec.name = "mine";
  spec.sample_rate = 16000;
  spec.stft = {1000, 333, 601, Window::blackman, false, PadMode::reflect};
  spec.descriptors = {{ChromaStft{24, -0.23}, {Functional::std, Functional::mean}},
                      {MelSpectrogram{64, 50, 3900, true, 1}, {Functional::std}},
                      {Mfcc{13, 40, 20, 7600, true, 1e-5, 0.5, 40}, {Functional::mean}},
                      {Mfcc{14, 40, 20, 7600, true, 1e-5, 0.5, 40}, {Functional::mean}},
                      {Rms{}, {Functional::std}}};
  return spec;
}

// The message with which a JSON text is refused.
std::string refusal(const std::string& text) {
  try {
    feature_spec_from_json(Json::parse(text));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_SUITE("feature_spec") {
  TEST_CASE("notebook is 12 chroma, 128 mel up to 8 kHz and 40 MFCC, each the mean, at the file's own rate") {
    const FeatureSpec spec = feature_spec("notebook");
    CHECK(spec.name == "notebook");
    CHECK(spec.sample_rate == 0);
    CHECK(spec.stft == StftSpec{});
    CHECK(n_features(spec) == 180);
    const auto names = feature_names(spec);
    REQUIRE(names.size() == 180);
    CHECK(names[0] == "chroma_stft_0_mean");
    CHECK(names[12] == "melspectrogram_0_mean");
    CHECK(names[140] == "mfcc_0_mean");
    CHECK(names[179] == "mfcc_39_mean");
    CHECK(std::get<MelSpectrogram>(spec.descriptors[1].descriptor).fmax == 8000);
    CHECK(std::get<Mfcc>(spec.descriptors[2].descriptor).fmax == 0);
  }

  TEST_CASE("speech is groups of values of clips at 16 kHz, each value with a name") {
    const FeatureSpec spec = feature_spec("speech");
    CHECK(spec.sample_rate == 16000);
    CHECK(spec.stft == StftSpec{512, 160, 400, Window::hann, false, PadMode::constant});
    const auto names = feature_names(spec);
    CHECK(static_cast<Index>(names.size()) == n_features(spec));
    CHECK(std::set(names.begin(), names.end()).size() == names.size());
    CHECK(names[0] == "speech_mfcc_0_mean");
    CHECK(names[79] == "speech_mfcc_39_std");
    for (const char* name :
         {"speech_log_mel_63_std", "speech_contrast_800hz_mean", "speech_shape_centroid_std",
          "speech_shape_delta_flux_mean", "speech_prosody_f0_median"})
      CHECK(std::ranges::count(names, name) == 1);
    for (const SpeechGroup group : all_speech_groups()) {
      CAPTURE(to_name(group));
      CHECK(static_cast<Index>(value_names(group).size()) == n_values(group));
    }
  }

  TEST_CASE("of speech any groups can be had, in their order") {
    FeatureSpec spec = feature_spec("speech");
    auto& groups = std::get<Speech>(spec.descriptors[0].descriptor).groups;
    groups = {SpeechGroup::mfcc, SpeechGroup::prosody};
    check_feature_spec(spec);
    CHECK(n_features(spec) == 80 + 57);
    CHECK(feature_names(spec)[80] == "speech_prosody_f0_mean");
    CHECK(to_json(spec).dump() ==
          R"({"name":"speech","sample_rate":16000,"stft":{"n_fft":512,"hop_length":160,"win_length":400,)"
          R"("window":"hann","center":false,"pad_mode":"constant"},)"
          R"("descriptors":[{"kind":"speech","groups":["mfcc","prosody"]}]})");
    CHECK(difference(spec, feature_spec("speech"))
              .starts_with(R"(speech groups ["mfcc","prosody"] and ["mfcc",)"));

    const auto refused = [&](std::vector<SpeechGroup> given) {
      groups = std::move(given);
      return refusal(to_json(spec).dump());
    };
    CHECK(refused({}).starts_with("descriptors[0]: speech: groups: the list is empty; known are: mfcc,"));
    CHECK(refused({SpeechGroup::prosody, SpeechGroup::mfcc})
              .starts_with("descriptors[0]: speech: groups: 'mfcc' is not after 'prosody' in: mfcc,"));
    CHECK(refused({SpeechGroup::mfcc, SpeechGroup::mfcc})
              .starts_with("descriptors[0]: speech: groups: 'mfcc' is not after 'mfcc' in: mfcc,"));
  }

  TEST_CASE("speech has no functionals, no companions and no other frames") {
    const auto refused = [](auto change) {
      FeatureSpec spec = feature_spec("speech");
      change(spec);
      try {
        check_feature_spec(spec);
      } catch (const UsageError& error) {
        return std::string(error.what());
      }
      return std::string("accepted");
    };
    CHECK(refused([](FeatureSpec&) {}) == "accepted");
    CHECK(refused([](FeatureSpec& spec) { spec.descriptors.push_back({Mfcc{}}); }) ==
          "descriptors: speech stands alone, there are 2");
    CHECK(refused([](FeatureSpec& spec) { spec.descriptors[0].functionals = {Functional::mean}; }) ==
          "descriptors[0]: speech: functionals: speech has none");
    CHECK(refused([](FeatureSpec& spec) { spec.sample_rate = 8000; }) ==
          "sample_rate: 8000 Hz; speech is of 16000 Hz");
    CHECK(refused([](FeatureSpec& spec) {
            spec.stft.hop_length = 128;
          }).starts_with(R"(stft: {"n_fft":512,"hop_length":128,)"));
    CHECK(refusal(R"({"descriptors": [{"kind": "speech", "functionals": ["mean"]}]})") ==
          "descriptors[0]: functionals: speech has none");
  }

  TEST_CASE("a spec's JSON is written in one canonical form") {
    CHECK(
        to_json(feature_spec("notebook")).dump() ==
        R"({"name":"notebook","sample_rate":0,"stft":{"n_fft":2048,"hop_length":512,"win_length":0,)"
        R"("window":"hann","center":true,"pad_mode":"constant"},"descriptors":[)"
        R"({"kind":"chroma_stft","n_chroma":12,"tuning":null,"functionals":["mean"]},)"
        R"({"kind":"melspectrogram","n_mels":128,"fmin":0.0,"fmax":8000.0,"htk":false,"power":2.0,)"
        R"("functionals":["mean"]},)"
        R"({"kind":"mfcc","n_mfcc":40,"n_mels":128,"fmin":0.0,"fmax":0.0,"htk":false,"amin":1e-10,"ref":1.0,)"
        R"("top_db":80.0,"functionals":["mean"]}]})");
  }

  TEST_CASE("a spec goes through JSON text and back unchanged") {
    for (const FeatureSpec& spec : {feature_spec("notebook"), feature_spec("speech"), unusual_spec()}) {
      const std::string text = to_json(spec).dump();
      const FeatureSpec read = feature_spec_from_json(Json::parse(text));
      CHECK(read == spec);
      CHECK(to_json(read).dump() == text);
    }
  }

  TEST_CASE("equal specs have equal text, whatever their JSON looked like") {
    const auto text = [](const char* json) {
      return to_json(feature_spec_from_json(Json::parse(json))).dump();
    };
    const std::string canonical =
        text(R"({"descriptors": [{"kind": "mfcc"}, {"kind": "chroma_stft", "tuning": 0}]})");
    CHECK(text(R"({"descriptors": [{"fmin": -0.0, "functionals": ["mean"], "kind": "mfcc", "ref": 1},
                                   {"tuning": -0.0, "kind": "chroma_stft"}], "stft": {}, "sample_rate": 0})") ==
          canonical);
  }

  TEST_CASE("absent fields of a spec keep librosa's defaults") {
    const FeatureSpec spec =
        feature_spec_from_json(Json::parse(R"({"stft": {"n_fft": 512}, "descriptors": [{"kind": "mfcc"}]})"));
    CHECK(spec.stft.hop_length == 512);
    CHECK(std::get<Mfcc>(spec.descriptors[0].descriptor) == Mfcc{});
    CHECK(spec.descriptors[0].functionals == std::vector{Functional::mean});
  }

  TEST_CASE("feature names are unique, and go functional by functional") {
    const FeatureSpec spec = unusual_spec();
    const auto names = feature_names(spec);
    CHECK(static_cast<Index>(names.size()) == n_features(spec));
    CHECK(n_features(spec) == 2 * 24 + 64 + 13 + 14 + 1);
    CHECK(names[0] == "chroma_stft_0_std");
    CHECK(names[24] == "chroma_stft_0_mean");
    CHECK(names.back() == "rms_0_std");
    CHECK(std::set(names.begin(), names.end()).size() == names.size());
  }

  TEST_CASE("what contradicts itself or has no meaning is refused, with name, value and limit") {
    const auto mfcc = [](const std::string& fields) {
      return refusal(R"({"descriptors": [{"kind": "mfcc")" + fields + "}]}");
    };
    const auto stft = [](const std::string& fields) {
      return refusal(R"({"stft": {)" + fields + R"(}, "descriptors": [{"kind": "mfcc"}]})");
    };
    CHECK(mfcc("") == "accepted");
    CHECK(stft("") == "accepted");
    CHECK(mfcc(R"(, "n_mfcc": 41, "n_mels": 40)") == "descriptors[0]: mfcc: n_mfcc: 41 is over n_mels, 40");
    CHECK(mfcc(R"(, "fmin": 300, "fmax": 300)") ==
          "descriptors[0]: mfcc: fmin: 300 Hz is not below fmax, 300 Hz");
    CHECK(mfcc(R"(, "top_db": -1)") == "descriptors[0]: mfcc: top_db: -1 is not in [0, 1000]");
    CHECK(mfcc(R"(, "amin": 0)") == "descriptors[0]: mfcc: amin: 0 is not in [1e-30, 1]");
    CHECK(mfcc(R"(, "fmax": "high")") == "descriptors[0]: mfcc: fmax: \"high\" is not a number");
    CHECK(mfcc(R"(, "n_mffc": 3)")
              .starts_with("descriptors[0]: mfcc: unknown name 'n_mffc'; known are: n_mfcc"));
    CHECK(mfcc(R"(, "functionals": [])") ==
          "descriptors[0]: mfcc: functionals: the list is empty; known are: mean, std");
    CHECK(mfcc(R"(, "functionals": ["mean", "mean"])") ==
          "descriptors[0]: mfcc: functionals: 'mean' is there twice");
    CHECK(mfcc(R"(, "functionals": ["median"])") ==
          "descriptors[0]: functionals: 'median' is not one of: mean, std");
    CHECK(stft(R"("n_fft": 512, "win_length": 513)") == "stft: win_length: 513 is over n_fft, 512");
    CHECK(stft(R"("n_fft": 15)") == "stft: n_fft: 15 is not in [16, 65536]");
    CHECK(stft(R"("hop_length": 0)") == "stft: hop_length: 0 is not in [1, 65536]");
    CHECK(stft(R"("hop_length": 1.5)") == "stft: hop_length: 1.5 is not a whole number");
    CHECK(stft(R"("pad_mode": "wrap")") == "stft: pad_mode: 'wrap' is not one of: constant, reflect, edge");
    CHECK(refusal("[]") == "[] is not an object");
    CHECK(refusal("{}") == "descriptors: the list is empty, so there is nothing to compute");
    CHECK(refusal(R"({"descriptors": {}})") == "descriptors: {} is not a list");
    CHECK(refusal(R"({"descriptors": [7]})") == "descriptors[0]: 7 is not an object");
    CHECK(refusal(R"({"descriptors": [{}]})") ==
          "descriptors[0]: kind: '' is not one of: chroma_stft, melspectrogram, mfcc, rms, speech");
    CHECK(refusal(R"({"descriptors": [{"kind": "zcr"}]})") ==
          "descriptors[0]: kind: 'zcr' is not one of: chroma_stft, melspectrogram, mfcc, rms, speech");
    CHECK(refusal(R"({"descriptors": [{"kind": "mfcc"}, {"kind": "mfcc"}]})") ==
          "descriptors[1]: mfcc: the same as descriptors[0]");
    CHECK(refusal(R"({"descriptors": [{"kind": "melspectrogram", "power": 1.5}]})") ==
          "descriptors[0]: melspectrogram: power: 1.5 is neither 1 nor 2");
    CHECK(refusal(R"({"sample_rate": 999, "descriptors": [{"kind": "mfcc"}]})") ==
          "sample_rate: 999 Hz is below 1000 Hz");
    CHECK(refusal(R"({"sample_rate": 768001, "descriptors": [{"kind": "mfcc"}]})") ==
          "sample_rate: 768001 is not in [0, 768000]");
    CHECK(refusal(R"({"samplerate": 8000})") ==
          "unknown name 'samplerate'; known are: name, sample_rate, speed, pitch, stft, descriptors");
  }

  TEST_CASE("a spec made in code is checked like one from a file") {
    FeatureSpec spec = feature_spec("notebook");
    check_feature_spec(spec);
    spec.stft.hop_length = -5;
    CHECK_THROWS_WITH_AS(check_feature_spec(spec), "stft: hop_length: -5 is not in [1, 65536]", UsageError);
  }

  TEST_CASE("a spec is read from a .json file, and every refusal names the file") {
    const TemporaryFolder folder;
    const std::string file = folder / "set.json";
    std::ofstream(file) << to_json(unusual_spec()).dump(2);
    CHECK(feature_spec(file) == unusual_spec());

    std::ofstream(file) << R"({"stft": {"n_fft": 15}})";
    CHECK_THROWS_WITH_AS(feature_spec(file), (file + ": stft: n_fft: 15 is not in [16, 65536]").c_str(),
                         UsageError);
    std::ofstream(file) << R"({"stft": )";
    CHECK_THROWS_WITH_AS(feature_spec(file), doctest::Contains((file + ": not JSON: ").c_str()), UsageError);
    const std::string absent = folder / "absent.json";
    CHECK_THROWS_WITH_AS(feature_spec(absent),
                         (absent + ": cannot be read: No such file or directory").c_str(), UsageError);
    CHECK_THROWS_WITH_AS(
        feature_spec("notbook"),
        "'notbook' is not a feature set; known are: notebook, speech, or a file that ends in .json",
        UsageError);
  }

  TEST_CASE("a folder named like a .json file is refused, not read as an empty one") {
    const TemporaryFolder folder;
    const std::string name = folder / "folder.json";
    std::filesystem::create_directory(name);
    CHECK_THROWS_WITH_AS(feature_spec(name), (name + ": cannot be read: Is a directory").c_str(), UsageError);
  }

  TEST_CASE("difference names each field that differs, with both values") {
    const FeatureSpec a = feature_spec("notebook");
    CHECK(difference(a, a) == "");
    FeatureSpec b = a;
    b.stft.hop_length = 256;
    CHECK(difference(a, b) == "hop_length 512 and 256");
    std::get<Mfcc>(b.descriptors[2].descriptor).n_mfcc = 13;
    std::get<ChromaStft>(b.descriptors[0].descriptor).tuning = 0.25;
    b.descriptors[1].functionals = {Functional::std};
    b.name = "mine";
    CHECK(
        difference(a, b) ==
        "hop_length 512 and 256; chroma_stft tuning null and 0.25; "
        R"(melspectrogram functionals ["mean"] and ["std"]; mfcc n_mfcc 40 and 13; name "notebook" and "mine")");
    b = a;
    b.descriptors.pop_back();
    CHECK(difference(a, b) ==
          "descriptors [chroma_stft, melspectrogram, mfcc] and [chroma_stft, melspectrogram]");
  }
}
