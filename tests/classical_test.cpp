#include "host/models/classical.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "example_dataset.hpp"
#include "host/core/progress.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/cpu/cpu_neighbours.hpp"
#include "host/cpu/distances.hpp"
#include "host/cpu/simd.hpp"
#include "host/data/splits.hpp"
#include "host/evaluation/classical_protocols.hpp"
#include "host/evaluation/metrics.hpp"
#include "host/models/forest.hpp"
#include "support/golden_file.hpp"

using namespace melgrad;

namespace {

doctest::Approx rounded(double value) {
  return doctest::Approx(value).epsilon(1e-9);
}

Matrix<float> matrix_of(const Json& rows) {
  Matrix<float> matrix(static_cast<Index>(rows.size()), static_cast<Index>(rows[0].size()));
  for (Index row = 0; row < matrix.rows; ++row)
    for (Index col = 0; col < matrix.cols; ++col)
      matrix(row, col) = rows[static_cast<std::size_t>(row)][static_cast<std::size_t>(col)].get<float>();
  return matrix;
}

// A case of the golden file, as a task.
struct GoldenTask {
  Matrix<float> train, test;
  std::vector<int> labels;
  std::vector<std::vector<int>> folds{3};
  int n_classes = 0;

  explicit GoldenTask(const Json& stored)
      : train(matrix_of(stored["train"])),
        test(matrix_of(stored["test"])),
        labels(stored["labels"].get<std::vector<int>>()),
        n_classes(1 + std::ranges::max(labels)) {
    for (std::size_t row = 0; row < labels.size(); ++row)
      folds[stored["fold_of_row"][row].get<std::size_t>()].push_back(static_cast<int>(row));
  }
  ClassicalTask task() const { return {train.view(), labels, test.view(), folds, n_classes, 0}; }
};

std::vector<int> predicted_of(const Matrix<float>& probabilities) {
  std::vector<int> predicted;
  for (Index row = 0; row < probabilities.rows; ++row) {
    const auto values = probabilities.row(row);
    predicted.push_back(static_cast<int>(std::ranges::max_element(values) - values.begin()));
  }
  return predicted;
}

void check_probabilities(const Matrix<float>& probabilities) {
  for (Index row = 0; row < probabilities.rows; ++row) {
    double sum = 0;
    for (const float each : probabilities.row(row)) {
      CHECK(each >= 0);
      sum += each;
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-5));
  }
}

double accuracy_of(const std::vector<int>& predicted, const std::vector<int>& truth) {
  return metrics_of(confusion_matrix(truth, predicted, 1 + std::ranges::max(truth))).accuracy;
}

struct MeanAndError {
  double mean, error;
};
MeanAndError mean_of(const std::vector<double>& values) {
  const Spread spread = spread_of(values);
  return {spread.mean, spread.standard_error};
}

}  // namespace

