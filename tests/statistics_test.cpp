#include "host/evaluation/statistics.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "example_dataset.hpp"
#include "host/evaluation/bootstrap.hpp"
#include "host/evaluation/drift.hpp"
#include "host/evaluation/mcnemar.hpp"
#include "host/evaluation/prediction_statistics.hpp"
#include "host/evaluation/siblings.hpp"
#include "support/fake_engine.hpp"
#include "support/golden_file.hpp"

using namespace melgrad;

namespace {

doctest::Approx rounded(double value) {
  return doctest::Approx(value).epsilon(1e-10);
}

// Both ends are found by chance, here and there: four standard deviations of ours, as scipy's ends show them
// over eight seeds, whose mean deviates a third as much; and a step of 1e-3, as scores of few clips come in
// steps.
void check_interval(const Interval& interval, const Json& scipy) {
  const auto check_end = [&](double ours, double theirs, double deviation) {
    CHECK(std::abs(ours - theirs) < 4 * std::sqrt(1 + 1.0 / 8) * deviation + 1e-3);
  };
  check_end(interval.low, scipy["low"], scipy["low_error"]);
  check_end(interval.high, scipy["high"], scipy["high_error"]);
}

Prediction prediction(const std::string& path, int truth, int predicted, int split = 0) {
  Prediction each;
  each.path = path;
  each.truth = truth;
  each.predicted = predicted;
  each.probability = 0.75;
  each.squared_error = truth == predicted ? 0.1 : 1;
  each.split = split;
  return each;
}

ProtocolResult result_of(const std::string& name, Protocol protocol, std::vector<Prediction> predictions) {
  ProtocolResult result;
  result.name = name;
  result.protocol = protocol;
  result.labels = {"a", "b"};
  result.splits.resize(2);
  result.splits[0].name = "first";
  result.splits[1].name = "second";
  result.predictions = std::move(predictions);
  pool_predictions(result);
  return result;
}

}  // namespace

