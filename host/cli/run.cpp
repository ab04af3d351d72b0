// melgrad run DATA: the whole job.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <vector>

#include "host/audio/folder_scan.hpp"
#include "host/bench/throughput.hpp"
#include "host/cache/atomic_file.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/cli/outcome.hpp"
#include "host/core/file_system.hpp"
#include "host/evaluation/classical_protocols.hpp"
#include "host/evaluation/curves.hpp"
#include "host/evaluation/drift.hpp"
#include "host/evaluation/prediction_statistics.hpp"
#include "host/models/model_file.hpp"
#include "host/models/search_grid.hpp"
#include "host/report/curve_report.hpp"
#include "host/report/report_files.hpp"
#include "host/report/results.hpp"
#include "host/report/typesetting.hpp"

namespace melgrad {
namespace {

struct RunOptions {
  DataOptions data;
  std::string own;
  std::string own_pattern;
  std::string out = "results";
  std::string group_noun = "speaker";
  bool quick = false;
  OverwriteOption overwrite;
  FeatureOptions features{"speech"};
  NetworkOptions network;
  std::string grid;
  FieldOptions<TreatmentOptions> treatment;
  FieldOptions<EvaluationOptions> evaluation;
  FieldOptions<ModelChoice> models;
  std::string peers;
};

// Files of the results folder.
struct ResultsFolder {
  std::filesystem::path path;
  std::filesystem::path features() const { return path / "features.h5"; }
  std::filesystem::path own_features() const { return path / "own_features.h5"; }
  std::filesystem::path model() const { return path / "model.h5"; }
  std::filesystem::path results() const { return path / "results.json"; }
  std::filesystem::path report() const { return path / "report.pdf"; }
  std::filesystem::path log() const { return path / "log.txt"; }
};

// The results of an earlier run on the same DATA are replaced; anything else that is in the way is an error.
// results.json is written before model.h5, so a model alone is not from an interrupted run.
void check_folder(const ResultsFolder& folder, const RunOptions& options) {
  if (options.overwrite.overwrite) return;
  if (!std::filesystem::exists(folder.results())) {
    if (std::filesystem::exists(folder.path)) options.overwrite.check(folder.model().string());
    return;
  }
  std::string earlier;
  try {
    earlier = read_results(folder.results()).dataset.name;
  } catch (const Error& error) {
    fail_usage("{}; --overwrite replaces it, --out takes another folder", error.what());
  }
  if (earlier != options.data.data)
    fail_usage(
        "{} holds the results of '{}', not of '{}'; --out takes another folder, --overwrite replaces them",
        folder.path.string(), earlier, options.data.data);
}

// A data set with everything that is known of its reading.
struct Recordings {
  Manifest manifest;
  Dataset dataset;
  DatasetSummary summary;
  ExtractionReport report;
};

Recordings read_recordings(const std::string& data, const std::string& pattern, const std::string& group_noun,
                           const FeatureSpec& spec, const std::filesystem::path& cache, int min_labels,
                           const TreatmentOptions& treatment, Engine& engine, const CommonOptions& common,
                           Console& console) {
  Manifest manifest = load_recordings(data, pattern, console);
  Extraction extraction =
      extract_features(manifest, spec, engine, cache, {.n_threads = common.n_threads}, console);
  std::vector<Refusal> refused = extraction.report.refused;
  log_refused(refused, console);
  Dataset dataset = with_context(data, [&] { return make_dataset(extraction.table, min_labels); });
  dataset.group_noun = group_noun;
  std::vector<FeatureTable> copies;
  if (treatment.augment) copies = extract_copies(manifest, spec, engine, cache, common.n_threads, console);
  treat(dataset, treatment, copies, console);
  DatasetSummary summary = summarise(data, dataset, std::move(refused));
  return {std::move(manifest), std::move(dataset), std::move(summary), std::move(extraction.report)};
}

Json options_json(const RunOptions& options, const MlpSpec& mlp, const TreatmentOptions& treatment,
                  const EvaluationOptions& evaluation, const ModelChoice& models, const FeatureSpec& features,
                  const std::vector<Candidate>& candidates) {
  Json tried = Json::array();
  for (const Candidate& each : candidates) tried.push_back(each.parameters);
  return {{"command", "run"},
          {"data", options.data.data},
          {"pattern", options.data.pattern},
          {"own", options.own},
          {"own_pattern", options.own_pattern},
          {"group_noun", options.group_noun},
          {"quick", options.quick},
          {"features", to_json(features)},
          {"models", to_json_fields(models)["models"]},
          {"mlp", to_json_fields(mlp)},
          {"grid", options.grid},
          {"candidates", tried},
          {"treatment", to_json_fields(treatment)},
          {"evaluation", to_json_fields(evaluation)}};
}

EvaluationOptions evaluation_options(const RunOptions& options, const CommonOptions& common) {
  EvaluationOptions evaluation = options.evaluation.read();
  evaluation.random_state = common.random_state;
  if (options.quick && !options.evaluation.given().contains("n_splits")) evaluation.n_splits = 2;
  if (options.quick && !options.evaluation.given().contains("n_folds")) evaluation.n_folds = 2;
  return evaluation;
}

// Over thirds of the training clips, on folds of unheard speakers where these are known; null where the data
// is too little, which is said.
Json learning_curve_json(const Dataset& dataset, const std::vector<ProtocolResult>& models,
                         const MlpSpec& mlp, const EvaluationOptions& evaluation, Engine& engine,
                         Console& console) {
  const bool knows_speakers = std::ranges::any_of(models, [](const ProtocolResult& result) {
    return result.protocol == Protocol::speaker && result.why_not.empty();
  });
  SearchOptions options{.protocol = knows_speakers ? SearchProtocol::speaker : SearchProtocol::random,
                        .folds = knows_speakers ? evaluation.n_folds : 5,
                        .random_state = evaluation.random_state};
  try {
    Json json = to_json(learning_curve(dataset, mlp, {1.0 / 3, 2.0 / 3, 1}, options, engine, console));
    json["mlp"] = to_json_fields(mlp);
    json["protocol"] = to_name(options.protocol);
    return json;
  } catch (const Error& error) {
    console.warn(fmt::format("no learning curve: {}", error.what()));
    return nullptr;
  }
}

// Features and training as `melgrad bench` measures them, briefly; null where that fails, which is said.
Json throughput_json(const Manifest& manifest, const RunOptions& options, const CommonOptions& common,
                     std::string_view device, Console& console) {
  const std::vector<std::string> parts = {"features", "training"};
  const BenchOptions bench{.device = std::string(device),
                           .n_threads = common.n_threads,
                           .repeats = 3,
                           .least_peer_seconds = 0,
                           .max_clips = 120,
                           .max_epochs = 100,
                           .python = options.peers};
  try {
    return measure_throughput(manifest, parts, bench, console, [](const std::string&) {});
  } catch (const Error& error) {
    console.warn(fmt::format("no throughput in the report: {}", error.what()));
    return nullptr;
  }
}

int run(const RunOptions& options, const CommonOptions& common, Console& console) {
  const FeatureSpec spec = options.features.read();
  MlpSpec mlp = options.network.read(spec);
  mlp.random_state = common.random_state;
  std::vector<Candidate> candidates;
  if (!options.grid.empty())
    candidates = read_search_grid(
        options.grid, {.spec = mlp, .given = options.network.given(), .random_state = common.random_state});
  const TreatmentOptions treatment = options.treatment.read();
  const EvaluationOptions evaluation_spec = evaluation_options(options, common);
  const ModelChoice models = options.models.read();
  if (options.quick && !options.peers.empty()) fail_usage("--peers: nothing is measured with --quick");
  if (evaluation_spec.tta && !treatment.augment)
    fail_usage("--tta asks about the copies that --augment makes");

  const ResultsFolder folder{options.out};
  check_folder(folder, options);
  require_fonts();  // rather now than when all is computed
  const MadeEngine made = make_engine(common, console);
  // A mistyped DATA must not leave a folder behind.
  if (!std::filesystem::exists(options.data.data))
    fail("{}: there is no such file or folder", options.data.data);
  make_folders(folder.path);
  const FileLock lock(folder.path / "run.lock", folder.path.string());
  for (const auto& file : {folder.results(), folder.model()}) remove_leftover_temporaries(file);
  console.open_log(folder.log());
  console.heed_interrupts();

  note_division(spec, *made.engine, console);
  const Recordings recordings =
      read_recordings(options.data.data, options.data.pattern, options.group_noun, spec, folder.features(), 2,
                      treatment, *made.engine, common, console);
  std::optional<Recordings> own;
  if (!options.own.empty())
    own =
        read_recordings(options.own, options.own_pattern, options.group_noun, spec, folder.own_features(), 1,
                        {evaluation_spec.tta, treatment.speaker_normalise}, *made.engine, common, console);

  Evaluation evaluation = evaluate_protocols(recordings.dataset, own ? &own->dataset : nullptr, mlp,
                                             *made.engine, evaluation_spec, console, candidates);
  Results results = begin_results(
      common, made, options_json(options, mlp, treatment, evaluation_spec, models, spec, candidates));
  results.dataset = recordings.summary;
  if (own) results.own = own->summary;
  results.features = summarise(spec, recordings.report);
  results.features.division = division_of(spec, made.engine->name());
  const auto own_result = std::ranges::find(evaluation.results, Protocol::own, &ProtocolResult::protocol);
  std::vector<ProtocolResult> others =
      evaluate_classical(recordings.dataset, own ? &own->dataset : nullptr,
                         own_result == evaluation.results.end() ? nullptr : &*own_result, models,
                         evaluation_spec, *made.engine, common.n_threads, console);
  results.models = std::move(evaluation.results);
  std::ranges::move(others, std::back_inserter(results.models));
  add_statistics(results.models, recordings.dataset, own ? &own->dataset : nullptr, evaluation_spec, console);
  results.comparisons = compare_models(results.models, recordings.dataset.clips,
                                       own ? own->dataset.clips : std::vector<Clip>{}, common.random_state);
  if (own) results.drift = feature_drift(recordings.dataset, own->dataset);
  if (!options.quick)
    results.learning_curve =
        learning_curve_json(recordings.dataset, results.models, evaluation.classifier.spec, evaluation_spec,
                            *made.engine, console);
  write_results(results, folder.results());
  save_classifier(evaluation.classifier, folder.model());
  std::vector<std::string> warnings = write_report(results, folder.report()).warnings;
  if (!options.quick) {  // who stops this has results and a report without it
    results.bench = throughput_json(recordings.manifest, options, common, made.engine->name(), console);
    write_results(results, folder.results());
    warnings = write_report(results, folder.report()).warnings;
  }
  for (const std::string& warning : warnings) console.warn(warning);

  console.note(fmt::format("results in {}", folder.path.string()));
  return report_results(results, console);
}

}  // namespace

Command make_run_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "run", "the whole job: features, models, evaluation on unheard clips and speakers",
      "  melgrad run recordings/                         a folder for each label, or RAVDESS names\n"
      "  melgrad run recordings/ --own mine/             the final model tried on mine/LABEL/*.wav\n"
      "  melgrad run digits/ --pattern '{label}_{group}_{index}' --out digits-results\n"
      "  melgrad run recordings/ --hidden-layer-sizes 300,100 --alpha 0.01 --quick\n"
      "  melgrad run recordings/ --augment --ensemble 4 --grid tools/grids/speech.toml\n"
      "\nThe results folder gets features.h5 (the cache), own_features.h5, model.h5 (trained on all of "
      "DATA),\n"
      "results.json (everything that was found out), report.pdf, report.html, figures/ and log.txt. Run "
      "again "
      "on the\n"
      "same DATA, the caches and the log are continued and the rest is replaced. Results of other DATA are "
      "never "
      "replaced unasked.\n"
      "The features are the speech set unless --features says otherwise; those of `melgrad extract` are the "
      "notebook's, which are librosa's.");
  auto options = std::make_shared<RunOptions>();
  options->data.add(app, "folder of recordings, or CSV file with path,label[,group][,split]");
  app.add_option("--own", options->own, "recordings of your own to try the final model on")
      ->type_name("DATA");
  app.add_option("--own-pattern", options->own_pattern, "as --pattern, for --own")->type_name("PATTERN");
  app.add_option("--out", options->out, "the results folder")->type_name("FOLDER")->default_str("results");
  app.add_option("--group-noun", options->group_noun, "what a group is, for the tables")
      ->type_name("WORD")
      ->default_str("speaker");
  app.add_flag("--quick", options->quick,
               "2 random splits and 2 folds of speakers, unless others are given, no learning curve and no "
               "throughput");
  options->overwrite.add(app);
  options->features.add(app);
  options->treatment.add(app, "Training data", {});
  app.add_option(
         "--grid", options->grid,
         "candidates for the network's options, as of `melgrad sweep`: each split's are chosen inside "
         "its training clips")
      ->type_name("GRID.toml");
  options->network.add(app);
  options->evaluation.add(app, "Evaluation", {});
  options->models.add(app, "Evaluation", {});
  add_peers_option(app, options->peers);
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return run(*options, common, console); }};
}

}  // namespace melgrad
