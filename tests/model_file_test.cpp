#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "host/cache/hdf5.hpp"
#include "host/core/error.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/evaluation/predict.hpp"
#include "host/models/model_file.hpp"
#include "host/models/trainer.hpp"
#include "support/audio_files.hpp"
#include "support/mlp_problem.hpp"

using namespace melgrad;
using namespace melgrad::testing;
using test::read_bytes;
using test::TemporaryFolder;
using test::write_bytes;

namespace {

const MlpSpec plain_spec{.hidden_layer_sizes = {6, 5},
                         .activation = Activation::tanh,
                         .alpha = 0.1,
                         .max_iter = 3,
                         .random_state = 5};

// No field has its default.
MlpSpec spec_with_every_option() {
  return {.hidden_layer_sizes = {6, 5},
          .activation = Activation::gelu,
          .solver = Solver::adamw,
          .alpha = 0.1,
          .batch_size = 12,
          .learning_rate = LearningRate::cosine,
          .learning_rate_init = 0.01,
          .power_t = 0.4,
          .max_iter = 30,
          .shuffle = false,
          .random_state = 5,
          .tol = 1e-3,
          .momentum = 0.8,
          .nesterovs_momentum = false,
          .early_stopping = true,
          .validation_fraction = 0.25,
          .beta_1 = 0.8,
          .beta_2 = 0.99,
          .epsilon = 1e-6,
          .n_iter_no_change = 20,
          .dropout = 0.2,
          .input_dropout = 0.1,
          .clip = 5,
          .batch_norm = true,
          .label_smoothing = 0.1,
          .mixup = 0.3,
          .class_weight = ClassWeight::balanced};
}

Classifier make_classifier(int n_classes = 4, const MlpSpec& spec = plain_spec) {
  MlpProblem problem(40, 9, n_classes);
  if (spec.early_stopping) {
    problem.validation_rows.assign(problem.rows.end() - 10, problem.rows.end());
    problem.rows.resize(30);
  }
  const auto engine = make_cpu_engine({.n_threads = 1});
  const MlpJob job = problem.job(spec);
  NoProgress quiet;
  Classifier classifier;
  classifier.spec = spec;
  classifier.parameters = Trainer(*engine).fit(problem.training_set(), {&job, 1}, quiet).front().parameters;
  classifier.scaling = problem.scaling;
  classifier.features = feature_spec("notebook");
  for (int i = 0; i < n_classes; ++i) classifier.labels.push_back(fmt::format("étiquette {}", i));
  classifier.provenance = {{"n_clips", 40}, {"date", "2025-01-31"}, {"seeds", {1, 2}}};
  return classifier;
}

Matrix<float> predict(const Classifier& classifier, const MlpProblem& problem) {
  const auto engine = make_cpu_engine({.n_threads = 1});
  const MlpJob job{
      .spec = classifier.spec, .rows = problem.rows, .validation_rows = {}, .scaling = &classifier.scaling};
  const auto stack = engine->mlp_stack(problem.training_set(), {&job, 1});
  stack->set_parameters(0, classifier.parameters);
  Matrix<float> probabilities(problem.features.rows, problem.n_classes);
  stack->predict_proba(0, problem.view(), probabilities.view());
  return probabilities;
}

bool contains(const std::string& text, const char* part) {
  INFO(text);
  return text.find(part) != text.npos;
}

// The message of load_classifier's error, or "" where there is none.
std::string load_error(const std::filesystem::path& file) {
  try {
    load_classifier(file);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

TEST_SUITE("model_file") {
  TEST_CASE("a classifier comes back from its file as it was, and predicts the same bits") {
    const TemporaryFolder folder;
    for (int n_classes : {2, 4}) {
      const Classifier classifier = make_classifier(n_classes);
      save_classifier(classifier, folder / "model.h5");
      const Classifier loaded = load_classifier(folder / "model.h5");
      CHECK(loaded == classifier);
      const MlpProblem problem(33, 9, n_classes, 8);
      CHECK(predict(loaded, problem) == predict(classifier, problem));
    }
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  }

  TEST_CASE("a classifier trained with every option on comes back as it was, and predicts the same bits") {
    const TemporaryFolder folder;
    for (int n_classes : {2, 4}) {
      const Classifier classifier = make_classifier(n_classes, spec_with_every_option());
      CHECK(classifier.parameters.batch_norms.size() == 2);
      save_classifier(classifier, folder / "model.h5");
      const Classifier loaded = load_classifier(folder / "model.h5");
      CHECK(loaded == classifier);
      const MlpProblem problem(33, 9, n_classes, 8);
      const Matrix<float> probabilities = predict(loaded, problem);
      CHECK(probabilities == predict(classifier, problem));
      CHECK(std::ranges::all_of(probabilities.values, [](float p) { return p > 0 && p < 1; }));
    }
  }

  TEST_CASE("an ensemble comes back whole, and answers with the mean of its members") {
    const TemporaryFolder folder;
    MlpSpec spec = spec_with_every_option();
    Classifier classifier = make_classifier(3, spec);
    classifier.is_speaker_normalised = true;
    for (const int random_state : {6, 7}) {
      spec.random_state = random_state;
      classifier.further_members.push_back(make_classifier(3, spec).parameters);
    }
    save_classifier(classifier, folder / "model.h5");
    const Classifier loaded = load_classifier(folder / "model.h5");
    CHECK(loaded == classifier);

    const MlpProblem problem(33, 9, 3, 8);
    const auto engine = make_cpu_engine({.n_threads = 1});
    const Matrix<float> probabilities = predict_proba(*engine, loaded, problem.view());
    Matrix<float> mean = predict(classifier, problem);
    for (const MlpParameters& member : classifier.further_members) {
      Classifier alone = classifier;
      alone.parameters = member;
      const Matrix<float> of_member = predict(alone, problem);
      CHECK_FALSE(of_member == predict(classifier, problem));
      for (std::size_t i = 0; i < mean.values.size(); ++i) mean.values[i] += of_member.values[i];
    }
    for (std::size_t i = 0; i < mean.values.size(); ++i)
      CHECK(probabilities.values[i] == doctest::Approx(mean.values[i] / 3).epsilon(1e-6));

    classifier.further_members[1].weights[0].values[7] = NAN;
    CHECK_THROWS_WITH_AS(save_classifier(classifier, folder / "model.h5"),
                         doctest::Contains("members/2/weights/0[7] is nan"), Error);
  }

  TEST_CASE("every field of a specification has another value than its default in the test before") {
    const Json defaults = to_json_fields(MlpSpec{});
    const Json given = to_json_fields(spec_with_every_option());
    for (const auto& field : defaults.items())
      if (field.key() != "precision") CHECK_MESSAGE(given[field.key()] != field.value(), field.key());
  }

  TEST_CASE("equal classifiers give equal bytes") {
    const TemporaryFolder folder;
    save_classifier(make_classifier(), folder / "a.h5");
    save_classifier(make_classifier(), folder / "b.h5");
    CHECK(read_bytes(folder / "a.h5") == read_bytes(folder / "b.h5"));
  }

  TEST_CASE("a file cut short or with any byte changed never gives another classifier") {
    const TemporaryFolder folder;
    const Classifier classifier = make_classifier();
    save_classifier(classifier, folder / "model.h5");
    const std::string whole = read_bytes(folder / "model.h5");
    for (std::size_t length :
         {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
      write_bytes(folder / "cut.h5", whole.substr(0, length));
      CAPTURE(length);
      CHECK(load_error(folder / "cut.h5").starts_with((folder / "cut.h5").string()));
    }
    int n_refused = 0;
    for (std::size_t at = 0; at < whole.size(); at += 13) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x10);
      write_bytes(folder / "changed.h5", changed);
      const std::string error = load_error(folder / "changed.h5");
      n_refused += !error.empty();
      CAPTURE(at);
      // Bytes that are not part of the content (padding, free space) do not matter.
      if (error.empty()) CHECK(load_classifier(folder / "changed.h5") == classifier);
    }
    CHECK(n_refused > 0);
  }

  TEST_CASE("what is not a model of this version is refused by name") {
    const TemporaryFolder folder;
    const auto write = [&](const char* name, auto&& fill) {
      hdf5::Writer writer;
      fill(writer);
      const std::vector<std::byte> bytes = writer.finish();
      write_bytes(folder / name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      return load_error(folder / name);
    };
    CHECK(write("other.h5", [](hdf5::Writer&) {}) ==
          (folder / "other.h5").string() +
              ": not a melgrad model: it has no attribute format = 'melgrad model'");
    CHECK(
        write("newer.h5", [](hdf5::Writer& writer) {
          writer.attribute("format", "melgrad model");
          writer.attribute("format_version", std::int64_t{model_format_version + 1});
        }) == (folder / "newer.h5").string() + ": a model of format version 5; this program reads version 4");
    write_bytes(folder / "text.h5", "hello");
    CHECK(load_error(folder / "text.h5").starts_with((folder / "text.h5").string()));
    CHECK(load_error(folder / "absent.h5").starts_with((folder / "absent.h5").string()));
  }

  TEST_CASE("parts that do not fit together are not saved, and the old file stays") {
    const TemporaryFolder folder;
    const Classifier good = make_classifier();
    save_classifier(good, folder / "model.h5");
    const auto refusal = [&](auto&& spoil) {
      Classifier bad = good;
      spoil(bad);
      try {
        save_classifier(bad, folder / "model.h5");
      } catch (const Error& error) {
        return std::string(error.what());
      }
      return std::string();
    };
    CHECK(contains(refusal([](Classifier& c) { c.labels.pop_back(); }),
                   "layer 2: weights [5, 4] and 4 biases, where [5, 3] is expected"));
    CHECK(contains(refusal([](Classifier& c) { c.labels.resize(1); }),
                   "1 labels: a classifier has two at least"));
    CHECK(contains(refusal([](Classifier& c) { c.scaling.mean.pop_back(); }),
                   "the scaler has 8 means and 9 scales"));
    CHECK(contains(refusal([](Classifier& c) { c.scaling.scale[3] = 0; }), "scaler/scale[3] is 0"));
    CHECK(contains(refusal([](Classifier& c) { c.spec.hidden_layer_sizes = {6}; }),
                   "3 weight matrices and 3 bias vectors for 1 hidden layers"));
    CHECK(contains(refusal([](Classifier& c) { c.parameters.weights[1].values[7] = NAN; }),
                   "weights/1[7] is nan"));
    CHECK(contains(refusal([](Classifier& c) { c.spec.batch_norm = true; }),
                   "0 batch normalisations for 2 hidden layers with batch_norm"));
    CHECK(load_classifier(folder / "model.h5") == good);
    CHECK(contains(refusal([](Classifier& c) {
                     c = make_classifier(4, spec_with_every_option());
                     c.parameters.batch_norms[1].running_var[2] = -1;
                   }),
                   "batch_norms/1/running_var[2] is -1"));
  }

  TEST_CASE("a file that cannot be written says so and leaves nothing behind") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "absent" / "model.h5";
    CHECK_THROWS_WITH_AS(save_classifier(make_classifier(), file), doctest::Contains(file.string().c_str()),
                         Error);
    CHECK(std::filesystem::is_empty(folder.path()));
  }
}
