// melgrad validation-curve features.h5 --parameter alpha --values 1e-4,1e-3,1e-2
// melgrad learning-curve features.h5

#include <fmt/format.h>

#include <memory>

#include "host/cache/atomic_file.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/core/pretty_json.hpp"
#include "host/evaluation/curves.hpp"
#include "host/report/curve_report.hpp"

namespace melgrad {
namespace {

// What a curve takes of a search's options.
struct CurveFolds {
  SearchProtocol protocol = SearchProtocol::random;
  int folds = 0;
  bool shuffle_folds = true;
  int seeds = 1;

  static constexpr auto fields() {
    return std::tuple{
        field("protocol", &CurveFolds::protocol, "folds of clips, or of unheard speakers"),
        field("folds", &CurveFolds::folds, "0: 10 of clips; of speakers, from their number", 0, 10000),
        field("shuffle_folds", &CurveFolds::shuffle_folds, "draw the folds of clips by chance"),
        field("seeds", &CurveFolds::seeds, "fits of each point on each fold", 1, 1000)};
  }
};

struct CurveOptions {
  std::string input;
  std::string output;
  std::string parameter;
  std::string values;
  std::vector<double> train_sizes = {0.1, 0.325, 0.55, 0.775, 1.0};
  OverwriteOption overwrite;
  FieldOptions<CurveFolds> folds;
  FieldOptions<MlpSpec> mlp;
};

// "0.1,1" as values of a field; lists are told apart by semicolons: "300;100,50".
std::vector<Json> read_values(const std::string& parameter, const std::string& text) {
  std::vector<Json> values;
  for_each_field<MlpSpec>([&](const auto& each) {
    using Value = std::remove_cvref_t<decltype(MlpSpec().*each.member)>;
    if (parameter != each.name) return;
    for (const std::string& part : CLI::detail::split(text, detail::is_vector<Value>::value ? ';' : ',')) {
      const Json value = detail::json_from_text<Value>(part);
      if constexpr (std::is_same_v<Value, bool>)
        values.push_back(part == "true" ? Json(true) : part == "false" ? Json(false) : Json(part));
      else
        values.push_back(value);
    }
  });
  // Throws, with the names that there are, unless the field is one and may have the values.
  for (const Json& value : values)
    with_context("--values", [&] { from_json_fields<MlpSpec>(Json{{parameter, value}}); });
  if (values.empty())
    with_context("--parameter", [&] { from_json_fields<MlpSpec>(Json{{parameter, Json()}}); });
  return values;
}

// Reads, computes, writes: what both commands do alike. `compute` is one of the functions of curves.hpp.
template <class Compute>
int run_curve(const CurveOptions& options, const CommonOptions& common, Console& console, Compute&& compute) {
  MlpSpec mlp = options.mlp.read();
  mlp.random_state = common.random_state;
  const CurveFolds folds = options.folds.read();
  const SearchOptions search{.protocol = folds.protocol,
                             .folds = folds.folds,
                             .shuffle_folds = folds.shuffle_folds,
                             .seeds = folds.seeds,
                             .random_state = common.random_state};
  if (!options.output.empty()) options.overwrite.check(options.output);
  const FeatureTable table = read_feature_table(options.input);
  const Dataset dataset = with_context(options.input, [&] { return make_dataset(table); });
  const MadeEngine made = make_engine(common, console);
  console.heed_interrupts();
  const Curve curve = compute(dataset, mlp, search, *made.engine);

  Json json = {{"schema_version", 1},
               {"version", MELGRAD_VERSION},
               {"device", made.engine->name()},
               {"features", options.input},
               {"mlp", to_json_fields(mlp)},
               {"folds", to_json_fields(folds)},
               {"random_state", common.random_state}};
  json.update(to_json(curve));
  const std::string text = pretty_text(json);
  if (!options.output.empty())
    save_atomically(options.output, std::as_bytes(std::span(text)), [](const std::filesystem::path&) {});
  console.result(console.json() ? text : curve_text(curve, console.style()));
  return exit_done;
}

// The options that both commands have, after their own.
void add_options(CLI::App& app, CurveOptions& options, CommonOptions& common) {
  app.add_option("-o,--output", options.output, "the curve as JSON")->type_name("CURVE.json");
  options.overwrite.add(app);
  options.folds.add(app, "Folds", {});
  options.mlp.add(app, "Network (scikit-learn's MLPClassifier)", notebook_mlp());
  add_common_options(app, common);
}

}  // namespace

Command make_validation_curve_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "validation-curve", "scores on training and test clips over one option of the network",
      "  melgrad validation-curve features.h5 --parameter alpha --values 1e-6,1e-4,1e-2,1\n"
      "  melgrad validation-curve features.h5 --parameter hidden_layer_sizes --values '30;300;100,50'\n");
  auto options = std::make_shared<CurveOptions>();
  app.add_option("FEATURES.h5", options->input, "a cache")->required();
  app.add_option("--parameter", options->parameter, "which option, as scikit-learn names it")
      ->type_name("NAME")
      ->required();
  app.add_option("--values", options->values, "its values; lists are separated by semicolons")
      ->type_name("X,X,...")
      ->required();
  add_options(app, *options, common);
  return {&app, [options, &common](Console& console) {
            const std::vector<Json> values = read_values(options->parameter, options->values);
            if (options->mlp.given().contains(options->parameter))
              fail_usage("{} is what --parameter varies", option_name(options->parameter));
            return run_curve(
                *options, common, console,
                [&](const Dataset& dataset, const MlpSpec& mlp, const SearchOptions& search, Engine& engine) {
                  return validation_curve(dataset, mlp, options->parameter, values, search, engine, console);
                });
          }};
}

Command make_learning_curve_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "learning-curve", "scores on training and test clips over the number of training clips",
      "  melgrad learning-curve features.h5\n"
      "  melgrad learning-curve features.h5 --train-sizes 10,100,300,500,800 --protocol speaker\n");
  auto options = std::make_shared<CurveOptions>();
  app.add_option("FEATURES.h5", options->input, "a cache")->required();
  app.add_option("--train-sizes", options->train_sizes,
                 "numbers of training clips, or shares up to 1 of them")
      ->delimiter(',')
      ->type_name("N,N,...")
      ->default_str("0.1,0.325,0.55,0.775,1");
  add_options(app, *options, common);
  return {&app, [options, &common](Console& console) {
            return run_curve(
                *options, common, console,
                [&](const Dataset& dataset, const MlpSpec& mlp, const SearchOptions& search, Engine& engine) {
                  return learning_curve(dataset, mlp, options->train_sizes, search, engine, console);
                });
          }};
}

}  // namespace melgrad
