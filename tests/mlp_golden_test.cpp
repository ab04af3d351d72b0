// Training from given weights against scikit-learn's MLPClassifier (tools/golden/make_mlp.py), and against
// torch with the options that scikit-learn has not got (make_mlp_torch.py).

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "host/cpu/cpu_mlp.hpp"
#include "host/cpu/simd.hpp"
#include "support/golden_file.hpp"
#include "support/reference_mlp.hpp"

using namespace melgrad;
using namespace melgrad::testing;

namespace {

struct GoldenProblem {
  Matrix<float> features;
  std::vector<int> labels;
  std::vector<int> rows;  // 0, 1, 2 ...
  int n_classes;

  explicit GoldenProblem(const Json& json)
      : labels(json["labels"].get<std::vector<int>>()), rows(labels.size()), n_classes(json["n_classes"]) {
    const auto values = json["features"].get<std::vector<float>>();
    features =
        Matrix<float>(static_cast<Index>(labels.size()), static_cast<Index>(values.size() / labels.size()));
    features.values = values;
    std::iota(rows.begin(), rows.end(), 0);
  }
  TrainingSet training_set() const { return {features.view(), labels, n_classes}; }
};

struct GoldenFit {
  MlpSpec spec;
  ReferenceParameters start, end;
  int n_iter;
  std::vector<double> loss_curve, validation_scores;
  std::vector<double> probabilities;  // of the first rows, as prediction has them; torch only
};

ReferenceParameters read_layers(const Json& layers, Index n_features, bool as_float) {
  ReferenceParameters parameters;
  Index fan_in = n_features;
  for (const Json& layer : layers) {
    auto& biases = parameters.biases.emplace_back(layer["biases"].get<std::vector<double>>());
    auto& weights = parameters.weights.emplace_back(fan_in, static_cast<Index>(biases.size()));
    weights.values = layer["weights"].get<std::vector<double>>();
    fan_in = weights.cols;
  }
  return as_float ? to_reference(to_float(parameters)) : parameters;
}

// Of a start, whose running moments are 0 and 1 and whose gammas are 1, or of an end.
void add_batch_norms(const Json& fit, bool is_start, ReferenceParameters& parameters) {
  const Json norms = fit.value("batch_norms", Json::array());
  for (const Json& norm : norms) {
    const auto values = [&](const char* name, double at_start) {
      const auto read = norm[name].get<std::vector<double>>();
      return is_start ? std::vector<double>(read.size(), at_start) : read;
    };
    parameters.batch_norms.push_back(
        {values("gamma", 1), values("running_mean", 0), values("running_var", 1)});
  }
}

// f(problem, job, fit) for every fit of the file.
template <class F>
void for_each_fit(const char* file, F&& f) {
  const Json json = golden_file(file);
  const auto n_validation = json.value("n_validation", std::size_t{0});
  for (const Json& group : json["fits"]) {
    for (const Json& each : json["problems"]) {
      if (each["n_classes"] != group["n_classes"]) continue;
      const GoldenProblem problem(each);
      for (const Json& fit : group["fits"]) {
        GoldenFit golden{.spec = from_json_fields<MlpSpec>(fit["spec"]),
                         .start = read_layers(group["start"], problem.features.cols, true),
                         .end = read_layers(fit["layers"], problem.features.cols, false),
                         .n_iter = fit.value("n_iter", fit["spec"].value("max_iter", 0)),
                         .loss_curve = fit["loss_curve"],
                         .validation_scores = fit.value("validation_scores", std::vector<double>{}),
                         .probabilities = fit.value("probabilities", std::vector<double>{})};
        golden.spec.shuffle = false;
        add_batch_norms(fit, true, golden.start);
        add_batch_norms(fit, false, golden.end);
        MlpJob job{.spec = golden.spec, .rows = problem.rows, .validation_rows = {}, .scaling = nullptr};
        if (golden.spec.early_stopping) {
          job.validation_rows = job.rows.last(n_validation);
          job.rows = job.rows.first(job.rows.size() - n_validation);
        }
        CAPTURE(fit["spec"].dump());
        CAPTURE(problem.n_classes);
        f(problem, job, golden);
      }
    }
  }
}

double worst_difference(const std::vector<double>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < actual.size(); ++i)
    worst = std::max(worst, std::abs(actual[i] - expected[i]) / expected[i]);
  return worst;
}

}  // namespace

