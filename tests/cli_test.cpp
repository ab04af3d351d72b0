// The program, run as a person runs it.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/philox.hpp"
#include "support/audio_files.hpp"
#include "support/program.hpp"

using namespace melgrad;
using namespace melgrad::test;
namespace fs = std::filesystem;

namespace {

const std::string pattern = "{label}_{group}_{index}";
constexpr int n_clips = 3 * 4 * 4;

// A tone of 0.3 s with harmonics: "low", "mid" and "high" ones, a little different for each speaker and take.
std::vector<std::int16_t> voice(double frequency_hz, int speaker, int take) {
  constexpr int sample_rate = 16'000, n_samples = 4'800;
  PhiloxSequence random(static_cast<std::uint64_t>(take), RandomStream::split,
                        static_cast<std::uint32_t>(speaker));
  std::vector<std::int16_t> samples;
  for (int i = 0; i < n_samples; ++i) {
    double value = 0;
    for (int harmonic = 1; harmonic <= 4; ++harmonic)
      value += std::sin(6.283185307179586 * frequency_hz * (1 + 0.02 * speaker + 0.005 * take) * harmonic *
                        i / sample_rate) /
               harmonic;
    samples.push_back(static_cast<std::int16_t>(6000 * value + 200 * random.next_uniform01()));
  }
  return samples;
}

// n_clips files: three labels, four groups, four takes.
void write_recordings(const fs::path& folder, int first_take = 0) {
  const std::map<std::string, double> labels = {{"low", 150}, {"mid", 400}, {"high", 1100}};
  for (const auto& [label, frequency_hz] : labels)
    for (int speaker = 0; speaker < 4; ++speaker)
      for (int take = first_take; take < first_take + 4; ++take)
        write_bytes(folder / (label + "_s" + std::to_string(speaker) + "_" + std::to_string(take) + ".wav"),
                    wav_bytes(voice(frequency_hz, speaker, take)));
}

// The same as a folder for each label.
void write_own_recordings(const fs::path& folder) {
  for (int take = 20; take < 23; ++take) {
    write_bytes(folder / "low" / (std::to_string(take) + ".wav"), wav_bytes(voice(150, 9, take)));
    write_bytes(folder / "high" / (std::to_string(take) + ".wav"), wav_bytes(voice(1100, 9, take)));
  }
}

// Small and quick: what is tested here is the program, not the network.
const std::vector<std::string> small_network = {"--hidden-layer-sizes", "16", "--max-iter",           "60",
                                                "--batch-size",         "16", "--learning-rate-init", "0.01"};

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ProgramRun run_on(const fs::path& data, const fs::path& out, const std::vector<std::string>& more = {}) {
  return run_melgrad(std::vector<std::string>{"run", data.string(), "--pattern", pattern, "--out",
                                              out.string(), "--quick", "--threads", "2"} +
                     small_network + more);
}

const Json* find_model(const Json& results, const std::string& protocol) {
  for (const auto& model : results["models"])
    if (model["protocol"] == protocol) return &model;
  return nullptr;
}

// reason by file name
std::map<std::string, std::string> reasons(const Json& refused) {
  std::map<std::string, std::string> found;
  for (const auto& each : refused)
    found[fs::path(each["path"].get<std::string>()).filename()] = each["reason"];
  return found;
}

// A cache and a model of the recordings in `folder`/data.
void extract_and_train(const TemporaryFolder& folder) {
  write_recordings(folder / "data");
  const ProgramRun extracted =
      run_melgrad({"extract", folder / "data", "--pattern", pattern, "-o", folder / "f.h5"});
  REQUIRE_MESSAGE(extracted.status == 0, extracted.err);
  const ProgramRun trained = run_melgrad(
      std::vector<std::string>{"train", folder / "f.h5", "-o", folder / "m.h5", "--no-evaluation"} +
      small_network);
  REQUIRE_MESSAGE(trained.status == 0, trained.err);
}

std::uint32_t u32_at(const std::string& bytes, std::size_t at) {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}
std::uint16_t u16_at(const std::string& bytes, std::size_t at) {
  std::uint16_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// An independent bit-by-bit CRC-32.
std::uint32_t slow_crc32(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (const unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

struct NpyMember {
  std::string header;  // the dictionary
  std::string data;
};

// The members of an uncompressed zip archive, found through its central directory as numpy.load does.
std::map<std::string, NpyMember> read_npz(const std::string& bytes) {
  std::map<std::string, NpyMember> members;
  const std::size_t end = bytes.rfind("PK\5\6");
  REQUIRE(end != std::string::npos);
  std::size_t at = u32_at(bytes, end + 16);
  for (int n = u16_at(bytes, end + 10); n > 0; --n) {
    REQUIRE(bytes.compare(at, 4, "PK\1\2") == 0);
    const std::size_t local = u32_at(bytes, at + 42), size = u32_at(bytes, at + 24),
                      name_size = u16_at(bytes, at + 28);
    const std::string name = bytes.substr(at + 46, name_size);
    REQUIRE(bytes.compare(local, 4, "PK\3\4") == 0);
    const std::string content = bytes.substr(local + 30 + name_size, size);
    CHECK(u32_at(bytes, at + 16) == slow_crc32(content));
    CHECK(u32_at(bytes, local + 14) == slow_crc32(content));
    REQUIRE(content.compare(0, 8, std::string("\x93NUMPY\1\0", 8)) == 0);
    const std::size_t header_size = u16_at(content, 8);
    CHECK((10 + header_size) % 64 == 0);
    members[name] = {content.substr(10, header_size), content.substr(10 + header_size)};
    at += 46 + name_size;
  }
  return members;
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("run goes from recordings to results, and again takes every clip from the cache") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    const ProgramRun first = run_on(folder / "data", folder / "r");
    CHECK_MESSAGE(first.status == 0, first.err);
    CHECK(first.out.find("speaker") != std::string::npos);
    for (const char* file : {"features.h5", "model.h5", "results.json", "log.txt"})
      CHECK_MESSAGE(fs::exists(folder / "r" / file), file);

    const Json results = Json::parse(read_bytes(folder / "r" / "results.json"));
    CHECK(results["device"] == "cpu");
    CHECK(results["dataset"]["n_clips"] == n_clips);
    CHECK(results["dataset"]["n_refused"] == 0);
    CHECK(results["dataset"]["labels"] == Json({"high", "low", "mid"}));
    CHECK(results["dataset"]["n_groups"] == 4);
    CHECK(results["dataset"]["audio_seconds"].get<double>() == doctest::Approx(0.3 * n_clips));
    CHECK(results["features"]["set"] == "speech");
    CHECK(results["features"]["n_features"] == 1143);
    CHECK(results["features"]["cached_clips"] == 0);
    for (const char* protocol : {"random", "speaker"}) {
      const Json* model = find_model(results, protocol);
      REQUIRE_MESSAGE(model != nullptr, protocol);
      for (const char* field :
           {"name", "accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1",
            "confusion_matrix", "labels", "n_test", "fit_seconds", "predict_seconds"})
        CHECK_MESSAGE(model->contains(field), field);
      CHECK((*model)["accuracy"].get<double>() > 0.8);
    }
    CHECK((*find_model(results, "speaker"))["n_test"] == n_clips);

    const ProgramRun second = run_on(folder / "data", folder / "r");
    CHECK_MESSAGE(second.status == 0, second.err);
    const Json again = Json::parse(read_bytes(folder / "r" / "results.json"));
    CHECK(again["features"]["cached_clips"] == n_clips);
    CHECK((*find_model(again, "random"))["confusion_matrix"] ==
          (*find_model(results, "random"))["confusion_matrix"]);
  }

  TEST_CASE("run --json --quiet prints the results and nothing else") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    const ProgramRun run = run_on(folder / "data", folder / "r", {"--json", "--quiet"});
    CHECK(run.status == 0);
    CHECK(run.err.empty());
    CHECK(Json::parse(run.out) == Json::parse(read_bytes(folder / "r" / "results.json")));
  }

  TEST_CASE("run --grid says what each split's network was chosen from, and an ensemble comes first") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    write_bytes(folder / "grid.toml", "[[grid]]\nalpha = [0.001, 0.01]\ndropout = [0, 0.1]\n");
    const ProgramRun run =
        run_on(folder / "data", folder / "r",
               {"--grid", folder / "grid.toml", "--models", "mlp", "--ensemble", "2", "--json"});
    REQUIRE_MESSAGE(run.status == 0, run.err);
    const Json results = Json::parse(run.out);
    CHECK(results["options"]["candidates"].size() == 4);
    CHECK(results["models"].size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      const Json& model = results["models"][i];
      CHECK(model["name"] == (i < 2 ? "mlp_ensemble" : "mlp"));
      CHECK(model["grid"] == Json{{"alpha", {0.001, 0.01}}, {"dropout", {0, 0.1}}});
      CHECK(model["search_cpu_seconds"].get<double>() > 0);
      for (const Json& split : model["splits"]) {
        CHECK(split["parameters"]["alpha"].get<double>() >= 0.001);
        CHECK(split["parameters"]["max_iter"] == 60);
      }
    }
    write_bytes(folder / "grid.toml", "[[grid]]\nmax_iter = [10, 20]\n");
    const ProgramRun refused = run_on(folder / "data", folder / "s", {"--grid", folder / "grid.toml"});
    CHECK(refused.status == 2);
    CHECK_MESSAGE(refused.err.find("max_iter") != std::string::npos, refused.err);
    CHECK_FALSE(fs::exists(folder / "s"));
  }

  TEST_CASE("run tries the final model on own recordings") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    write_own_recordings(folder / "own");
    const ProgramRun run = run_on(folder / "data", folder / "r", {"--own", folder / "own", "--json"});
    REQUIRE_MESSAGE(run.status == 0, run.err);
    const Json results = Json::parse(run.out);
    const Json* own = find_model(results, "own");
    REQUIRE(own != nullptr);
    CHECK((*own)["n_test"] == 6);
    CHECK((*own)["confusion_matrix"].size() == 3);
  }

