// melgrad train features.h5 -o model.h5

#include <fmt/format.h>

#include <memory>
#include <vector>

#include "host/cache/atomic_file.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/cli/outcome.hpp"
#include "host/evaluation/prediction_statistics.hpp"
#include "host/models/model_file.hpp"
#include "host/report/terminal.hpp"

namespace melgrad {
namespace {

struct TrainOptions {
  std::string input;
  std::string output;
  bool no_evaluation = false;
  OverwriteOption overwrite;
  NetworkOptions network;
  FieldOptions<TreatmentOptions> treatment;
  FieldOptions<EvaluationOptions> evaluation;
};

std::string training_text(const MlpProgress& training, double fit_seconds, const std::string& file) {
  return fmt::format("{}: trained on everything in {}, {} epochs, stopped by {}, last loss {:.4f}\n", file,
                     time_text(fit_seconds), training.n_iter, to_name(training.stop_reason),
                     training.loss_curve.empty() ? 0.0 : training.loss_curve.back());
}

int train(const TrainOptions& options, const CommonOptions& common, Console& console) {
  const TreatmentOptions treatment = options.treatment.read();
  EvaluationOptions evaluation_spec = options.evaluation.read();
  evaluation_spec.random_state = common.random_state;
  if (evaluation_spec.tta && !treatment.augment)
    fail_usage("--tta asks about the copies that --augment reads");
  options.network.check();
  options.overwrite.check(options.output);
  const FileLock lock(options.output + ".lock", options.output);
  remove_leftover_temporaries(options.output);
  console.heed_interrupts();

  const FeatureTable table = read_feature_table(options.input);
  MlpSpec mlp = options.network.read(table.spec);
  mlp.random_state = common.random_state;
  Dataset dataset = with_context(options.input, [&] { return make_dataset(table); });
  treat(dataset, treatment,
        treatment.augment ? read_copies(options.input, table.spec) : std::vector<FeatureTable>(), console);
  const MadeEngine made = make_engine(common, console);
  Results results = begin_results(common, made,
                                  {{"command", "train"},
                                   {"data", options.input},
                                   {"mlp", to_json_fields(mlp)},
                                   {"treatment", to_json_fields(treatment)},
                                   {"evaluation", to_json_fields(evaluation_spec)}});
  results.dataset = summarise(options.input, dataset, dataset.refused);
  results.features.spec = dataset.spec;
  results.features.n_features = dataset.features.cols;
  results.features.cached_clips = dataset.n_rows();

  TrainedClassifier trained;
  if (options.no_evaluation) {
    trained = train_classifier(dataset, mlp, *made.engine, console, evaluation_spec.ensemble);
  } else {
    Evaluation evaluation = evaluate_protocols(dataset, nullptr, mlp, *made.engine, evaluation_spec, console);
    results.models = std::move(evaluation.results);
    add_statistics(results.models, dataset, nullptr, evaluation_spec, console);
    trained = {std::move(evaluation.classifier), std::move(evaluation.training), evaluation.times};
  }
  save_classifier(trained.classifier, options.output);

  if (console.json()) {
    Json json = to_json(results);
    json["model"] = {{"file", options.output},
                     {"n_iter", trained.training.n_iter},
                     {"stop_reason", to_name(trained.training.stop_reason)},
                     {"loss_curve", trained.training.loss_curve},
                     {"fit_seconds", trained.times.wall_seconds}};
    console.json_result(json);
  } else {
    if (!options.no_evaluation) console.result(protocols_text(results, console.style()));
    console.result(training_text(trained.training, trained.times.wall_seconds, options.output));
  }
  return exit_done;  // what was refused was refused when the cache was made
}

}  // namespace

Command make_train_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "train", "a network from a cache of features, and its accuracy on held-out clips and speakers",
      "  melgrad train features.h5 -o model.h5\n"
      "  melgrad train features.h5 -o model.h5 --hidden-layer-sizes 64,32 --activation relu "
      "--early-stopping\n"
      "  melgrad train features.h5 -o model.h5 --no-evaluation     the model alone\n"
      "\nThe model is trained on every usable clip. How well it does is measured on models like it, trained\n"
      "without the clips, or the speakers, that they are tested on.");
  auto options = std::make_shared<TrainOptions>();
  app.add_option("FEATURES.h5", options->input, "a cache")->required();
  app.add_option("-o,--output", options->output, "the model")->type_name("MODEL.h5")->required();
  app.add_flag("--no-evaluation", options->no_evaluation, "train the model and nothing else");
  options->overwrite.add(app);
  options->treatment.add(app, "Training data", {});
  options->network.add(app);
  options->evaluation.add(app, "Evaluation", EvaluationOptions{.n_splits = 2, .n_folds = 2});
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return train(*options, common, console); }};
}

}  // namespace melgrad
