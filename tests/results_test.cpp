#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "example_dataset.hpp"
#include "example_results.hpp"
#include "host/core/date.hpp"
#include "host/core/error.hpp"
#include "host/report/results.hpp"

using namespace melgrad;

namespace {

doctest::Approx rounded(double value) {
  return doctest::Approx(value).epsilon(1e-12);
}

std::filesystem::path temporary_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "melgrad_results_XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  return name;
}

}  // namespace

TEST_SUITE("results") {
  TEST_CASE("results go through their file and back") {
    Results results = example_results(emotions());
    results.models[1].refused = {{"x", "y"}};
    results.models[1].left_out = {{"p", "q"}};
    results.models[0].splits[2].training.validation_scores = {0.1, 0.2};
    ProtocolResult impossible;
    impossible.protocol = Protocol::given;
    impossible.why_not = "the manifest gives no split";
    impossible.labels = emotions();
    pool_predictions(impossible);
    results.models.push_back(impossible);
    results.models[0].grid = {{"C", {1, 10}}, {"gamma", {0.001}}};
    results.models[0].splits[1].training = {};  // a model that is no network
    results.models[0].statistics = {
        .intervals = {"clip", 240, 10000, {0.6, 0.7}, {0.59, 0.69}, {0.58, 0.68}},
        .subgroups = {{"group", "01", 60, 0.5, {0.4, 0.6}}, {"sex", "male", 600, 0.7, {0.65, 0.75}}},
        .calibration = {{{0, 0.5, 0, 0, 0}, {0.5, 1, 1200, 0.75, 0.65}}, 0.1, 0.55},
        .leak = SiblingLeak{"same group and label", 1200, 0, 0.65, {}},
        .confused_pairs = {{1, 6, 12, 0.08, {"clips/3.wav", "clips/7.wav"}}}};
    results.comparisons = {
        {"speaker", "mlp", "svm", 1200, 90, 60, "chi2", 5.6, 0.018, 0.054, 0.025, {0.01, 0.04}}};
    results.features.division = {{"cpu", {"pitch", "voice"}}, {"cuda:0", {"mfcc"}}};
    results.drift = Drift{60, 0.8, 0.3, 0.2, {{"mfcc_0_mean", -3.5, 0.7, 0.4}}};
    const auto folder = temporary_folder();
    write_results(results, folder / "results.json");
    CHECK(read_results(folder / "results.json") == results);
    results.own.reset();
    write_results(results, folder / "results.json");
    CHECK(read_results(folder / "results.json") == results);
    std::filesystem::remove_all(folder);
  }

  TEST_CASE("results.json has the documented fields") {
    const Json json = to_json(example_results(emotions()));
    CHECK(json["device"] == "cpu");
    CHECK(json["dataset"]["n_clips"] == 1042);
    CHECK(json["dataset"]["n_refused"] == 2);
    CHECK(json["dataset"]["refused"][0] == Json{{"path", "broken/a.wav"}, {"reason", "the file is empty"}});
    CHECK(json["dataset"]["labels"].size() == 8);
    CHECK(json["dataset"]["n_groups"] == 20);
    CHECK(json["dataset"]["audio_seconds"] == 4440);
    for (const char* name : {"set", "n_features", "seconds", "cpu_seconds", "clips_per_second",
                             "real_time_factor", "cached_clips", "computed_by"})
      CHECK(json["features"].contains(name));
    REQUIRE(json["models"].size() == 3);
    for (const char* name :
         {"name", "protocol", "accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1",
          "confusion_matrix", "labels", "n_test", "fit_seconds", "predict_seconds"})
      CHECK(json["models"][0].contains(name));
    CHECK(json["models"][0]["protocol"] == "random");
    CHECK(json["models"][0]["fit_seconds"].get<double>() == rounded(4));
    CHECK(json["models"][0]["splits"][0]["fit_cpu_seconds"] == 1.5);
    CHECK(json["models"][0]["splits"][0]["parameters"]["alpha"] == 0.01);
    CHECK(json["gaps"][0]["name"] == "mlp");
    CHECK(json["gaps"][0]["accuracy"].get<double>() > 0);
  }

  TEST_CASE("a protocol without results has null for every number") {
    Results results = example_results(emotions(), false);
    results.models[1] = {};
    results.models[1].protocol = Protocol::speaker;
    results.models[1].why_not = "the data names no speakers";
    const Json json = to_json(results);
    CHECK(json["models"][1]["accuracy"].is_null());
    CHECK(json["models"][1]["why_not"] == "the data names no speakers");
    CHECK(json["gaps"].empty());
  }

  TEST_CASE("results that are wrong say where") {
    const auto message = [](Json json) {
      try {
        results_from_json(json);
      } catch (const Error& error) {
        return std::string(error.what());
      }
      return std::string("no error");
    };
    const Json good = to_json(example_results(emotions()));
    Json json = good;
    json["models"][1]["splits"][0].erase("loss_curve");
    CHECK(message(json) == "models[1]: 'loss_curve' is missing");
    json = good;
    json["dataset"]["audio_seconds"] = "long";
    CHECK(message(json) == "dataset: 'audio_seconds' is \"long\", which is not what it should be");
    json = good;
    json["models"][0]["predictions"][3]["truth"] = "bored";
    CHECK(message(json) == "models[0]: 'truth' is 'bored', which is not one of the labels");
    json = good;
    json["models"][0]["predictions"][3]["split"] = 5;
    CHECK(message(json) == "models[0]: 'split' is 5 of 5");
    json = good;
    json["schema_version"] = 1;
    CHECK(message(json) == "results of schema version 1; this melgrad reads version 2");
    for (const char* broken : {"null", "[]", "3", "\"x\"", "{}"})
      CHECK(message(Json::parse(broken)) != "no error");
    for (const auto& [name, value] : good.items()) {
      json = good;
      json[name] = {{"nonsense", 1}};
      if (name != "options" && name != "gaps") CHECK(message(json) != "no error");
    }
    CHECK_THROWS_AS(read_results("no such folder/results.json"), Error);
  }

  TEST_CASE("the file keeps lists of numbers on one line") {
    const std::string text = results_file_text(example_results(emotions()));
    CHECK(text.find("\"label_counts\": [80,160,160,80,160,160,80,160],\n") != std::string::npos);
    CHECK(Json::parse(text) == to_json(example_results(emotions())));
  }

  TEST_CASE("what is summarised of a data set adds up") {
    const Dataset dataset =
        example_dataset({{"a", "1", "p", ""}, {"b", "2", "q", ""}, {"a", "", "p", ""}, {"b", "1", "", ""}});
    const DatasetSummary summary = summarise("four", dataset, {{"x.wav", "empty"}});
    CHECK(summary.n_clips == 5);
    CHECK(summary.label_counts == std::vector<Index>{2, 2});
    CHECK(summary.group_counts == std::vector<Index>{2, 1});
    CHECK(summary.n_duplicates == 1);
    CHECK(summary.audio_seconds == 8);
    ExtractionReport report;
    report.n_clips = 12;
    report.n_refused = 2;
    report.n_cached = 5;
    report.audio_seconds = 40;
    report.cached_audio_seconds = 15;
    report.seconds = 0.5;
    const FeatureSummary features = summarise(dataset.spec, report);
    CHECK(features.clips_per_second == 10);
    CHECK(features.real_time_factor == 50);
    report.n_cached = 10;
    Results results;
    results.features = summarise(dataset.spec, report);
    CHECK(to_json(results)["features"]["clips_per_second"].is_null());
  }

  TEST_CASE("the date can be given from outside") {
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    CHECK(utc_date() == "2023-11-14T22:13:20Z");
    unsetenv("SOURCE_DATE_EPOCH");
    CHECK(utc_date() > "2025-01-01T00:00:00Z");
  }
}
