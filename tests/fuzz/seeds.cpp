#include "fuzz/seeds.hpp"

#include <sndfile.h>

#include <cmath>

#include "example_results.hpp"
#include "host/cache/feature_cache.hpp"
#include "host/cache/journal.hpp"
#include "host/features/feature_spec.hpp"
#include "host/models/model_file.hpp"
#include "support/audio_files.hpp"

namespace melgrad::fuzz {
namespace {

using test::TemporaryFolder;

FeatureSpec small_spec() {
  FeatureSpec spec;
  spec.name = "small";
  spec.descriptors = {{MelSpectrogram{.n_mels = 4}, {Functional::mean}}};
  return spec;
}

FeatureTable small_table(Index n_clips) {
  FeatureTable table = make_feature_table(small_spec(), "cpu", n_clips);
  for (Index clip = 0; clip < n_clips; ++clip) {
    const auto i = static_cast<std::size_t>(clip);
    table.clips[i] = {fmt::format("a/{}.wav", clip), clip % 2 ? "sad" : "happy", "01", "", {{"sex", "f"}}};
    table.audio_hash[i] = fmt::format("{:032x}", clip);
    table.status[i] = "ok";
    table.duration_s[i] = 1;
  }
  return table;
}

}  // namespace

std::vector<std::string> audio_seeds() {
  const TemporaryFolder folder;
  std::vector<std::string> seeds;
  int n_majors = 0, n_minors = 0;
  sf_command(nullptr, SFC_GET_FORMAT_MAJOR_COUNT, &n_majors, sizeof n_majors);
  sf_command(nullptr, SFC_GET_FORMAT_SUBTYPE_COUNT, &n_minors, sizeof n_minors);
  for (int major = 0; major < n_majors; ++major) {
    SF_FORMAT_INFO container{};
    container.format = major;
    sf_command(nullptr, SFC_GET_FORMAT_MAJOR, &container, sizeof container);
    for (int minor = 0; minor < n_minors; ++minor) {
      SF_FORMAT_INFO encoding{};
      encoding.format = minor;
      sf_command(nullptr, SFC_GET_FORMAT_SUBTYPE, &encoding, sizeof encoding);
      SF_INFO info{};
      info.samplerate = 8'000;
      info.channels = 1;
      info.format = container.format | encoding.format;
      if (sf_format_check(&info) == 0) continue;
      try {
        test::write_sound(folder / "x", info.format, info.samplerate, 1, test::sine(300, 440, 8'000));
        seeds.push_back(test::read_bytes(folder / "x"));
      } catch (const std::runtime_error&) {
        // A few encodings want other rates; their containers have others.
      }
    }
  }
  seeds.push_back(test::wav_bytes(test::sine_int16(200, 440, 16'000), {.n_channels = 2}));
  return seeds;
}

std::vector<std::string> cache_seeds() {
  const TemporaryFolder folder;
  std::vector<std::string> seeds;
  for (const Index n_clips : {0, 1, 3}) {
    save_feature_file(small_table(n_clips), folder / "x.h5");
    seeds.push_back(test::read_bytes(folder / "x.h5"));
  }
  return seeds;
}

std::vector<std::string> model_seeds() {
  const TemporaryFolder folder;
  Classifier classifier;
  classifier.spec.hidden_layer_sizes = {2};
  classifier.spec.batch_norm = true;
  classifier.parameters = {
      {Matrix<float>(4, 2), Matrix<float>(2, 3)}, {{1, 2}, {1, 2, 3}}, {{{1, 1}, {0, 0}, {1, 1}}}};
  classifier.scaling = {{0, 0, 0, 0}, {1, 1, 1, 1}};
  classifier.features = small_spec();
  classifier.labels = {"a", "b", "c"};
  classifier.provenance = {{"n_clips", 3}, {"audio_hash", {"x", "y"}}};
  save_classifier(classifier, folder / "x.h5");
  return {test::read_bytes(folder / "x.h5")};
}

std::vector<std::string> journal_seeds() {
  const TemporaryFolder folder;
  Journal journal(folder / "x");
  journal.start(R"({"search": {}, "files": {}})");
  journal.append(std::vector<std::string>{R"({"fit": 1, "score": {}})", R"({"fit": 2, "score": {}})"});
  return {test::read_bytes(folder / "x")};
}

std::vector<std::string> results_seeds() {
  Results results = example_results({"a", "b"});
  for (ProtocolResult& each : results.models) {
    each.predictions.resize(std::min<std::size_t>(each.predictions.size(), 6));
    for (SplitResult& split : each.splits) split.training.loss_curve.resize(3);
    for (Prediction& prediction : each.predictions) prediction.split = 0;
    pool_predictions(each);
  }
  return {results_file_text(results), to_json(results).dump()};
}

std::vector<std::string> feature_spec_seeds() {
  return {
      to_json(feature_spec("notebook")).dump(2), to_json(small_spec()).dump(),
      R"({"name": "x", "sample_rate": 16000, "stft": {"n_fft": 512, "hop_length": 128, "window": "hamming",
"center": false, "pad_mode": "reflect"}, "descriptors": [{"kind": "chroma_stft", "tuning": 0.25, "functionals": ["std"]},
{"kind": "mfcc", "n_mfcc": 13, "n_mels": 26, "fmin": 20.0, "functionals": ["mean", "std"]}]})"};
}

std::vector<std::string> grid_seeds() {
  return {R"([mlp]
batch_size = 256
[[grid]]
hidden_layer_sizes = [[300], [100, 50]]
activation = ["tanh", "relu"]
alpha = [0.0001, 1e-2]
)",
          R"([[random]]
n_iter = 5
random_state = 1
early_stopping = [true, false]
learning_rate_init = { log_uniform = [1e-4, 1e-2] }
max_iter = { uniform = [50, 400] }
[[grid]]
solver = ["sgd", "adam"] # both
)"};
}

std::vector<std::string> manifest_seeds() {
  return {"path,label,group,split,sex\na.wav,happy,01,train,f\n\"b, c.wav\",\"sa\"\"d\",02,test,m\r\n",
          "\xEF\xBB\xBFlabel,path\nx,/abs/a.wav\n,b.wav\n"};
}

std::vector<std::string> pattern_seeds() {
  return {"{label}_{group}_{index}\n7_jackson_32.wav",
          "{group}/{label}-{split}.x\ndir/anna/happy-train.x.flac", "prefix{label}\nprefixé.wav"};
}

}  // namespace melgrad::fuzz
