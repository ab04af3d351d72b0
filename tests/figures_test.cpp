#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "example_report.hpp"
#include "host/core/error.hpp"
#include "host/report/document.hpp"
#include "host/report/figures.hpp"
#include "host/report/findings.hpp"
#include "host/report/model_findings.hpp"

using namespace melgrad;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Letters of different texts may come this close, in points.
Box letters_of(const Text& text) {
  Box box = bounds_of(text);
  box.x += 0.4;
  box.width -= 0.8;
  box.y += 0.6;
  box.height -= 1.2;
  return box;
}

std::vector<Results> awkward_results() {
  std::vector<Results> all;
  for (const auto& labels : awkward_labels()) all.push_back(example_report(labels));
  all.push_back(example_report(emotions(), 1, false));
  all.push_back(example_report(emotions(), 1, true));
  all.push_back(example_report(emotions(), 2, false, false));
  all.push_back(example_report({"no", "yes"}, 1, false, false));
  return all;
}

std::vector<std::string> names_of(const std::vector<Figure>& figures) {
  std::vector<std::string> names;
  for (const Figure& figure : figures) names.push_back(figure.name);
  return names;
}

}  // namespace

TEST_SUITE("figures") {
  TEST_CASE("no two texts of a figure touch, and none leaves it") {
    for (const Results& results : awkward_results()) {
      for (const Figure& figure : report_figures(results)) {
        CAPTURE(figure.name);
        CHECK(figure.drawing.width <= (figure.wide ? wide_width : column_width) + 0.01);
        std::vector<std::pair<std::string, Box>> texts;
        std::vector<std::string> wrong;
        for (const Shape& shape : figure.drawing.shapes) {
          const Box box = bounds_of(shape);
          const auto* text = std::get_if<Text>(&shape);
          if (box.x < -0.5 || box.y < -0.5 || box.right() > figure.drawing.width + 0.5 ||
              box.bottom() > figure.drawing.height + 0.5)
            wrong.push_back(fmt::format("{} leaves the figure at {:.1f}, {:.1f} to {:.1f}, {:.1f}",
                                        text == nullptr ? "a shape" : text->text, box.x, box.y, box.right(),
                                        box.bottom()));
          if (text == nullptr) continue;
          const Box letters = letters_of(*text);
          for (const auto& [other, other_letters] : texts)
            if (overlap(letters, other_letters))
              wrong.push_back(fmt::format("'{}' touches '{}'", text->text, other));
          texts.emplace_back(text->text, letters);
        }
        CHECK(fmt::format("{}", fmt::join(wrong, "\n")) == "");
      }
    }
  }

  TEST_CASE("figures are there for what the results have, and no others") {
    CHECK(names_of(report_figures(example_report(emotions()))) ==
          std::vector<std::string>{"confusion_matrices", "accuracy", "accuracy_and_time", "labels", "leak",
                                   "loss_and_calibration", "subgroups", "drift"});
    CHECK(names_of(report_figures(example_report(emotions(), 1, false))) ==
          std::vector<std::string>{"confusion_matrices", "accuracy", "labels", "leak", "loss_and_calibration",
                                   "subgroups"});
    CHECK(report_figures(Results{}).empty());
    Results impossible = example_report(emotions(), 1, false, false);
    impossible.models.erase(impossible.models.begin());
    CHECK(report_figures(impossible).empty());
  }

  TEST_CASE("a cell of a confusion matrix says what it counts") {
    const Results results = example_report({"no", "yes"}, 1, false);
    const Drawing drawing = confusion_drawing(results, "mlp_ensemble", wide_width);
    const ProtocolResult& random = results.models.front();
    const std::string expected =
        fmt::format("no \u2192 yes: {} of {} (", random.confusion(0, 1), random.metrics.per_class[0].support);
    int found = 0, n_cells = 0;
    for (const Shape& shape : drawing.shapes)
      if (const auto* cell = std::get_if<Rectangle>(&shape); cell != nullptr && !cell->key.empty()) {
        ++n_cells;
        if (cell->key == "mlp_ensemble/random/0/1") found += cell->hover.starts_with(expected);
      }
    CHECK(n_cells == 8);
    CHECK(found == 1);
  }

  TEST_CASE("labels that were not tested are no zeros") {
    Results results = example_report({"no", "yes"}, 1, false);
    auto& predictions = results.models.front().predictions;
    std::erase_if(predictions, [](const Prediction& each) { return each.truth == 1; });
    pool_predictions(results.models.front());
    int n_not_tested = 0;
    for (const Shape& shape : confusion_drawing(results, "mlp_ensemble", wide_width).shapes)
      if (const auto* text = std::get_if<Text>(&shape)) n_not_tested += text->text.starts_with("not");
    CHECK(n_not_tested == 1);
  }

  TEST_CASE("findings say which model is better, and what it costs") {
    const Results results = example_report(emotions());
    const std::string comparison = comparison_finding(results);
    CHECK(contains(comparison, "On unheard speakers, the MLP ensemble is right most often"));
    CHECK(contains(comparison, "significantly better than the random forest and the KNN"));
    CHECK(contains(comparison, "No significant difference is seen to the MLP"));
    CHECK(contains(cost_finding(results),
                   "is the SVM: it trains in 300 ms of CPU, the MLP ensemble in 60 s, 200 times"));
    CHECK(comparison_finding(example_report(emotions(), 1)).empty());
    CHECK(cost_finding(example_report(emotions(), 1)).empty());
  }

  TEST_CASE("findings say how much a random split leaks") {
    Results results = example_report(emotions());
    CHECK(contains(leak_finding(results),
                   "80 % of the test clips have a sibling (same group, label and statement)"));
    CHECK_FALSE(contains(leak_finding(results), "Siblings help"));  // all alike
    for (ProtocolResult& result : results.models)
      if (result.name == "knn" && result.statistics.leak) result.statistics.leak->accuracy_without = 0.3;
    CHECK(contains(leak_finding(results), "Siblings help the KNN most"));
    CHECK_FALSE(leak_drawing(results, column_width).shapes.empty());
    for (ProtocolResult& result : results.models)
      if (result.statistics.leak) result.statistics.leak->accuracy_without.reset();
    CHECK(
        leak_drawing(results, column_width).shapes.empty());  // every clip has a sibling: nothing to compare
    for (ProtocolResult& result : results.models) result.statistics.leak.reset();
    CHECK(leak_finding(results).empty());
  }

  TEST_CASE("findings say whether models err on the same clips") {
    Results results = example_report(emotions(), 3, false);
    // The SVM errs exactly where the ensemble does.
    for (ProtocolResult& result : results.models)
      if (result.name == "svm")
        result.predictions = find_result(results.models, "mlp_ensemble", result.protocol)->predictions;
    CHECK(contains(shared_mistakes_finding(results), "the SVM gets 100 % wrong, too"));
    CHECK(contains(shared_mistakes_finding(results), "not in the kind of model"));
    // The SVM errs exactly where the ensemble does not.
    for (ProtocolResult& result : results.models)
      if (result.name == "svm")
        for (Prediction& each : result.predictions)
          each.predicted = each.predicted == each.truth ? (each.truth + 1) % 8 : each.truth;
    CHECK(contains(shared_mistakes_finding(results), "the SVM gets 0 % wrong, too"));
    CHECK_FALSE(contains(shared_mistakes_finding(results), "not in the kind of model"));
  }

  TEST_CASE("findings say whether the probabilities can be believed") {
    Results results = example_report(emotions(), 1, false);
    auto& bins = results.models[1].statistics.calibration.bins;
    const double accuracy = results.models[1].metrics.accuracy;
    bins = {{0, 1, 100, accuracy + 0.2, accuracy}};
    CHECK(contains(calibration_finding(results), "too sure of itself"));
    bins = {{0, 1, 100, accuracy - 0.2, accuracy}};
    CHECK(contains(calibration_finding(results), "too modest"));
    bins = {{0, 1, 100, accuracy, accuracy}};
    CHECK(contains(calibration_finding(results), "believed on the whole"));
    bins.clear();
    CHECK(calibration_finding(results).empty());
  }

  TEST_CASE("of very many labels the best and the worst are shown") {
    const auto n_rows = [](int n_labels) {
      std::set<double> heights;
      const Results results = example_report(numbered_labels("label ", n_labels), 1, false);
      for (const Shape& shape : class_drawing(results, column_width).shapes)
        if (const auto* mark = std::get_if<Mark>(&shape)) heights.insert(mark->centre.y);
      return heights.size();
    };
    CHECK(n_rows(60) >= 60);
    CHECK(n_rows(61) == n_rows(60));
    CHECK(n_rows(200) == n_rows(60));
    Results results = example_report(numbered_labels("label ", 61), 1, false);
    const std::string name = results.models.front().name;
    CHECK_FALSE(confusion_drawing(results, name, wide_width).shapes.empty());
    for (ProtocolResult& result : results.models) result.confusion = {};  // as of more than 1000
    CHECK(confusion_drawing(results, name, wide_width).shapes.empty());
  }

  TEST_CASE("measurements are read, shown and said") {
    const auto row = [](const char* work, const char* who, double per_second, double ratio) {
      Json json = {{"work", work},
                   {"who", who},
                   {"unit", "clip"},
                   {"cpu_spread", 0.1},
                   {"per_second", {{"units", per_second}}}};
      if (ratio > 0) json["cpu_time_ratio"] = ratio;
      return json;
    };
    const char* const features = "features: WAV file to cached row";
    const char* const one = "melgrad cpu (AVX-512, 1 thread)";
    const char* const two = "melgrad cpu (AVX-512, 2 threads)";
    Results results = example_report(emotions(), 1, false);
    CHECK(throughput_drawing(results, column_width).shapes.empty());
    CHECK(throughput_finding(results).empty());
    results.bench["peaks"] = Json::array({{{"n_threads", 1}}});
    results.bench["features"] = {
        {"description", "on one core"},
        {"rows",
         {row(features, one, 2270, 0),
          row(features, two, 4000, 0),
          row("features: decoding alone", one, 20'000, 0),
          row(features, "librosa 0.11.0", 42.2, 54.5),
          row(features, "torch", 280, 8.31),
          {{"work", features}, {"who", "torchaudio"}, {"missing", "not installed"}}}}};
    // Nobody else did these: the first is shown.
    results.bench["training"] = {
        {"rows", {row("training: one fit", one, 580, 0), row("training: one fit, in bf16", one, 1040, 0.4)}}};
    CHECK(throughput_finding(results) ==
          "For features: WAV file to cached row, melgrad cpu (AVX-512, 2 threads) does 4000 clips a second; "
          "the "
          "CPU time of torch is 8.3 times melgrad's and of librosa 0.11.0 54 times.");
    int n_rows = 0;
    for (const Shape& shape : throughput_drawing(results, column_width).shapes)
      n_rows += std::holds_alternative<Mark>(shape);
    CHECK(n_rows == 5);
    results.bench["features"]["rows"][0].erase("unit");
    CHECK_THROWS_WITH(throughput_finding(results), "features: 'unit' is missing");
    results.bench = {{"features", {{"rows", {row(features, "melgrad", 0, 0)}}}}};
    CHECK_THROWS_AS(throughput_finding(results), Error);
  }

  TEST_CASE("a learning curve is read, shown and said") {
    const auto point = [](double n_train, double train, double test) {
      return Json{{"n_train", n_train},
                  {"mean_train_accuracy", train},
                  {"std_train_accuracy", 0.01},
                  {"mean_test_accuracy", test},
                  {"std_test_accuracy", 0.02}};
    };
    Results results = example_report(emotions(), 1, false);
    CHECK(learning_drawing(results, column_width, 100).shapes.empty());
    results.learning_curve = {
        {"points", {point(960, 0.99, 0.42), point(100, 1, 0.3), point(500, 0.99, 0.38)}}};
    CHECK(learning_finding(results) ==
          "From 500 to 960 training clips, a network's accuracy on the test clips of its fold goes from 38.0 "
          "% to "
          "42.0 %: more recordings would help.");
    CHECK_FALSE(learning_drawing(results, column_width, 100).shapes.empty());
    results.learning_curve["points"][2]["std_test_accuracy"] = 0.051;
    CHECK(contains(learning_finding(results), "may help, but the folds differ by more than that (+- 5.1 %)"));
    results.learning_curve["points"][0]["mean_test_accuracy"] = 0.385;
    CHECK(contains(learning_finding(results), "would hardly help"));
    results.learning_curve["points"][1].erase("n_train");
    CHECK_THROWS_WITH(learning_finding(results), "'n_train' is missing");
  }

  TEST_CASE("speaker normalisation is named where the numbers stand") {
    Results results = example_report(emotions(), 1, false);
    CHECK_FALSE(contains(make_document(results).title, "normalised"));
    results.options["treatment"] = {{"augment", true}, {"speaker_normalise", true}};
    CHECK(contains(make_document(results).title, "on unheard speakers, speaker-normalised"));
    CHECK(contains(make_document(results).abstract.text(), "(transductive)"));
  }

  TEST_CASE("findings say for whom it works, and in what own recordings differ") {
    Results results = example_report(emotions());
    CHECK(contains(subgroup_finding(results),
                   "Recordings of strong intensity are recognised better (45.0 %) than those of normal "
                   "intensity (35.0 %)."));
    CHECK(contains(subgroup_finding(results), "from 4.0 % (01) to 80.0 % (20)"));
    CHECK(contains(drift_finding(results), "they differ by more than the voice"));
    CHECK(contains(drift_finding(results), "spectral_centroid_mean (-2.8), mfcc_0_mean (+2.5)"));
    CHECK(contains(drift_finding(results), "look at timbre or microphone, loudness"));
    results.drift->mean_shift = 0.4;
    CHECK_FALSE(contains(drift_finding(results), "more than the voice"));
    results.drift.reset();
    CHECK(drift_finding(results).empty());
  }
}
