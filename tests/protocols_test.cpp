#include "host/evaluation/protocols.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "example_dataset.hpp"
#include "host/core/error.hpp"
#include "host/core/progress.hpp"
#include "host/data/altered_copies.hpp"
#include "host/data/speaker_normalisation.hpp"
#include "host/data/splits.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/evaluation/predict.hpp"

using namespace melgrad;

namespace {

doctest::Approx rounded(double value) {
  return doctest::Approx(value).epsilon(1e-12);
}

Evaluation evaluate(const Dataset& dataset, const Dataset* own, SpyEngine& engine,
                    const EvaluationOptions& options = {}, const MlpSpec& spec = {}) {
  NoProgress progress;
  return evaluate_protocols(dataset, own, spec, engine, options, progress);
}

}  // namespace

TEST_SUITE("protocols") {
  TEST_CASE("every split of every protocol is trained on its own rows, and the last model on all") {
    const Dataset dataset = example_dataset(sixty_clips());
    SpyEngine engine;
    MlpSpec spec;
    spec.random_state = 40;
    const Evaluation evaluation =
        evaluate(dataset, nullptr, engine, {.n_splits = 3, .random_state = 9}, spec);

    std::vector<Split> splits = random_splits(dataset, 3, 0.2, 9).splits;
    const auto folds = speaker_folds(dataset, 0, 9).splits;
    REQUIRE(folds.size() == 5);
    splits.insert(splits.end(), folds.begin(), folds.end());
    std::vector<std::int64_t> seeds = {40, 41, 42, 40, 41, 42, 43, 44, 40};
    // The stacks that are made first train; those that predict follow.
    REQUIRE(engine.seen.size() >= 9);
    for (std::size_t job = 0; job < 9; ++job) {
      CHECK(engine.seen[job].random_state == seeds[job]);
      if (job == 8) break;
      CHECK(engine.seen[job].rows == splits[job].train);
      CHECK(engine.seen[job].scaling == fit_standard_scaler(dataset.features.view(), splits[job].train));
    }
    CHECK(engine.seen[8].rows.size() == 60);

    REQUIRE(evaluation.results.size() == 2);
    CHECK(evaluation.results[0].protocol == Protocol::random);
    CHECK(evaluation.results[1].protocol == Protocol::speaker);
    CHECK(evaluation.results[0].splits.size() == 3);
    CHECK(evaluation.results[0].predictions.size() == 36);
    CHECK(evaluation.results[1].predictions.size() == 60);
    for (const ProtocolResult& result : evaluation.results) {
      CHECK(result.metrics.accuracy == 1);  // the labels lie far apart
      for (const Prediction& each : result.predictions) {
        CHECK(each.probability > 0.5);
        CHECK(each.probability == each.probability_of_truth);
      }
    }
    CHECK(evaluation.classifier.labels == std::vector<std::string>{"a", "b", "c"});
    CHECK(evaluation.classifier.features == dataset.spec);
    CHECK(evaluation.classifier.provenance["n_clips"] == 60);
    CHECK(evaluation.classifier.provenance["device"] == "spy");
  }

  TEST_CASE("each prediction belongs to its clip") {
    // One clip lies where another label's clips lie, and must be the one that is mistaken.
    Dataset dataset = example_dataset(sixty_clips());
    std::ranges::copy(dataset.features.row(1), dataset.features.row(30).begin());
    SpyEngine engine;
    const Evaluation evaluation = evaluate(dataset, nullptr, engine, {.n_splits = 0});
    REQUIRE(evaluation.results.size() == 1);
    int n_wrong = 0;
    for (const Prediction& each : evaluation.results[0].predictions) {
      if (each.truth == each.predicted) continue;
      ++n_wrong;
      CHECK(each.path == "clip30.wav");
      CHECK(each.truth == 0);
      CHECK(each.predicted == 1);
      CHECK(each.probability_of_truth < each.probability);
      CHECK(evaluation.results[0].splits[static_cast<std::size_t>(each.split)].name.find(
                dataset.clips[30].group) != std::string::npos);
    }
    CHECK(n_wrong == 1);
    CHECK(evaluation.results[0].confusion(0, 1) == 1);
    CHECK(evaluation.results[0].metrics.accuracy == rounded(59.0 / 60));
  }

  TEST_CASE("the same seed gives the same numbers, another seed other splits") {
    const Dataset dataset = example_dataset(sixty_clips());
    SpyEngine engine;
    const auto predictions = [&](std::int64_t seed) {
      return evaluate(dataset, nullptr, engine, {.random_state = seed}).results[0].predictions;
    };
    CHECK(predictions(1) == predictions(1));
    CHECK(predictions(1) != predictions(2));
  }

  TEST_CASE("own recordings are tested by the names of their labels") {
    const Dataset dataset = example_dataset(sixty_clips());
    const Dataset own = example_dataset(
        {{"c", "", "", ""}, {"b", "", "", ""}, {"z", "", "", ""}, {"b", "", "clip 1", ""}, {"c", "", "", ""}},
        "own");
    SpyEngine engine;
    const ProtocolResult result = evaluate(dataset, &own, engine).results.back();
    CHECK(result.protocol == Protocol::own);
    CHECK(result.labels == std::vector<std::string>{"a", "b", "c"});
    REQUIRE(result.predictions.size() == 3);
    CHECK(result.predictions[0].path == "own0.wav");
    CHECK(result.predictions[0].truth == 2);
    CHECK(result.predictions[1].truth == 1);
    CHECK(result.metrics.accuracy == 1);
    CHECK(result.refused == std::vector<Refusal>{{"own2.wav", "the model does not know the label 'z'"}});
    CHECK(result.left_out == std::vector<Refusal>{{"own3.wav", "the model was trained on the same audio"}});
    CHECK(result.notes == std::vector<std::string>{"1 clip refused: the model does not know z",
                                                   "1 clip left out: the model was trained on the same audio",
                                                   "no recordings of: a"});
    CHECK(result.splits[0].n_train == 60);
    CHECK(result.splits[0].n_left_out == 1);
    CHECK(result.splits[0].training.n_iter == 1);
  }

  TEST_CASE("own recordings that cannot be tested say why") {
    const Dataset dataset = example_dataset(sixty_clips());
    SpyEngine engine;
    const Dataset unknown = example_dataset({{"y", "", "", ""}, {"z", "", "", ""}}, "own");
    CHECK(evaluate(dataset, &unknown, engine).results.back().why_not ==
          "no recording has a label that the model knows");
    const Dataset trained = example_dataset({{"a", "", "clip 0", ""}}, "own", 1);
    CHECK(evaluate(dataset, &trained, engine).results.back().why_not ==
          "the model was trained on every recording whose label it knows");
    Dataset other = example_dataset({{"a", "", "", ""}}, "own", 1);
    other.spec.stft.hop_length = 256;
    CHECK_THROWS_AS(evaluate(dataset, &other, engine), Error);
  }

  TEST_CASE("a protocol that the data does not allow is there, with the reason") {
    std::vector<ExampleClip> clips = sixty_clips();
    for (ExampleClip& clip : clips) clip.group.clear();
    SpyEngine engine;
    const auto results = evaluate(example_dataset(clips), nullptr, engine).results;
    REQUIRE(results.size() == 2);
    CHECK(results[1].why_not == "the data names no speakers");
    CHECK(results[1].predictions.empty());
    CHECK_FALSE(protocol_gap(results, "mlp"));
  }

  TEST_CASE("the manifest's split is a protocol where it gives one") {
    std::vector<ExampleClip> clips = sixty_clips();
    for (std::size_t i = 0; i < clips.size(); ++i) clips[i].split = i < 40 ? "train" : "test";
    SpyEngine engine;
    const auto results = evaluate(example_dataset(clips), nullptr, engine).results;
    REQUIRE(results.size() == 3);
    CHECK(results[2].protocol == Protocol::given);
    CHECK(results[2].splits[0].n_train == 40);
    CHECK(results[2].metrics.n_test == 20);
  }

  TEST_CASE("a model whose loss is not finite leaves the results, by name") {
    const Dataset dataset = example_dataset(sixty_clips());
    SpyEngine engine;
    engine.diverging = {4};  // the last of five
    const auto results = evaluate(dataset, nullptr, engine).results;
    CHECK(results[0].splits.size() == 4);
    CHECK(results[0].predictions.size() == 48);
    REQUIRE(results[0].notes.size() == 1);
    CHECK(
        results[0].notes[0] ==
        "left out: the training of 'random 5' stopped after 1 epochs, because its loss was no longer finite");
    engine.diverging = {0};
    CHECK_THROWS_WITH_AS(evaluate(dataset, nullptr, engine),
                         "training on the whole data set: the loss is no longer finite after 1 epochs "
                         "(learning_rate_init 0.001 may be too large)",
                         Error);
  }

  TEST_CASE("early stopping holds out rows of the training rows") {
    const Dataset dataset = example_dataset(sixty_clips());
    SpyEngine engine;
    MlpSpec spec;
    spec.early_stopping = true;
    spec.validation_fraction = 0.25;
    evaluate(dataset, nullptr, engine, {.n_splits = 1}, spec);
    const Split split = random_splits(dataset, 1, 0.2, 0).splits[0];
    std::vector<int> both = engine.seen[0].rows;
    CHECK(engine.seen[0].validation_rows.size() == 12);
    both.insert(both.end(), engine.seen[0].validation_rows.begin(), engine.seen[0].validation_rows.end());
    std::ranges::sort(both);
    CHECK(both == split.train);
    CHECK(engine.seen[0].scaling == fit_standard_scaler(dataset.features.view(), split.train));
    const Dataset two = example_dataset({{"a", "", "", ""}, {"b", "", "", ""}});
    CHECK_THROWS_WITH_AS(
        evaluate(two, nullptr, engine, {}, spec),
        "early_stopping: 2 clips of the whole data set has no label with two recordings, one of which "
        "could be held out",
        Error);
  }

  TEST_CASE("a classifier alone is the evaluation's") {
    const Dataset dataset = example_dataset(sixty_clips());
    SpyEngine engine;
    NoProgress progress;
    CHECK(train_classifier(dataset, {}, engine, progress).classifier.parameters ==
          evaluate(dataset, nullptr, engine).classifier.parameters);
  }

  TEST_CASE(
      "an ensemble is trained from seeds of its own, comes before its first network, and is the classifier") {
    const Dataset dataset = example_dataset(sixty_clips());
    const Dataset own = example_dataset({{"a", "", "", ""}, {"c", "", "", ""}}, "own");
    const auto engine = make_engine("cpu", {.n_threads = 2}).engine;
    NoProgress progress;
    MlpSpec spec;
    spec.hidden_layer_sizes = {3};
    spec.max_iter = 4;
    spec.random_state = 7;
    const EvaluationOptions options{.n_splits = 2, .ensemble = 3};
    const Evaluation evaluation = evaluate_protocols(dataset, &own, spec, *engine, options, progress);
    std::vector<std::string> names;
    for (const ProtocolResult& result : evaluation.results) names.push_back(result.name);
    CHECK(names ==
          std::vector<std::string>{"mlp_ensemble", "mlp_ensemble", "mlp_ensemble", "mlp", "mlp", "mlp"});
    const Evaluation single = evaluate_protocols(dataset, &own, spec, *engine, {.n_splits = 2}, progress);
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(single.results[i].predictions == evaluation.results[3 + i].predictions);

    CHECK(evaluation.classifier.parameters == single.classifier.parameters);
    REQUIRE(evaluation.classifier.further_members.size() == 2);
    CHECK(evaluation.classifier.provenance["n_members"] == 3);
    for (std::int64_t member : {1, 2}) {
      MlpSpec seeded = spec;
      seeded.random_state += member * seeds_between_members;
      CHECK(train_classifier(dataset, seeded, *engine, progress).classifier.parameters ==
            evaluation.classifier.further_members[static_cast<std::size_t>(member) - 1]);
    }
    const Matrix<float> probabilities = predict_proba(*engine, evaluation.classifier, own.features.view());
    const ProtocolResult& own_result = evaluation.results[2];
    for (Index row = 0; row < 2; ++row)
      CHECK(own_result.predictions[static_cast<std::size_t>(row)].probability_of_truth ==
            rounded(static_cast<double>(probabilities(row, row == 0 ? 0 : 2))));
  }

  TEST_CASE("with test-time copies a probability is the mean over the clip, twice, and its copies") {
    Dataset dataset = example_dataset(sixty_clips());
    std::vector<FeatureTable> copies;
    for (const float shift : {1.0f, -2.0f}) {
      FeatureTable copy;
      copy.columns = {"x", "y"};
      copy.features = dataset.features;
      for (float& value : copy.features.values) value += shift;
      copy.clips = dataset.clips;
      copy.status.assign(60, "ok");
      for (const int audio : dataset.audio)
        copy.audio_hash.push_back(dataset.audio_hash[static_cast<std::size_t>(audio)]);
      copies.push_back(std::move(copy));
    }
    add_altered_copies(dataset, copies);
    SpyEngine engine;
    const Evaluation plain = evaluate(dataset, nullptr, engine, {.n_splits = 1});
    const Evaluation averaged = evaluate(dataset, nullptr, engine, {.n_splits = 1, .tta = true});
    CHECK(averaged.classifier.parameters == plain.classifier.parameters);
    CHECK(plain.results[0].notes.empty());
    CHECK(
        averaged.results[0].notes ==
        std::vector<std::string>{"test-time copies: probabilities are averaged over each clip (twice) and 2 "
                                 "altered copies"});
    // The classifier of the whole data set, asked about versions of its own first clip.
    const Dataset own = [&] {
      Dataset other = dataset;
      for (std::string& hash : other.audio_hash) hash = "own " + hash;
      return other;
    }();
    const auto asked = test_classifier(averaged.classifier, own, engine, true).predictions;
    for (Index row : {0, 17, 59}) {
      Matrix<float> versions(3, 2);
      for (Index version = 0; version < 3; ++version)
        std::ranges::copy(dataset.versions.row(row + version * 60), versions.row(version).begin());
      const Matrix<float> p = predict_proba(engine, averaged.classifier, versions.view());
      const int truth = dataset.labels[static_cast<std::size_t>(row)];
      const double expected = (2 * static_cast<double>(p(0, truth)) + static_cast<double>(p(1, truth)) +
                               static_cast<double>(p(2, truth))) /
                              4;
      CHECK(asked[static_cast<std::size_t>(row)].probability_of_truth ==
            doctest::Approx(expected).epsilon(1e-6));
    }
  }

  TEST_CASE("results of speaker-normalised features say so, and models of other features are refused") {
    Dataset dataset = example_dataset(sixty_clips());
    const Dataset own = example_dataset({{"a", "", "", ""}, {"c", "", "", ""}}, "own");
    normalise_speakers(dataset);
    Dataset normalised_own = own;
    normalise_speakers(normalised_own);
    SpyEngine engine;
    const Evaluation evaluation = evaluate(dataset, &normalised_own, engine);
    CHECK(evaluation.classifier.is_speaker_normalised);
    for (const ProtocolResult& result : evaluation.results)
      CHECK(result.notes.front() == speaker_normalisation_note);
    CHECK_THROWS_WITH_AS(test_classifier(evaluation.classifier, own, engine),
                         "the model is of speaker-normalised features, the recordings' are not", Error);
  }

  TEST_CASE("the CPU engine learns two labels and three, and its model file predicts the same") {
    for (const int n_labels : {2, 3}) {
      std::vector<ExampleClip> clips = sixty_clips();
      if (n_labels == 2)
        for (ExampleClip& clip : clips)
          if (clip.label == "c") clip.label = "a";
      const Dataset dataset = example_dataset(clips);
      const auto engine = make_engine("cpu", {.n_threads = 2}).engine;
      NoProgress progress;
      MlpSpec spec;
      spec.hidden_layer_sizes = {16};
      spec.learning_rate_init = 0.02;
      const Evaluation evaluation =
          evaluate_protocols(dataset, nullptr, spec, *engine, {.n_splits = 2}, progress);
      REQUIRE(evaluation.results.size() == 2);
      for (const ProtocolResult& result : evaluation.results) {
        CHECK(result.metrics.accuracy > 0.9);
        for (const Prediction& each : result.predictions) CHECK(each.probability >= 1.0 / n_labels);
        for (const SplitResult& split : result.splits) CHECK(split.training.loss_curve.size() > 1);
      }
      const Matrix<float> probabilities =
          predict_proba(*engine, evaluation.classifier, dataset.features.view());
      REQUIRE(probabilities.cols == n_labels);
      for (Index row = 0; row < probabilities.rows; ++row) {
        float sum = 0;
        for (const float probability : probabilities.row(row)) sum += probability;
        CHECK(sum == doctest::Approx(1));
      }
      CHECK(predict_proba(*engine, evaluation.classifier, Matrix<float>(0, 2).view()).rows == 0);
    }
  }

  TEST_CASE("the audio hashes of a large data set fit into the model file") {
    std::vector<ExampleClip> clips;
    for (int i = 0; i < 20000; ++i) clips.push_back({i % 2 ? "a" : "b", "", fmt::format("{:032x}", i), ""});
    SpyEngine engine;
    NoProgress progress;
    const Classifier classifier = train_classifier(example_dataset(clips), {}, engine, progress).classifier;
    CHECK(classifier.provenance["audio_hash"].size() == 20000);
    std::string folder = (std::filesystem::temp_directory_path() / "melgrad_model_XXXXXX").string();
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    const auto file = std::filesystem::path(folder) / "model.h5";
    Classifier plausible = classifier;  // the spy's parameters are of no MLP
    plausible.spec.hidden_layer_sizes = {1};
    plausible.parameters = {{Matrix<float>(2, 1), Matrix<float>(1, 1)}, {{0}, {0}}, {}};
    plausible.features = feature_spec("notebook");
    plausible.scaling = {std::vector<float>(180, 0.0f), std::vector<float>(180, 1.0f)};
    plausible.parameters.weights[0] = Matrix<float>(180, 1);
    save_classifier(plausible, file);
    CHECK(load_classifier(file).provenance == classifier.provenance);
    std::filesystem::remove_all(folder);
  }
}