TEST_SUITE("mlp_golden") {
  TEST_CASE("the double-precision reference equals scikit-learn, step by step and to its last epoch") {
    int n_fits = 0;
    for_each_fit(
        "mlp_fits.json", [&](const GoldenProblem& problem, const MlpJob& job, const GoldenFit& golden) {
          ReferenceMlp reference(problem.training_set(), job);
          reference.parameters() = golden.start;
          reference.train(golden.spec.max_iter);
          CHECK(reference.progress().n_iter == golden.n_iter);
          // The file has ten digits.
          CHECK(worst_difference(reference.progress().loss_curve, golden.loss_curve) < 2e-9);
          CHECK(worst_difference(reference.progress().validation_scores, golden.validation_scores) < 2e-9);
          // to_float costs float32's rounding.
          CHECK(relative_difference(to_float(reference.parameters()), golden.end) < 1e-7);
          ++n_fits;
        });
    CHECK(n_fits == 3 * 32 + 16 + 2 * 8);
  }

  TEST_CASE("the CPU engine equals scikit-learn to 1e-5 for every activation, solver and SIMD") {
    for (const std::string& simd : available_simd()) {
      use_simd(simd);
      for_each_fit("mlp_fits.json",
                   [&](const GoldenProblem& problem, const MlpJob& job, const GoldenFit& golden) {
                     CAPTURE(simd);
                     const auto stack = make_cpu_mlp_stack(problem.training_set(), {&job, 1}, 1);
                     stack->set_parameters(0, to_float(golden.start));
                     stack->train(golden.spec.max_iter);
                     CHECK(stack->progress(0).n_iter == golden.n_iter);
                     // Of the largest weight or loss; the longest fits take 33 epochs of 4 steps.
                     CHECK(worst_difference(stack->progress(0).loss_curve, golden.loss_curve) < 1e-5);
                     CHECK(stack->progress(0).validation_scores.size() == golden.validation_scores.size());
                     CHECK(relative_difference(stack->parameters(0), golden.end) < 1e-5);
                   });
    }
    choose_simd();
  }

  TEST_CASE("the double-precision reference equals torch for every option, step by step") {
    int n_fits = 0;
    for_each_fit(
        "mlp_torch_fits.json", [&](const GoldenProblem& problem, const MlpJob& job, const GoldenFit& golden) {
          ReferenceMlp reference(problem.training_set(), job);
          reference.parameters() = golden.start;
          reference.train(golden.spec.max_iter);
          // The file has ten digits, and lambdas and class weights are float32.
          CHECK(worst_difference(reference.progress().loss_curve, golden.loss_curve) < 1e-8);
          CHECK(relative_difference(to_float(reference.parameters()), golden.end) < 1e-7);
          const auto n_rows = static_cast<Index>(golden.probabilities.size()) / problem.n_classes;
          const Matrix<double> p = reference.predict_proba(problem.features.view().rows_from(0, n_rows));
          CHECK(worst_difference(p.values, golden.probabilities) < 1e-7);
          ++n_fits;
        });
    CHECK(n_fits == 2 * 28);
  }

  TEST_CASE("the CPU engine equals torch to 1e-5 after 20 steps for every option and SIMD") {
    for (const std::string& simd : available_simd()) {
      use_simd(simd);
      for_each_fit("mlp_torch_fits.json",
                   [&](const GoldenProblem& problem, const MlpJob& job, const GoldenFit& golden) {
                     CAPTURE(simd);
                     const auto stack = make_cpu_mlp_stack(problem.training_set(), {&job, 1}, 1);
                     stack->set_parameters(0, to_float(golden.start));
                     stack->train(golden.spec.max_iter);
                     CHECK(stack->progress(0).n_iter == 5);
                     CHECK(worst_difference(stack->progress(0).loss_curve, golden.loss_curve) < 1e-5);
                     CHECK(relative_difference(stack->parameters(0), golden.end) < 1e-5);
                     const auto n_rows = static_cast<Index>(golden.probabilities.size()) / problem.n_classes;
                     Matrix<float> p(n_rows, problem.n_classes);
                     stack->predict_proba(0, problem.features.view().rows_from(0, n_rows), p.view());
                     const std::vector<double> probabilities(p.values.begin(), p.values.end());
                     CHECK(worst_difference(probabilities, golden.probabilities) < 2e-5);
                   });
    }
    choose_simd();
  }
}
