// melgrad sweep features.h5 --grid grid.toml -o sweep.json

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <set>

#include "host/cache/atomic_file.hpp"
#include "host/cache/shards.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/inputs.hpp"
#include "host/cli/shard_option.hpp"
#include "host/core/date.hpp"
#include "host/core/pretty_json.hpp"
#include "host/evaluation/protocols.hpp"
#include "host/models/model_file.hpp"
#include "host/report/search_report.hpp"

namespace melgrad {
namespace {

struct SweepOptions {
  std::string input;
  std::string grid;
  std::string output = "sweep.json";
  std::string hdf5;
  std::string refit;
  std::int64_t n_iter = 0;
  bool restart = false;
  OverwriteOption overwrite;
  ShardOption shard;
  FieldOptions<SearchOptions> search;
  FieldOptions<MlpSpec> mlp;

  std::string journal() const { return output + ".journal"; }
};

std::vector<Candidate> read_candidates(const SweepOptions& options, const CommonOptions& common) {
  MlpSpec defaults;
  defaults.random_state = common.random_state;
  std::vector<Candidate> candidates = read_search_grid(
      options.grid, {.spec = defaults, .given = options.mlp.given(), .random_state = common.random_state});
  if (options.n_iter == 0) return candidates;
  return sample_candidates(candidates, static_cast<std::size_t>(options.n_iter), common.random_state);
}

// What a finished or interrupted sweep into the same file wrote may be replaced by its continuation.
void check_outputs(const SweepOptions& options) {
  if (!std::filesystem::exists(options.journal())) options.overwrite.check(options.output);
  std::set<std::filesystem::path> others;
  for (const std::string& file : {options.input, options.grid, options.output, options.hdf5, options.refit})
    if (!file.empty() && !others.insert(std::filesystem::weakly_canonical(file)).second)
      fail_usage("{} is named twice: each file has to be another one", file);
  for (const std::string& file : {options.hdf5, options.refit})
    if (!file.empty()) options.overwrite.check(file);
}

void save(std::span<const std::byte> content, const std::string& file) {
  save_atomically(file, content, [](const std::filesystem::path&) {});
}

Json report_json(const SweepOptions& options, const MadeEngine& made, const Json& key,
                 const SearchResult& result) {
  Json json = {{"schema_version", 1},
               {"version", MELGRAD_VERSION},
               {"date", utc_date()},
               {"device", made.engine->name()},
               {"device_description", made.engine->description()},
               {"files", {{"features", options.input}, {"grid", options.grid}}},
               {"key", key}};
  json.update(to_json(result));
  return json;
}

// Calls run(journal), where the journal is of n_fits fits; says how many are finished before and, where the
// user ends it, after.
template <class Run>
auto with_journal(const std::string& file, const Json& key, std::size_t n_fits, const SweepOptions& options,
                  Console& console, Run&& run) {
  SearchJournal journal(file, key, {{"features", options.input}, {"grid", options.grid}}, options.restart);
  if (journal.n_damaged() > 0)
    console.warn(fmt::format("{}: {} damaged lines: their fits are done again", file, journal.n_damaged()));
  if (!journal.finished().empty())
    console.note(
        fmt::format("{}: {} of {} fits were finished before", file, journal.finished().size(), n_fits));
  console.heed_interrupts();
  try {
    return run(journal);
  } catch (const Interrupted&) {
    console.note(fmt::format("interrupted: {} of {} fits are finished; the same command goes on from there",
                             journal.finished().size(), n_fits));
    throw;
  }
}

int sweep_shard(const SweepOptions& options, std::vector<Candidate> candidates,
                const SearchOptions& search_options, Shard shard, const CommonOptions& common,
                Console& console) {
  make_shards_folder(options.output);
  const std::string file = shard_file(options.output, shard, "journal").string();
  const FileLock lock(file + ".lock", file);
  const FeatureTable table = read_feature_table(options.input);
  const Dataset dataset = with_context(options.input, [&] { return make_dataset(table); });
  const MadeEngine made = options.shard.make_engine(common, shard, console);
  const SearchPlan plan = plan_search(dataset, std::move(candidates), search_options);
  const Json key = shard_key(search_key(dataset, plan, made.engine->name()), plan, shard);
  const auto n_fits = static_cast<std::size_t>(shard.n_taken(static_cast<Index>(plan.n_search_fits())));
  with_journal(file, key, n_fits, options, console, [&](SearchJournal& journal) {
    run_search_shard(dataset, plan, *made.engine, shard, journal, console);
  });
  if (console.json())
    console.json_result(Json{{"file", file}, {"shard", to_json(shard)}, {"n_fits", n_fits}});
  else
    console.result(fmt::format("{}: {} of {} fits\n", file, n_fits, plan.n_fits()));
  console.note(fmt::format("`melgrad merge {}` brings the {} shards together once all have ended",
                           options.output, shard.count));
  return exit_done;
}

int sweep(const SweepOptions& options, const CommonOptions& common, Console& console) {
  std::vector<Candidate> candidates = read_candidates(options, common);
  SearchOptions search_options = options.search.read();
  search_options.random_state = common.random_state;
  const Shard shard = options.shard.read(console);
  if (!shard.is_whole())
    return sweep_shard(options, std::move(candidates), search_options, shard, common, console);
  const FileLock lock(options.output + ".lock", options.output);
  check_outputs(options);
  remove_leftover_temporaries(options.output);

  const FeatureTable table = read_feature_table(options.input);
  const Dataset dataset = with_context(options.input, [&] { return make_dataset(table); });
  const MadeEngine made = make_engine(common, console);
  SearchPlan plan = plan_search(dataset, std::move(candidates), search_options);
  const Json key = search_key(dataset, plan, made.engine->name());
  const std::size_t n_fits = plan.n_fits();
  const SearchResult result =
      with_journal(options.journal(), key, n_fits, options, console, [&](SearchJournal& journal) {
        return run_search(dataset, std::move(plan), *made.engine, &journal, console);
      });

  const Json json = report_json(options, made, key, result);
  const std::string text = pretty_text(json);
  if (!options.hdf5.empty()) save(search_hdf5(result, json), options.hdf5);
  save(std::as_bytes(std::span(text)), options.output);
  if (!options.refit.empty()) {
    const MlpSpec& best = result.plan.candidates[result.best].spec;
    save_classifier(train_classifier(dataset, best, *made.engine, console).classifier, options.refit);
  }

  if (console.json()) {
    console.result(text);
  } else {
    console.result(search_text(result, console.style()));
    console.note(fmt::format("every fit is in {}", options.output));
    if (!options.refit.empty())
      console.note(fmt::format("{}: the best candidate, trained on everything", options.refit));
  }
  return exit_done;
}

}  // namespace

Command make_sweep_command(CLI::App& program, CommonOptions& common) {
  CLI::App& app = add_command(
      program, "sweep", "the best options of a network, by grid or random search",
      "  melgrad sweep features.h5 --grid tools/grids/notebook.toml --folds 10\n"
      "  melgrad sweep features.h5 --grid grid.toml --protocol speaker --seeds 3 --refit best.h5\n"
      "  melgrad sweep features.h5 --grid grid.toml --n-iter 60 --nested 5\n"
      "\nThe grid is a TOML file in scikit-learn's words: [mlp] for what all candidates share, [[grid]] for\n"
      "every combination of lists, [[random]] for n_iter draws of lists, { uniform = [low, high] } and\n"
      "{ log_uniform = [low, high] }. What is finished stays in SWEEP.json.journal: after Ctrl-C, kill -9 "
      "or\n"
      "a full disk the same command goes on from there.");
  auto options = std::make_shared<SweepOptions>();
  app.add_option("FEATURES.h5", options->input, "a cache")->required();
  app.add_option("--grid", options->grid, "the candidates")->type_name("GRID.toml")->required();
  app.add_option("-o,--output", options->output, "the results")
      ->type_name("SWEEP.json")
      ->default_str("sweep.json");
  app.add_option("--hdf5", options->hdf5, "the results as HDF5, too")->type_name("SWEEP.h5");
  app.add_option("--refit", options->refit, "the best candidate, trained on everything")
      ->type_name("MODEL.h5");
  app.add_option("--n-iter", options->n_iter,
                 "no more than so many of the candidates, drawn by chance; 0: all")
      ->check(CLI::Range(std::int64_t{0}, static_cast<std::int64_t>(most_candidates)).description(""))
      ->type_name("N")
      ->default_str("0");
  app.add_flag("--restart", options->restart, "forget what is finished");
  options->overwrite.add(app);
  options->shard.add(app);
  options->search.add(app, "Search (scikit-learn's GridSearchCV)", {});
  options->mlp.add(app, "Network (scikit-learn's MLPClassifier): before [mlp] of the grid", {});
  add_common_options(app, common);
  return {&app, [options, &common](Console& console) { return sweep(*options, common, console); }};
}

}  // namespace melgrad