  TEST_CASE("the results of other recordings are replaced only if that is asked for") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    write_recordings(folder / "other", 7);
    REQUIRE(run_on(folder / "data", folder / "r").status == 0);
    const std::string before = read_bytes(folder / "r" / "results.json");
    const ProgramRun refused = run_on(folder / "other", folder / "r");
    CHECK(refused.status == 2);
    CHECK_MESSAGE(refused.err.find("--overwrite") != std::string::npos, refused.err);
    CHECK(read_bytes(folder / "r" / "results.json") == before);
    CHECK(run_on(folder / "other", folder / "r", {"--overwrite"}).status == 0);
    CHECK(read_bytes(folder / "r" / "results.json") != before);
  }

  TEST_CASE("bad inputs are refused one by one, each with its own reason, and the good ones are done") {
    const TemporaryFolder folder;
    const fs::path data = folder / "data";
    write_recordings(data);
    const std::vector<std::int16_t> tone = sine_int16(16'000, 300, 16'000);
    std::vector<float> with_nan = sine(16'000, 300, 16'000);
    with_nan[777] = std::numeric_limits<float>::quiet_NaN();
    write_bytes(data / "low_b_0.wav", "");
    write_bytes(data / "low_b_1.wav", wav_bytes(tone).substr(0, 20'000));
    write_bytes(data / "low_b_2.wav", "This is a text, and no recording.\n");
    write_bytes(data / "low_b_3.wav", wav_bytes(std::vector<std::int16_t>(16'000, 0)));
    write_bytes(data / "low_b_4.wav", wav_bytes(with_nan));
    write_bytes(data / "low_b_5.wav", wav_bytes(tone, {.n_channels = 8}));
    write_bytes(data / "low_b_6.wav", wav_bytes(tone, {.sample_rate = 1}));
    write_bytes(data / "low_b_7.wav", wav_bytes(tone));
    REQUIRE(chmod((data / "low_b_7.wav").c_str(), 0) == 0);

    const ProgramRun run = run_melgrad(std::vector<std::string>{"run", data, "--pattern", pattern, "--out",
                                                                folder / "r", "--quick", "--json"} +
                                           small_network,
                                       {.without_root_access = true});
    CHECK_MESSAGE(run.status == 3, run.err);
    const Json results = Json::parse(run.out);
    CHECK(results["dataset"]["n_refused"] == 8);
    CHECK(results["dataset"]["n_clips"] == n_clips + 8);
    CHECK((*find_model(results, "speaker"))["n_test"] == n_clips);
    auto found = reasons(results["dataset"]["refused"]);
    CHECK(found.size() == 8);
    const std::map<std::string, std::string> expected = {{"low_b_0.wav", "empty"},
                                                         {"low_b_1.wav", "truncated"},
                                                         {"low_b_2.wav", "audio"},
                                                         {"low_b_3.wav", "silent"},
                                                         {"low_b_4.wav", "not a finite number"},
                                                         {"low_b_5.wav", "8 channels"},
                                                         {"low_b_6.wav", "1 Hz"},
                                                         {"low_b_7.wav", "ermission"}};
    for (const auto& [file, word] : expected)
      CHECK_MESSAGE(found[file].find(word) != std::string::npos, file, ": ", found[file]);
    const std::string log = read_bytes(folder / "r" / "log.txt");
    for (const auto& [file, reason] : found) CHECK_MESSAGE(log.find(reason) != std::string::npos, reason);
  }

  TEST_CASE("extract, train, evaluate and predict do one after another what run does") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    write_own_recordings(folder / "own");
    const ProgramRun extracted =
        run_melgrad({"extract", folder / "data", "--pattern", pattern, "-o", folder / "f.h5", "--json"});
    REQUIRE_MESSAGE(extracted.status == 0, extracted.err);
    CHECK(Json::parse(extracted.out)["n_clips"] == n_clips);
    const ProgramRun trained = run_melgrad(
        std::vector<std::string>{"train", folder / "f.h5", "-o", folder / "m.h5", "--json"} + small_network);
    REQUIRE_MESSAGE(trained.status == 0, trained.err);
    CHECK((*find_model(Json::parse(trained.out), "random"))["accuracy"].get<double>() > 0.8);

    const ProgramRun evaluated = run_melgrad({"evaluate", folder / "m.h5", folder / "own", "--json"});
    REQUIRE_MESSAGE(evaluated.status == 0, evaluated.err);
    const Json evaluation = Json::parse(evaluated.out);
    CHECK(evaluation["models"][0]["n_test"] == 6);
    const ProgramRun predicted = run_melgrad({"predict", folder / "m.h5", folder / "own", "--json"});
    REQUIRE_MESSAGE(predicted.status == 0, predicted.err);
    const Json predictions = Json::parse(predicted.out)["predictions"];
    REQUIRE(predictions.size() == 6);
    int n_right = 0;
    for (const auto& each : predictions) {
      double sum = 0;
      for (const auto& [label, probability] : each["probabilities"].items()) sum += probability.get<double>();
      CHECK(sum == doctest::Approx(1));
      CHECK(each["probabilities"][each["label"].get<std::string>()] == each["probability"]);
      n_right += fs::path(each["path"].get<std::string>()).parent_path().filename() ==
                 each["label"].get<std::string>();
    }
    CHECK(evaluation["models"][0]["accuracy"].get<double>() == doctest::Approx(n_right / 6.0));
  }

  TEST_CASE("with --tta evaluate and predict answer as the run did") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    write_own_recordings(folder / "own");
    const ProgramRun run =
        run_on(folder / "data", folder / "r",
               {"--own", folder / "own", "--models", "mlp", "--augment", "--tta", "--json"});
    REQUIRE_MESSAGE(run.status == 0, run.err);
    const auto answers = [&](std::vector<std::string> command) {  // probability of the label, by file
      const ProgramRun asked = run_melgrad(command + std::vector<std::string>{"--json"});
      REQUIRE_MESSAGE(asked.status == 0, asked.err);
      const Json json = Json::parse(asked.out);
      std::map<std::string, double> found;
      for (const Json& each :
           command[0] == "predict" ? json["predictions"] : json["models"][0]["predictions"]) {
        const fs::path path = each["path"].get<std::string>();
        found[path.parent_path().filename() / path.filename()] = each["probability"];
      }
      return found;
    };
    std::map<std::string, double> of_run;
    const Json results = Json::parse(run.out);
    for (const Json& each : (*find_model(results, "own"))["predictions"])
      of_run[each["path"]] = each["probability"];
    REQUIRE(of_run.size() == 6);
    const std::string model = folder / "r" / "model.h5", own = folder / "own";
    CHECK(answers({"evaluate", model, own, "--tta"}) == of_run);
    CHECK(answers({"evaluate", model, folder / "r" / "own_features.h5", "--tta"}) == of_run);
    CHECK(answers({"predict", model, own, "--tta"}) == of_run);
    CHECK(answers({"evaluate", model, own}) != of_run);
    CHECK(answers({"predict", model, own}) == answers({"evaluate", model, own}));

    fs::copy(folder / "r" / "own_features.h5", folder / "alone.h5");
    const ProgramRun alone = run_melgrad({"evaluate", model, folder / "alone.h5", "--tta"});
    CHECK(alone.status == 1);
    CHECK_MESSAGE(alone.err.find("--augment` makes it") != std::string::npos, alone.err);
  }

  TEST_CASE("evaluate warns of recordings that the model was trained on, and leaves them out") {
    const TemporaryFolder folder;
    extract_and_train(folder);
    write_own_recordings(folder / "own");
    fs::copy(folder / "data" / "low_s0_0.wav", folder / "own" / "low" / "renamed.wav");
    const ProgramRun run = run_melgrad({"evaluate", folder / "m.h5", folder / "own", "--json"});
    CHECK_MESSAGE(run.err.find("1 of the recordings were in the model's training set") != std::string::npos,
                  run.err);
    CHECK(Json::parse(run.out)["models"][0]["n_test"] == 6);
  }

  TEST_CASE("predict names what it cannot read and does the rest") {
    const TemporaryFolder folder;
    extract_and_train(folder);
    write_bytes(folder / "empty.wav", "");
    const std::string good = folder / "data" / "mid_s1_1.wav";
    const ProgramRun run = run_melgrad(
        {"predict", folder / "m.h5", folder / "empty.wav", good, folder / "missing.wav", "--json"});
    CHECK(run.status == 3);
    const Json json = Json::parse(run.out);
    REQUIRE(json["predictions"].size() == 1);
    CHECK(json["predictions"][0]["path"] == good);
    CHECK(json["predictions"][0]["label"] == "mid");
    CHECK(reasons(json["refused"]).size() == 2);
  }

  TEST_CASE("a cache is exported to NumPy's format and to CSV with the same numbers") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    fs::rename(folder / "data" / "low_s0_0.wav", folder / "data" / "low_s,\"ü\"_0.wav");
    REQUIRE(run_melgrad({"extract", folder / "data", "--pattern", pattern, "-o", folder / "f.h5"}).status ==
            0);
    REQUIRE(run_melgrad({"export", folder / "f.h5", "-o", folder / "x.npz"}).status == 0);
    REQUIRE(run_melgrad({"export", folder / "f.h5", "-o", folder / "x.csv"}).status == 0);

    auto members = read_npz(read_bytes(folder / "x.npz"));
    CHECK(members.size() == 5);
    CHECK(members["features.npy"].header.find("'<f4', 'fortran_order': False, 'shape': (48, 180)") !=
          std::string::npos);
    CHECK(members["features.npy"].data.size() == 48 * 180 * 4);
    CHECK(members["labels.npy"].header.find("'<U4', 'fortran_order': False, 'shape': (48,)") !=
          std::string::npos);
    CHECK(members["labels.npy"].data.substr(0, 16) == std::string("h\0\0\0i\0\0\0g\0\0\0h\0\0\0", 16));
    CHECK(members["groups.npy"].data.find(std::string("\xfc\0\0\0", 4)) != std::string::npos);
    CHECK(members["columns.npy"].header.find("'shape': (180,)") != std::string::npos);

    std::istringstream csv(read_bytes(folder / "x.csv"));
    std::string line;
    REQUIRE(std::getline(csv, line));
    CHECK(line.starts_with("path,label,group,chroma_stft_0_mean,"));
    CHECK(line.ends_with("\r"));
    int row = 0, n_quoted = 0;
    while (std::getline(csv, line)) {
      n_quoted += line.starts_with("\"low_s,\"\"ü\"\"_0.wav\",low,\"s,\"\"ü\"\"\",");
      float in_npz;
      std::memcpy(&in_npz, members["features.npy"].data.data() + (row * 180 + 179) * 4, sizeof in_npz);
      CHECK(std::stof(line.substr(line.rfind(',') + 1)) == in_npz);
      ++row;
    }
    CHECK(row == n_clips);
    CHECK(n_quoted == 1);
  }

  TEST_CASE("no command replaces a file unasked") {
    const TemporaryFolder folder;
    extract_and_train(folder);
    write_bytes(folder / "x.csv", "mine");
    const std::string model = read_bytes(folder / "m.h5");
    CHECK(run_melgrad({"export", folder / "f.h5", "-o", folder / "x.csv"}).status == 2);
    CHECK(run_melgrad({"train", folder / "f.h5", "-o", folder / "m.h5"}).status == 2);
    CHECK(run_melgrad({"extract", folder / "data", "--pattern", pattern, "-o", folder / "x.csv"}).status ==
          1);
    CHECK(read_bytes(folder / "x.csv") == "mine");
    CHECK(read_bytes(folder / "m.h5") == model);
    CHECK(run_melgrad({"export", folder / "f.h5", "-o", folder / "x.csv", "--overwrite"}).status == 0);
    CHECK(read_bytes(folder / "x.csv") != "mine");
  }

  TEST_CASE("other features than the cache's or the model's are refused with what differs") {
    const TemporaryFolder folder;
    extract_and_train(folder);
    const ProgramRun extracted = run_melgrad(
        {"extract", folder / "data", "--pattern", pattern, "--hop-length", "256", "-o", folder / "f.h5"});
    CHECK(extracted.status != 0);
    CHECK_MESSAGE(extracted.err.find("hop_length") != std::string::npos, extracted.err);
    REQUIRE(run_melgrad({"extract", folder / "data", "--pattern", pattern, "--mfcc-n-mfcc", "20", "-o",
                         folder / "g.h5"})
                .status == 0);
    const ProgramRun evaluated = run_melgrad({"evaluate", folder / "m.h5", folder / "g.h5"});
    CHECK(evaluated.status == 1);
    CHECK_MESSAGE(evaluated.err.find("n_mfcc") != std::string::npos, evaluated.err);
  }

  TEST_CASE("groups of speech are chosen in any order") {
    const TemporaryFolder folder;
    write_recordings(folder / "data");
    const ProgramRun extracted =
        run_melgrad({"extract", folder / "data", "--pattern", pattern, "--features", "speech",
                     "--speech-groups", "prosody,mfcc", "-o", folder / "f.h5"});
    REQUIRE_MESSAGE(extracted.status == 0, extracted.err);
    const Json cache = Json::parse(run_melgrad({"info", folder / "f.h5", "--json"}).out);
    CHECK(cache["feature_spec"]["name"] == "speech, groups mfcc+prosody");
    CHECK(cache["feature_spec"]["descriptors"][0]["groups"] == Json({"mfcc", "prosody"}));
    REQUIRE(run_melgrad({"export", folder / "f.h5", "-o", folder / "x.csv"}).status == 0);
    std::istringstream csv(read_bytes(folder / "x.csv"));
    std::string line;
    REQUIRE(std::getline(csv, line));
    CHECK(line.starts_with("path,label,group,speech_mfcc_0_mean,"));
    CHECK(line.ends_with(",speech_prosody_db_peak_position\r"));
  }

  TEST_CASE("info describes the program, a cache and a model") {
    const TemporaryFolder folder;
    extract_and_train(folder);
    const Json program = Json::parse(run_melgrad({"info", "--json"}).out);
    for (const char* field : {"version", "compiler", "simd", "threads", "cuda", "libraries"})
      CHECK_MESSAGE(program.contains(field), field);
    CHECK(program["speech_groups"]["cuda"].size() == 8);
    CHECK(program["speech_groups"]["cpu"].size() == 9);
    const std::string text = run_melgrad({"info"}).out;
    CHECK(text.find("that the CPU computes on every device: pitch, loudness, voice, ") != std::string::npos);
    const ProgramRun bf16 = run_melgrad({"train", folder / "f.h5", "-o", folder / "bf16.h5", "--device",
                                         "cpu", "--no-evaluation", "--max-iter", "1", "--precision", "bf16"});
    const std::string no_bf16 = program["bf16"]["why_not"];
    CHECK_MESSAGE(bf16.status == (no_bf16.empty() ? 0 : 1), bf16.err);
    CHECK_MESSAGE(bf16.err.find(no_bf16) != std::string::npos, bf16.err);
    CHECK((!program["cuda"]["devices"].empty() || !program["cuda"]["why_not"].get<std::string>().empty()));
    const Json cache = Json::parse(run_melgrad({"info", folder / "f.h5", "--json"}).out);
    CHECK(cache["kind"] == "features");
    CHECK(cache["n_clips"] == n_clips);
    CHECK(cache["feature_spec"]["name"] == "notebook");
    const Json model = Json::parse(run_melgrad({"info", folder / "m.h5", "--json"}).out);
    CHECK(model["kind"] == "model");
    CHECK(model["labels"] == Json({"high", "low", "mid"}));
    CHECK(model["mlp"]["hidden_layer_sizes"] == Json({16}));

    // The features that `info --json` shows are what --features reads.
    write_bytes(folder / "spec.json", cache["feature_spec"].dump());
    CHECK(run_melgrad({"extract", folder / "data", "--pattern", pattern, "--features", folder / "spec.json",
                       "-o", folder / "f.h5"})
              .status == 0);
  }

  TEST_CASE("wrong usage ends with status 2, says what is wrong and what was meant") {
    struct Case {
      std::vector<std::string> arguments;
      std::string says;
    };
    const std::vector<Case> cases = {
        {{}, "Usage: melgrad COMMAND"},
        {{"trian", "f.h5"}, "did you mean 'train'?"},
        {{"--json", "run"}, "a command comes first"},
        {{"run", "d", "--alhpa", "1"}, "unknown option --alhpa: did you mean --alpha?"},
        {{"train", "f.h5", "-o", "m.h5", "--hidden", "3"}, "did you mean --hidden-layer-sizes?"},
        {{"train", "f.h5", "-o", "m.h5", "--alpha", "-1"}, "alpha: -1 is not in [0"},
        {{"train", "f.h5", "-o", "m.h5", "--alpha", "x"}, "alpha: \"x\" is not a number"},
        {{"train", "f.h5", "-o", "m.h5", "--hidden-layer-sizes", "8,0"},
         "hidden_layer_sizes: 0 is not in [1"},
        {{"train", "f.h5", "-o", "m.h5", "--activation", "swish"},
         "'swish' is not one of: identity, logistic"},
        {{"train", "f.h5"}, "--output is required"},
        {{"run", "d", "--threads", "-1"}, "--threads"},
        {{"run", "d", "--quick", "--peers"}, "--peers: nothing is measured with --quick"},
        {{"run", "d", "--device", "gpu"}, "not one of auto, cpu, cuda, cuda:N"},
        {{"run", "d", "--features", "notebok"}, "notebok"},
        {{"run", "d", "--n-fft", "1024"}, "--n-fft: the feature set 'speech' has frames of its own"},
        {{"run", "d", "--speech-groups", "mfc"}, "'mfc' is not one of: mfcc, mfcc_delta"},
        {{"extract", "d", "-o", "f.h5", "--speech-groups", "mfcc"},
         "the feature set 'notebook' has no speech"},
        {{"export", "f.h5", "-o", "x.onnx"}, "has to end in .npz or .csv"}};
    for (const Case& each : cases) {
      const ProgramRun run = run_melgrad(each.arguments);
      CHECK_MESSAGE(run.status == 2, each.says);
      CHECK_MESSAGE(run.err.find(each.says) != std::string::npos, run.err);
      CHECK(run.out.empty());
    }
  }

  TEST_CASE("what cannot be done ends with status 1 and names the file") {
    const TemporaryFolder folder;
    for (const auto& arguments :
         std::vector<std::vector<std::string>>{{"run", folder / "nothing-here", "--out", folder / "r"},
                                               {"extract", folder / "nothing-here", "-o", folder / "f.h5"},
                                               {"train", folder / "nothing-here", "-o", folder / "m.h5"},
                                               {"evaluate", folder / "nothing-here", folder / "nothing-here"},
                                               {"predict", folder / "nothing-here", folder / "nothing-here"},
                                               {"info", folder / "nothing-here"}}) {
      const ProgramRun run = run_melgrad(arguments);
      CHECK_MESSAGE(run.status == 1, arguments.front());
      CHECK_MESSAGE(run.err.find("nothing-here") != std::string::npos, run.err);
    }
    CHECK(!fs::exists(folder / "r"));
  }

  TEST_CASE(
      "--device cuda without a usable GPU is an error that says why, and auto says that it took the CPU") {
    const Json program = Json::parse(run_melgrad({"info", "--json"}).out);
    const std::string why_not = program["cuda"]["why_not"];
    if (why_not.empty()) {
      MESSAGE("skipped: this machine has a usable GPU");
      return;
    }
    const TemporaryFolder folder;
    extract_and_train(folder);
    const std::string data = folder / "data", out = folder / "out";
    const std::vector<std::vector<std::string>> commands = {
        std::vector<std::string>{"run", data, "--pattern", pattern, "--out", out, "--quick"} + small_network,
        {"extract", data, "--pattern", pattern, "-o", out},
        std::vector<std::string>{"train", folder / "f.h5", "-o", out, "--no-evaluation"} + small_network,
        {"evaluate", folder / "m.h5", folder / "f.h5"},
        {"predict", folder / "m.h5", data},
        {"bench", data, "--pattern", pattern, "--repeats", "1", "--clips", "2", "--epochs", "1", "--threads",
         "1"}};
    for (const auto& command : commands) {
      CAPTURE(command.front());
      const ProgramRun cuda = run_melgrad(command + std::vector<std::string>{"--device", "cuda"});
      CHECK(cuda.status == 1);
      CHECK_MESSAGE(cuda.err.find("--device cuda: " + why_not) != std::string::npos, cuda.err);
      CHECK(!fs::exists(out));
      const ProgramRun automatic = run_melgrad(command);
      CHECK_MESSAGE(automatic.status != 1, automatic.err);
      CHECK_MESSAGE(automatic.err.find("device: cpu, because " + why_not) != std::string::npos,
                    automatic.err);
      fs::remove_all(out);
    }
  }

  TEST_CASE("results that cannot be written to stdout are an error") {
    const ProgramRun run = run_melgrad({"info"}, {.stdout_file = "/dev/full"});
    CHECK(run.status == 1);
    CHECK_MESSAGE(run.err.find("stdout") != std::string::npos, run.err);
  }
}