TEST_SUITE("statistics") {
  TEST_CASE("McNemar's test equals statsmodels'") {
    for (const Json& each : testing::golden_file("statistics.json")["mcnemar"]) {
      const auto b = each["only_first_right"].get<Index>(), c = each["only_second_right"].get<Index>();
      CAPTURE(b);
      CAPTURE(c);
      const McNemarTest test = mcnemar_test(b, c);
      CHECK(test.method == each["method"].get<std::string>());
      CHECK(test.statistic == rounded(each["statistic"]));
      CHECK(test.p_value == rounded(each["p_value"]));
    }
  }

  TEST_CASE("Holm's adjustment equals statsmodels'") {
    const Json stored = testing::golden_file("statistics.json")["holm"];
    const auto adjusted = holm_adjusted(stored["p_values"].get<std::vector<double>>());
    for (std::size_t i = 0; i < adjusted.size(); ++i) CHECK(adjusted[i] == rounded(stored["adjusted"][i]));
    CHECK(holm_adjusted({}).empty());
  }

  TEST_CASE("bootstrap intervals over units are scipy's, up to chance") {
    for (const Json& each : testing::golden_file("statistics.json")["bootstrap"]) {
      CAPTURE(each["name"].get<std::string>());
      const auto truth = each["truth"].get<std::vector<int>>(),
                 predicted = each["predicted"].get<std::vector<int>>(),
                 other = each["other"].get<std::vector<int>>(), unit = each["unit"].get<std::vector<int>>();
      const int n_units = unit.back() + 1, n_resamples = 10000;
      const UnitPredictions predictions{truth, predicted, unit, n_units, each["n_classes"]};
      const BootstrapIntervals intervals = bootstrap_intervals(predictions, 3, n_resamples);
      check_interval(intervals.accuracy, each["accuracy"]);
      check_interval(intervals.balanced_accuracy, each["balanced_accuracy"]);
      check_interval(intervals.macro_f1, each["macro_f1"]);
      std::vector<int> differences;
      for (std::size_t i = 0; i < truth.size(); ++i)
        differences.push_back((predicted[i] == truth[i]) - (other[i] == truth[i]));
      check_interval(bootstrap_mean(differences, unit, n_units, 3, n_resamples), each["difference"]);
      CHECK(bootstrap_intervals(predictions, 3, 100) == bootstrap_intervals(predictions, 3, 100));
      CHECK(bootstrap_intervals(predictions, 3, 100) != bootstrap_intervals(predictions, 4, 100));
    }
  }

  TEST_CASE("quantiles are numpy's") {
    std::vector<double> values = {4, 1, 3, 2};
    CHECK(quantile(values, 0.025) == rounded(1.075));
    CHECK(quantile(values, 0.5) == rounded(2.5));
    CHECK(quantile(values, 1) == 4);
    values = {7};
    CHECK(quantile(values, 0.3) == 7);
  }

  TEST_CASE("calibration equals scikit-learn's") {
    const Json stored = testing::golden_file("statistics.json")["calibration"];
    std::vector<Prediction> predictions;
    for (std::size_t i = 0; i < stored["truth"].size(); ++i) {
      const auto probabilities = stored["probabilities"][i].get<std::vector<double>>();
      Prediction each;
      each.truth = stored["truth"][i];
      each.predicted = static_cast<int>(std::ranges::max_element(probabilities) - probabilities.begin());
      each.probability = std::ranges::max(probabilities);
      for (std::size_t label = 0; label < probabilities.size(); ++label)
        each.squared_error +=
            std::pow(probabilities[label] - (static_cast<int>(label) == each.truth ? 1 : 0), 2);
      predictions.push_back(each);
    }
    const Calibration calibration = calibration_of(predictions);
    CHECK(calibration.brier_score == rounded(stored["brier_score"]));
    CHECK(calibration.expected_calibration_error == rounded(stored["expected_calibration_error"]));
    REQUIRE(calibration.bins.size() == stored["n_of_bins"].size());
    std::size_t filled = 0;  // scikit-learn leaves empty bins out
    for (std::size_t bin = 0; bin < calibration.bins.size(); ++bin) {
      CHECK(calibration.bins[bin].n_test == stored["n_of_bins"][bin].get<Index>());
      if (calibration.bins[bin].n_test == 0) continue;
      CHECK(calibration.bins[bin].accuracy == rounded(stored["accuracy"][filled]));
      CHECK(calibration.bins[bin].mean_probability == rounded(stored["mean_probability"][filled]));
      ++filled;
    }
  }

  TEST_CASE("siblings share group and label, and statement and intensity where these are known") {
    Dataset dataset = example_dataset(
        {{"a", "1", "", ""}, {"a", "1", "", ""}, {"a", "2", "", ""}, {"b", "1", "", ""}, {"a", "", "", ""}});
    const Split split{.name = "split", .train = {0, 4}, .test = {1, 2, 3}, .left_out = {}};
    CHECK(Siblings(dataset).description() == "same group and label");
    CHECK(Siblings(dataset).in_training(split) == std::vector<bool>{true, false, false});
    for (std::size_t i = 0; i < 5; ++i) dataset.clips[i].attributes["statement"] = i == 1 ? "02" : "01";
    CHECK(Siblings(dataset).description() == "same group, label and statement");
    CHECK(Siblings(dataset).in_training(split) == std::vector<bool>{false, false, false});
    dataset.clips[1].attributes["statement"] = "01";
    CHECK(Siblings(dataset).in_training(split) == std::vector<bool>{true, false, false});
    dataset.clips[1].attributes["intensity"] = "strong";
    CHECK(Siblings(dataset).description() == "same group, label, statement and intensity");
    CHECK(Siblings(dataset).in_training(split) == std::vector<bool>{false, false, false});
    dataset.clips[0].attributes["intensity"] = "strong";
    CHECK(Siblings(dataset).in_training(split) == std::vector<bool>{true, false, false});
    const Dataset nobody = example_dataset({{"a", "", "", ""}, {"a", "", "", ""}, {"b", "", "", ""}});
    CHECK(Siblings(nobody).description().empty());
    CHECK(Siblings(nobody).in_training({"split", {0}, {1, 2}, {}}) == std::vector<bool>{false, false});
  }

  TEST_CASE("predictions are told apart by speaker, by what names say, and by siblings") {
    std::vector<Clip> clips;
    for (int i = 0; i < 8; ++i)
      clips.push_back(
          {std::to_string(i),
           "",
           i < 4 ? "x" : "y",
           "",
           {{"sex", i % 2 ? "female" : "male"}, {"take", std::to_string(i)}, {"channel", "speech"}}});
    std::vector<Prediction> predictions;
    for (int i = 0; i < 8; ++i) {
      predictions.push_back(prediction(std::to_string(i), 0, i % 2));
      predictions.back().has_sibling = i < 6;
      predictions.back().probability = 0.7 + 0.01 * i;
    }
    const ProtocolResult result = result_of("mlp", Protocol::random, predictions);
    const PredictionStatistics statistics = prediction_statistics(result, clips, "same group", 0);
    REQUIRE(statistics.subgroups.size() == 4 + 8);  // channel has one value only
    CHECK(statistics.subgroups[0].attribute == "group");
    CHECK(statistics.subgroups[0].value == "x");
    CHECK(statistics.subgroups[0].accuracy == 0.5);
    CHECK(statistics.subgroups[0].interval == wilson_interval(2, 4));
    CHECK(statistics.subgroups[2].attribute == "sex");
    CHECK(statistics.subgroups[2].value == "female");
    CHECK(statistics.subgroups[2].accuracy == 0);
    CHECK(statistics.subgroups[3].accuracy == 1);
    REQUIRE(statistics.leak);
    CHECK(*statistics.leak == SiblingLeak{"same group", 6, 2, 0.5, 0.5});
    REQUIRE(statistics.confused_pairs.size() == 1);
    CHECK(statistics.confused_pairs[0] == ConfusedPair{0, 1, 4, 0.5, {"7", "5", "3", "1"}});
    CHECK(statistics.intervals.unit == "clip");
    CHECK(statistics.intervals.n_units == 8);

    ProtocolResult speaker = result;
    speaker.protocol = Protocol::speaker;
    const PredictionStatistics of_speakers = prediction_statistics(speaker, clips, "same group", 0);
    CHECK(of_speakers.intervals.unit == "group");
    CHECK(of_speakers.intervals.n_units == 2);
    CHECK(of_speakers.intervals.accuracy == Interval{0.5, 0.5});  // both speakers have 0.5
    CHECK_FALSE(of_speakers.leak);
    CHECK(prediction_statistics(result_of("mlp", Protocol::random, {}), clips, "", 0) ==
          PredictionStatistics{});
  }

  TEST_CASE("statistics of many models can be interrupted") {
    const Dataset dataset = example_dataset({{"a", "x", "", ""}, {"b", "x", "", ""}});
    const std::vector<Prediction> predictions = {prediction(dataset.clips[0].path, 0, 0),
                                                 prediction(dataset.clips[1].path, 1, 0)};
    std::vector<ProtocolResult> results(3, result_of("mlp", Protocol::speaker, predictions));
    test::RecordedProgress progress;
    progress.stop_after = 1;
    CHECK_THROWS_AS(add_statistics(results, dataset, nullptr, {}, progress), Interrupted);
    CHECK(progress.n_steps == 3);
    CHECK(results[0].statistics.intervals.n_units == 1);
    CHECK(results[2].statistics == PredictionStatistics{});
  }

  TEST_CASE("models are compared on the clips that both were tested on, each once") {
    std::vector<Clip> clips;
    std::vector<Prediction> first, second;
    for (int i = 0; i < 60; ++i) {
      clips.push_back({std::to_string(i), "", i % 3 == 0 ? "x" : "y", "", {}});
      first.push_back(prediction(std::to_string(i), 0, i % 10 == 0));
      second.push_back(prediction(std::to_string(i), 0, i % 2));
    }
    first.push_back(prediction("1", 0, 1, 1));  // a second split tests a clip again
    second.push_back(prediction("1", 0, 0, 1));
    second.push_back(prediction("2", 0, 0, 1));  // which the first model does not
    const auto comparisons =
        compare_models({result_of("mlp", Protocol::random, first), result_of("svm", Protocol::random, second),
                        result_of("knn", Protocol::own, second)},
                       clips, clips, 0);
    REQUIRE(comparisons.size() == 1);
    const ModelComparison& pair = comparisons[0];
    CHECK(pair.protocol == "random");
    CHECK(pair.first == "mlp");
    CHECK(pair.second == "svm");
    CHECK(pair.n_test == 60);
    CHECK(pair.only_first_right == 30);
    CHECK(pair.only_second_right == 6);
    CHECK(pair.p_value == rounded(mcnemar_test(30, 6).p_value));
    CHECK(pair.adjusted_p_value == pair.p_value);
    CHECK(pair.difference == rounded((30 - 6 - 1) / 61.0));
    CHECK(pair.interval.low < pair.difference);
    CHECK(pair.interval.high > pair.difference);
  }

  TEST_CASE("drift names what moved, against the data set's own speakers") {
    std::vector<ExampleClip> clips;
    for (int i = 0; i < 40; ++i) clips.push_back({i % 2 ? "a" : "b", i % 4 < 2 ? "1" : "2", "", ""});
    Dataset training = example_dataset(clips);
    for (Index row = 0; row < 40; ++row) {
      training.features(row, 0) = row % 2 ? 1.0f : -1.0f;  // std 1
      training.features(row, 1) = static_cast<float>(10 + (row % 2 ? 2 : -2)) +
                                  (training.groups[static_cast<std::size_t>(row)] ? 1.5f : -1.5f);
    }
    Dataset recordings = training;
    for (Index row = 0; row < 40; ++row) {
      recordings.features(row, 0) = 2 * training.features(row, 0) + 0.5f;
      recordings.features(row, 1) -= 5;
    }
    Drift drift = feature_drift(training, recordings);
    CHECK(drift.n_recordings == 40);
    REQUIRE(drift.features.size() == 2);
    CHECK(drift.features[0].column == "y");
    CHECK(drift.features[0].shift == rounded(-2));  // std 2.5
    CHECK(drift.features[0].spread == rounded(1));
    CHECK(drift.features[0].typical_shift == rounded(0.6));
    CHECK(drift.features[1].column == "x");
    CHECK(drift.features[1].shift == rounded(0.5));
    CHECK(drift.features[1].spread == rounded(2));
    CHECK(drift.features[1].typical_shift == rounded(0));
    CHECK(drift.mean_shift == rounded(1.25));
    CHECK(drift.typical_mean_shift == rounded(0.3));
    CHECK(drift.share_beyond_one == 0.5);
    for (Index row = 0; row < 40; ++row) training.features(row, 1) = 7;  // constant: left out
    drift = feature_drift(training, recordings, 5);
    CHECK(drift.features.size() == 1);
  }
}
