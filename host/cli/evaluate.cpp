// melgrad evaluate model.h5 DATA|features.h5

#include <fmt/format.h>

#include <memory>

#include "host/audio/folder_scan.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/cli/outcome.hpp"
#include "host/evaluation/prediction_statistics.hpp"
#include "host/models/model_file.hpp"

namespace melgrad {
namespace {

struct EvaluateOptions {
  std::string model;
  DataOptions data;
  bool tta = false;
};

// Recordings with the model's features.
struct TestRecordings {
  Dataset dataset;
  std::vector<FeatureTable> copies;
  std::vector<Refusal> refused;
  FeatureSummary features;
};

TestRecordings from_cache(const EvaluateOptions& options, const Classifier& classifier) {
  const FeatureTable table = read_feature_table(options.data.data);
  if (table.spec != classifier.features)
    fail("{} has other features than {} was trained on: {}", options.data.data, options.model,
         difference(table.spec, classifier.features));
  TestRecordings test{.dataset = make_dataset(table, 1), .copies = {}, .refused = {}, .features = {}};
  if (options.tta) test.copies = read_copies(options.data.data, table.spec);
  test.refused = test.dataset.refused;
  test.features.cached_clips = test.dataset.n_rows();
  return test;
}

TestRecordings from_recordings(const EvaluateOptions& options, const Classifier& classifier, Engine& engine,
                               const CommonOptions& common, Console& console) {
  const Manifest manifest = load_recordings(options.data.data, options.data.pattern, console);
  ExtractedOnce extracted =
      extract_once(manifest, classifier.features, options.tta, engine, common.n_threads, console);
  TestRecordings test{.dataset = make_dataset(extracted.table, 1),
                      .copies = std::move(extracted.copies),
                      .refused = extracted.report.refused,
                      .features = summarise(classifier.features, extracted.report)};
  log_refused(test.refused, console);
  return test;
}

int evaluate(const EvaluateOptions& options, const CommonOptions& common, Console& console) {
  const Classifier classifier = load_classifier(options.model);
  const MadeEngine made = make_engine(common, console);
  console.heed_interrupts();
  TestRecordings test = has_extension(options.data.data, ".h5")
                            ? from_cache(options, classifier)
                            : from_recordings(options, classifier, *made.engine, common, console);

  treat(test.dataset, {options.tta, classifier.is_speaker_normalised}, test.copies, console);
  ProtocolResult result = test_classifier(classifier, test.dataset, *made.engine, options.tta);
  if (!result.left_out.empty())
    console.warn(
        fmt::format("{} of the recordings were in the model's training set, by the hash of their audio: "
                    "they are left out",
                    result.left_out.size()));
  Results results = begin_results(common, made,
                                  {{"command", "evaluate"},
                                   {"model", options.model},
                                   {"data", options.data.data},
                                   {"pattern", options.data.pattern},
                                   {"tta", options.tta}});
  results.dataset = summarise(options.data.data, test.dataset, std::move(test.refused));
  results.features = test.features;
  results.features.spec = classifier.features;
  results.features.n_features = test.dataset.features.cols;
  result.statistics = prediction_statistics(result, test.dataset.clips, {}, common.random_state);
  results.models.push_back(std::move(result));
  return report_results(results, console);
}

}  // namespace

Command make_evaluate_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app =
      add_command(program, "evaluate", "a trained model on labelled recordings: metrics and confusion matrix",
                  "  melgrad evaluate results/model.h5 mine/            mine/LABEL/*.wav\n"
                  "  melgrad evaluate model.h5 other_features.h5 --json\n"
                  "\nRecordings that the model was trained on are known by the hash of their audio and left "
                  "out; labels that\n"
                  "it does not know are refused by name.");
  auto options = std::make_shared<EvaluateOptions>();
  app.add_option("MODEL.h5", options->model, "a trained model")->required();
  options->data.add(app, "folder of recordings, CSV file, or cache of the same features (.h5)");
  add_tta_option(app, options->tta);
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return evaluate(*options, common, console); }};
}

}  // namespace melgrad
