#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "example_dataset.hpp"
#include "example_results.hpp"
#include "host/data/splits.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/evaluation/prediction_metrics.hpp"
#include "support/golden_file.hpp"

using namespace melgrad;

namespace {

// doctest::Approx is relative to the larger of 1 and the value, unless the scale is 0.
doctest::Approx rounded(double value) {
  return doctest::Approx(value).epsilon(1e-12);
}

}  // namespace

TEST_SUITE("evaluation") {
  TEST_CASE("ten thousand labels have metrics, and no confusion matrix") {
    std::vector<std::string> labels;
    for (int label = 0; label < 10'000; ++label) labels.push_back(fmt::format("{:04}", label));
    ProtocolResult result = example_protocol(Protocol::random, labels, 2, 20'000, 0.5);
    CHECK(result.confusion.rows == 0);
    CHECK(result.metrics.n_test == 40'000);
    CHECK(result.metrics.per_class.size() == labels.size());
    CHECK(result.metrics.accuracy == doctest::Approx(0.5).epsilon(0.02));
    Results results;
    results.features.spec = feature_spec("notebook");
    results.models.push_back(result);
    const Json json = to_json(results);
    CHECK(json["models"][0]["confusion_matrix"].is_null());
    CHECK(results_from_json(json).models.at(0).metrics == result.metrics);
  }

  TEST_CASE("metrics equal scikit-learn's, for classes that are missing, too") {
    const Json stored = testing::golden_file("evaluation_metrics.json");
    for (const Json& each : stored["cases"]) {
      CAPTURE(each["name"].get<std::string>());
      const auto truth = each["truth"].get<std::vector<int>>(),
                 predicted = each["predicted"].get<std::vector<int>>();
      const auto n_classes = each["n_classes"].get<int>();
      const Matrix<Index> confusion = confusion_matrix(truth, predicted, n_classes);
      const Matrix<double> shares = normalise_rows(confusion);
      const Metrics metrics = metrics_of(confusion);
      CHECK(metrics_of(truth, predicted, n_classes) == metrics);
      // Rows that count 0 to 2 times are as many rows.
      std::vector<int> times, often_truth, often_predicted;
      for (std::size_t i = 0; i < truth.size(); ++i) {
        times.push_back(static_cast<int>(i % 3));
        often_truth.insert(often_truth.end(), i % 3, truth[i]);
        often_predicted.insert(often_predicted.end(), i % 3, predicted[i]);
      }
      CHECK(metrics_of(truth, predicted, n_classes, times) ==
            metrics_of(confusion_matrix(often_truth, often_predicted, n_classes)));
      CHECK(metrics.n_test == static_cast<Index>(truth.size()));
      CHECK(metrics.accuracy == rounded(each["accuracy"]));
      CHECK(metrics.balanced_accuracy == rounded(each["balanced_accuracy"]));
      CHECK(metrics.macro_precision == rounded(each["macro_precision"]));
      CHECK(metrics.macro_recall == rounded(each["macro_recall"]));
      CHECK(metrics.macro_f1 == rounded(each["macro_f1"]));
      REQUIRE(metrics.per_class.size() == each["precision"].size());
      for (std::size_t label = 0; label < metrics.per_class.size(); ++label) {
        CHECK(metrics.per_class[label].precision == rounded(each["precision"][label]));
        CHECK(metrics.per_class[label].recall == rounded(each["recall"][label]));
        CHECK(metrics.per_class[label].f1 == rounded(each["f1"][label]));
        CHECK(metrics.per_class[label].support == each["support"][label].get<Index>());
        for (std::size_t other = 0; other < metrics.per_class.size(); ++other) {
          const auto row = static_cast<Index>(label), col = static_cast<Index>(other);
          CHECK(confusion(row, col) == each["confusion_matrix"][label][other].get<Index>());
          CHECK(shares(row, col) == rounded(each["normalised"][label][other]));
        }
      }
    }
  }

  TEST_CASE("metrics of no clips are zero") {
    const Metrics metrics = metrics_of(Matrix<Index>(3, 3));
    CHECK(metrics.accuracy == 0);
    CHECK(metrics.macro_f1 == 0);
    CHECK(metrics_of(Matrix<Index>()).per_class.empty());
  }

  TEST_CASE("the spread over splits has the sample's deviation") {
    const Spread spread = spread_of(std::vector<double>{0.5, 0.6, 0.7, 0.9});
    CHECK(spread.mean == rounded(0.675));
    CHECK(spread.std == rounded(0.17078251276599330));  // numpy.std(ddof=1)
    CHECK(spread.standard_error == rounded(0.08539125638299665));
    CHECK(spread_of(std::vector<double>{0.5}) == Spread{0.5, 0, 0});
  }

  TEST_CASE("the scaler equals scikit-learn's") {
    const Json stored = testing::golden_file("evaluation_scaler.json");
    for (const Json& each : stored["cases"]) {
      CAPTURE(each["name"].get<std::string>());
      const Json& rows = each["features"];
      Matrix<float> features(static_cast<Index>(rows.size()), static_cast<Index>(rows[0].size()));
      std::vector<int> all;
      for (Index row = 0; row < features.rows; ++row) {
        all.push_back(static_cast<int>(row));
        for (Index f = 0; f < features.cols; ++f)
          features(row, f) = rows[static_cast<std::size_t>(row)][static_cast<std::size_t>(f)].get<float>();
      }
      const FeatureScaling scaling = fit_standard_scaler(features.view(), all);
      for (std::size_t f = 0; f < scaling.mean.size(); ++f) {
        // The results are rounded to float once: half an ulp.
        const double mean = each["mean"][f], scale = each["scale"][f];
        CHECK(std::abs(scaling.mean[f] - mean) <= 6e-8 * std::abs(mean));
        CHECK(std::abs(scaling.scale[f] - scale) <= 6e-8 * scale);
      }
    }
  }

  TEST_CASE("splits test as many clips of each label as scikit-learn's") {
    const auto dataset_of_counts = [](const Json& class_counts) {
      std::vector<ExampleClip> clips;
      for (std::size_t label = 0; label < class_counts.size(); ++label)
        for (int i = 0; i < class_counts[label].get<int>(); ++i)
          clips.push_back({std::string(1, static_cast<char>('a' + label)), "", "", ""});
      return example_dataset(clips);
    };
    const auto tested_counts = [](const Dataset& dataset, const Split& split) {
      std::vector<int> counts(dataset.label_names.size());
      for (const int row : split.test)
        ++counts[static_cast<std::size_t>(dataset.labels[static_cast<std::size_t>(row)])];
      return counts;
    };
    const Json stored = testing::golden_file("evaluation_splits.json");
    for (const Json& each : stored["shuffle"]) {
      const Dataset dataset = dataset_of_counts(each["class_counts"]);
      for (std::int64_t seed = 0; seed < 5; ++seed)
        CHECK(tested_counts(dataset, random_splits(dataset, 1, each["test_fraction"], seed).splits[0]) ==
              each["test_counts"].get<std::vector<int>>());
    }
    for (const Json& each : stored["k_fold"]) {
      const Dataset dataset = dataset_of_counts(each["class_counts"]);
      const auto splits = stratified_k_fold(dataset, each["n_folds"], 0).splits;
      for (std::size_t fold = 0; fold < splits.size(); ++fold)
        CHECK(tested_counts(dataset, splits[fold]) == each["test_counts"][fold].get<std::vector<int>>());
    }
  }

  TEST_CASE("the gap is in percentage points") {
    const Results results = example_results(emotions());
    const auto gap = protocol_gap(results.models, "mlp");
    REQUIRE(gap);
    CHECK(gap->accuracy ==
          rounded(100 * (results.models[0].metrics.accuracy - results.models[1].metrics.accuracy)));
    CHECK(gap->accuracy > 10);
  }
}