TEST_SUITE("classical") {
  TEST_CASE("distances equal plain sums, on every instruction set and any number of features") {
    PhiloxSequence random(1, RandomStream::search);
    for (const Index n_features : {1, 3, 4, 7, 8, 33, 180}) {
      Matrix<float> a(3, n_features), b(9, n_features);
      for (float& each : a.values) each = random.next_uniform01() - 0.5f;
      for (float& each : b.values) each = random.next_uniform01() - 0.5f;
      for (const std::string& simd : available_simd()) {
        use_simd(simd);
        Matrix<double> squared(3, 9);
        squared_distances(a.view(), b.view(), squared.view());
        for (Index i = 0; i < 3; ++i) {
          for (Index j = 0; j < 9; ++j) {
            double sum = 0;
            for (Index f = 0; f < n_features; ++f)
              sum += std::pow(static_cast<double>(a(i, f)) - static_cast<double>(b(j, f)), 2);
            CHECK(squared(i, j) == rounded(sum));
          }
        }
      }
      use_simd("");
    }
  }

  TEST_CASE("neighbours come nearest first, the earlier of equals, for any number of threads") {
    Matrix<float> train(50, 2);
    for (Index row = 0; row < 50; ++row) train(row, 0) = static_cast<float>(row % 5);
    Matrix<float> queries(40, 2);
    for (Index row = 0; row < 40; ++row) queries(row, 0) = 1;
    const Neighbours one = cpu_nearest_neighbours(train.view(), queries.view(), 12, 1);
    const Neighbours three = cpu_nearest_neighbours(train.view(), queries.view(), 12, 3);
    CHECK(one.rows == three.rows);
    CHECK(one.distances == three.distances);
    const auto first = one.rows.row(39);
    CHECK(std::vector<int>(first.begin(), first.end()) ==
          std::vector<int>{1, 6, 11, 16, 21, 26, 31, 36, 41, 46, 0, 2});
    CHECK(one.distances(39, 9) == 0);
    CHECK(one.distances(39, 10) == 1);
    CHECK(cpu_nearest_neighbours(train.view(), Matrix<float>(0, 2).view(), 3, 2).rows.rows == 0);
  }

  TEST_CASE("support vector machines choose and predict as scikit-learn's") {
    for (const Json& stored : testing::golden_file("classical.json")["cases"]) {
      CAPTURE(stored["name"].get<std::string>());
      const GoldenTask golden(stored);
      const ClassicalOutcome outcome = run_svm(golden.task());
      const Json& expected = stored["svm"];
      CHECK(outcome.parameters["C"] == expected["parameters"]["C"]);
      CHECK(outcome.parameters["gamma"].get<double>() == rounded(expected["parameters"]["gamma"]));
      CHECK(outcome.search_accuracy == rounded(expected["search_accuracy"]));
      CHECK(predicted_of(outcome.probabilities) == expected["predicted"].get<std::vector<int>>());
      check_probabilities(outcome.probabilities);
    }
  }

  TEST_CASE("nearest neighbours choose and predict as scikit-learn's, equal distances too") {
    const auto engine = make_cpu_engine({.n_threads = 1});
    for (const Json& stored : testing::golden_file("classical.json")["cases"]) {
      CAPTURE(stored["name"].get<std::string>());
      const GoldenTask golden(stored);
      const ClassicalOutcome outcome = run_knn(golden.task(), *engine);
      const Json& expected = stored["knn"];
      CHECK(outcome.parameters == expected["parameters"]);
      CHECK(outcome.search_accuracy == rounded(expected["search_accuracy"]));
      CHECK(predicted_of(outcome.probabilities) == expected["predicted"].get<std::vector<int>>());
      for (Index row = 0; row < outcome.probabilities.rows; ++row)
        for (Index label = 0; label < outcome.probabilities.cols; ++label)
          CHECK(outcome.probabilities(row, label) ==
                doctest::Approx(
                    expected["probabilities"][static_cast<std::size_t>(row)][static_cast<std::size_t>(label)]
                        .get<double>())
                    .epsilon(1e-6));
    }
  }

  TEST_CASE("a tree of all rows and features is scikit-learn's") {
    const Json stored = testing::golden_file("classical.json")["forest"];
    const Matrix<float> train = matrix_of(stored["train"]), test = matrix_of(stored["test"]);
    const SortedTrainingSet training_set(train.view(), stored["labels"].get<std::vector<int>>(), 4);
    const Forest tree(training_set, {.n_estimators = 1,
                                     .max_features = train.cols,
                                     .min_samples_split = stored["tree"]["min_samples_split"],
                                     .bootstrap = false});
    CHECK(tree.n_leaves() == stored["tree"]["n_leaves"]);
    const Matrix<float> probabilities = tree.predict_proba(test.view());
    const Matrix<float> expected = matrix_of(stored["tree"]["probabilities"]);
    CHECK(probabilities == expected);
  }

  TEST_CASE("random forests are as good and as sure as scikit-learn's, over ten seeds") {
    const Json stored = testing::golden_file("classical.json")["forest"];
    const Matrix<float> train = matrix_of(stored["train"]), test = matrix_of(stored["test"]);
    const auto truth = stored["test_labels"].get<std::vector<int>>();
    const SortedTrainingSet training_set(train.view(), stored["labels"].get<std::vector<int>>(), 4);
    for (const Json& theirs : stored["over_seeds"]) {
      CAPTURE(theirs["max_features"].get<int>());
      CAPTURE(theirs["min_samples_split"].get<int>());
      std::vector<double> accuracies, probabilities_of_truth;
      for (std::uint64_t seed = 0; seed < 10; ++seed) {
        const Forest forest(training_set, {.n_estimators = 200,
                                           .max_features = theirs["max_features"],
                                           .min_samples_split = theirs["min_samples_split"],
                                           .seed = seed});
        const Matrix<float> probabilities = forest.predict_proba(test.view());
        check_probabilities(probabilities);
        accuracies.push_back(accuracy_of(predicted_of(probabilities), truth));
        double sum = 0;
        for (std::size_t row = 0; row < truth.size(); ++row)
          sum += probabilities(static_cast<Index>(row), truth[row]);
        probabilities_of_truth.push_back(sum / static_cast<double>(truth.size()));
      }
      // Three standard errors of the difference: seeds differ by as much.
      const auto check_alike = [](const std::vector<double>& ours, const Json& others) {
        const MeanAndError our = mean_of(ours), their = mean_of(others.get<std::vector<double>>());
        CAPTURE(our.mean);
        CAPTURE(their.mean);
        CHECK(std::abs(our.mean - their.mean) < 3 * std::hypot(our.error, their.error));
      };
      check_alike(accuracies, theirs["accuracies"]);
      check_alike(probabilities_of_truth, theirs["probabilities_of_truth"]);
    }
  }

  TEST_CASE("random_state alone decides what a random forest draws") {
    const Json stored = testing::golden_file("classical.json")["forest"];
    const Matrix<float> train = matrix_of(stored["train"]), test = matrix_of(stored["test"]);
    const auto labels = stored["labels"].get<std::vector<int>>();
    ClassicalTask task{train.view(), labels, test.view(), {}, 4, 0};
    const Matrix<float> first = run_random_forest(task).probabilities;
    CHECK(run_random_forest(task).probabilities == first);
    task.random_state = 1;
    CHECK(run_random_forest(task).probabilities != first);
  }

  TEST_CASE("a split goes on looking until a feature is not constant") {
    Matrix<float> rows(40, 30);
    std::vector<int> labels;
    for (Index row = 0; row < 40; ++row) {
      labels.push_back(static_cast<int>(row % 2));
      rows(row, 17) = static_cast<float>(row % 2);
      rows(row, 18) = 1e-9f * static_cast<float>(row);  // nearer to one another than scikit-learn looks
    }
    const Forest forest(SortedTrainingSet(rows.view(), labels, 2), {.n_estimators = 10});
    CHECK(predicted_of(forest.predict_proba(rows.view())) == labels);
    CHECK(forest.n_leaves() == 20);
  }

  TEST_CASE("equal rows of several labels share a leaf") {
    const std::vector<int> labels = {0, 1, 1, 1};
    const Matrix<float> rows(4, 3);
    const Forest forest(SortedTrainingSet(rows.view(), labels, 2), {.n_estimators = 1, .bootstrap = false});
    const Matrix<float> probabilities = forest.predict_proba(rows.view());
    CHECK(probabilities(0, 0) == 0.25f);
    CHECK(probabilities(3, 1) == 0.75f);
  }

  TEST_CASE("without folds the first candidate is taken, and missing labels are possible") {
    const Matrix<float> train = [] {
      Matrix<float> rows(6, 2);
      for (Index row = 0; row < 6; ++row) rows(row, 0) = static_cast<float>(row);
      return rows;
    }();
    const std::vector<int> labels = {0, 0, 0, 2, 2, 2};  // label 1 is not there
    const ClassicalTask task{train.view(), labels, train.view(), {}, 3, 0};
    const auto engine = make_cpu_engine({.n_threads = 1});
    const ClassicalOutcome svm = run_svm(task), forest = run_random_forest(task),
                           knn = run_knn(task, *engine);
    CHECK(svm.parameters["C"] == 1);
    CHECK(forest.parameters["max_features"] == "sqrt");
    CHECK(knn.parameters["n_neighbors"] == 1);
    for (const ClassicalOutcome* outcome : {&svm, &forest, &knn}) {
      CHECK(predicted_of(outcome->probabilities) == labels);
      check_probabilities(outcome->probabilities);
      CHECK(outcome->search_accuracy == 0);
    }
    CHECK(forest.probabilities(0, 1) == 0);
  }

  TEST_CASE("every model is tested on the networks' splits, and on the same own recordings") {
    const Dataset dataset = example_dataset(sixty_clips());
    const Dataset own = example_dataset({{"c", "", "", ""}, {"z", "", "", ""}, {"b", "", "", ""}}, "own");
    SpyEngine engine;
    NoProgress progress;
    const EvaluationOptions options{.n_splits = 2, .random_state = 3};
    const Evaluation networks = evaluate_protocols(dataset, &own, {}, engine, options, progress);
    REQUIRE(networks.results.size() == 3);
    const auto evaluate = [&](int n_threads) {
      return evaluate_classical(dataset, &own, &networks.results.back(), {}, options, engine, n_threads,
                                progress);
    };
    const std::vector<ProtocolResult> results = evaluate(1);
    REQUIRE(results.size() == 9);
    std::size_t i = 0;
    for (const char* name : {"svm", "random_forest", "knn"}) {
      for (const ProtocolResult& network : networks.results) {
        const ProtocolResult& result = results[i++];
        CHECK(result.name == name);
        CHECK(result.protocol == network.protocol);
        REQUIRE(result.predictions.size() == network.predictions.size());
        for (std::size_t j = 0; j < result.predictions.size(); ++j) {
          CHECK(result.predictions[j].path == network.predictions[j].path);
          CHECK(result.predictions[j].truth == network.predictions[j].truth);
          CHECK(result.predictions[j].split == network.predictions[j].split);
        }
        CHECK(result.metrics.accuracy > 0.9);  // the labels lie far apart
        CHECK(result.refused == network.refused);
        CHECK_FALSE(result.splits[0].parameters.empty());
        CHECK_FALSE(result.grid.empty());
      }
    }
    // The same for any number of threads, up to the times.
    const std::vector<ProtocolResult> threaded = evaluate(3);
    for (i = 0; i < results.size(); ++i) CHECK(threaded[i].predictions == results[i].predictions);
    const auto only_knn =
        evaluate_classical(dataset, nullptr, nullptr, {.models = {ModelKind::mlp, ModelKind::knn}}, options,
                           engine, 1, progress);
    REQUIRE(only_knn.size() == 2);
    CHECK(only_knn[0].predictions == results[6].predictions);
  }

  TEST_CASE("what would take too much of many labels is named and left out") {
    std::vector<ExampleClip> clips;
    for (int i = 0; i < 4004; ++i) clips.push_back({fmt::format("{:04}", i / 4), "", "", ""});
    const Dataset dataset = example_dataset(clips);
    const auto engine = make_cpu_engine({.n_threads = 1});
    NoProgress progress;
    const std::vector<ProtocolResult> results =
        evaluate_classical(dataset, nullptr, nullptr, {}, {.n_splits = 1}, *engine, 1, progress);
    REQUIRE(results.size() == 6);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(results[i].why_not == "it is not tried on more than 1000 labels, and here are 1001");
      CHECK(results[i].predictions.empty());
    }
    CHECK(results[4].name == "knn");
    CHECK(results[4].why_not.empty());
    CHECK_FALSE(results[4].predictions.empty());
  }
}
