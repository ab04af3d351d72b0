#include <algorithm>
#include <vector>

#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "host/bench/training_peer.hpp"
#include "host/cache/extraction.hpp"
#include "host/core/temporary_folder.hpp"
#include "host/data/dataset.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/evaluation/protocols.hpp"
#include "host/evaluation/search.hpp"

namespace melgrad {
namespace {

constexpr int n_folds = 5;
constexpr int most_epochs = 50;  // of a fit: a search is many short fits

int epochs_of(const BenchOptions& options) {
  return options.max_epochs > 0 ? std::min(options.max_epochs, most_epochs) : most_epochs;
}

// Two architectures, two activations, two penalties; every fit as many epochs, so that others do the same
// work.
std::vector<Candidate> candidates_of(int epochs) {
  std::vector<Candidate> candidates;
  for (const std::vector<int>& hidden : {std::vector<int>{100}, std::vector<int>{50, 20}})
    for (const Activation activation : {Activation::relu, Activation::logistic})
      for (const double alpha : {1e-4, 1e-2}) {
        MlpSpec& spec = candidates.emplace_back().spec;
        spec.hidden_layer_sizes = hidden;
        spec.activation = activation;
        spec.alpha = alpha;
        spec.batch_size = 128;
        spec.max_iter = epochs;
        spec.tol = 0;
        spec.n_iter_no_change = epochs + 1;
      }
  return candidates;
}

Dataset dataset_of(const Manifest& manifest, Engine& engine, const std::filesystem::path& folder,
                   Progress& progress) {
  return make_dataset(
      extract_features(manifest, feature_spec("notebook"), engine, folder / "features.h5", {}, progress)
          .table);
}

// Runs the work by every engine; the rows, each beside the first one's clock.
template <class Work>
void add_engines(const std::vector<BenchEngine>& engines, const std::string& name, double n_units,
                 const std::string& unit, int repeats, const Work& work, BenchReport& report) {
  double first_seconds = 0;
  for (const BenchEngine& engine : engines) {
    const Timing timing = measure([&] { work(engine); }, repeats);
    BenchRow row = engine.row(name, n_units, unit);
    row.cpu_seconds = timing.cpu_seconds;
    row.wall_seconds = timing.wall_seconds;
    if (&engine == &engines.front())
      first_seconds = timing.wall_seconds.median;
    else
      row.note =
          fmt::format("{:.2f} times one thread by the clock", first_seconds / timing.wall_seconds.median);
    report.rows.push_back(row);
  }
}

}  // namespace

BenchReport bench_search(const Manifest& manifest, const BenchOptions& options, Progress& progress) {
  const TemporaryFolder folder;
  const std::vector<BenchEngine> engines = bench_engines(options);
  const Dataset dataset = dataset_of(manifest, *engines.front().engine, folder.path(), progress);
  const int epochs = epochs_of(options);
  const std::vector<Candidate> candidates = candidates_of(epochs);
  const SearchPlan plan = plan_search(dataset, candidates, {.folds = n_folds});
  const auto n_fits = static_cast<double>(plan.n_fits());
  BenchReport report;
  report.description = fmt::format("{} candidates in {} folds of {} clips, {} epochs each", candidates.size(),
                                   n_folds, dataset.n_rows(), epochs);
  const std::string work = fmt::format("search: {} fits", plan.n_fits());
  SilentProgress quiet(progress);
  progress.begin("search", 0);
  double best = 0;
  const auto search = [&](const BenchEngine& engine) {
    const SearchResult found = run_search(dataset, plan, *engine.engine, nullptr, quiet);
    best = found.candidates[found.best].accuracy.mean.value_or(0);
  };
  add_engines(engines, work, n_fits, "fit", options.repeats, search, report);
  report.rows.front().note = fmt::format("best accuracy {:.1f} %", 100 * best);

  if (!options.python.empty()) {
    std::vector<int> rows(static_cast<std::size_t>(dataset.n_rows()));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int>(i);
    const FeatureScaling scaling = fit_standard_scaler(dataset.features.view(), rows);
    Json request =
        training_peer_request(dataset, rows, scaling, candidates.front().spec, epochs, folder.path());
    request["folds"] = n_folds;
    request["grid"] = Json::array();
    for (const Candidate& each : candidates)
      request["grid"].push_back({{"hidden_layer_sizes", each.spec.hidden_layer_sizes},
                                 {"activation", to_name(each.spec.activation)},
                                 {"alpha", each.spec.alpha}});
    const PeerWork gridsearch = {"scikit-learn-search", request,
                                 [&] { return cpu_seconds_of([&] { search(engines.front()); }); }};
    const PeerComparison comparison =
        compare_with_peers(options.python, {&gridsearch, 1}, folder.path(), options.repeats,
                           options.least_peer_seconds, progress)
            .front();
    const std::vector<double>& accuracy = comparison.values;
    BenchRow row = report.rows.front().of_peer(
        comparison, n_fits, "scikit-learn",
        accuracy.empty() ? std::string() : fmt::format("best accuracy {:.1f} %", 100 * accuracy.front()));
    row.who += " GridSearchCV";
    report.rows.insert(report.rows.begin() + 1, row);
  }
  progress.end();
  return report;
}

BenchReport bench_end_to_end(const Manifest& manifest, const BenchOptions& options, Progress& progress) {
  const TemporaryFolder folder;
  const std::vector<BenchEngine> engines = bench_engines(options);
  MlpSpec spec;
  spec.hidden_layer_sizes = {300};
  spec.activation = Activation::logistic;
  spec.alpha = 1e-3;
  spec.batch_size = 256;
  spec.max_iter = options.max_epochs > 0 ? options.max_epochs : 1000;
  const auto cache = folder.path() / "features.h5";
  BenchReport report;
  report.description = fmt::format("{} clips; 2 random splits, 2 folds of speakers, the network for use",
                                   manifest.clips.size());
  SilentProgress quiet(progress);
  progress.begin("end to end", 0);
  add_engines(
      engines, "end to end: recordings to results", static_cast<double>(manifest.clips.size()), "clip",
      options.repeats,
      [&](const BenchEngine& engine) {
        std::filesystem::remove(cache);
        const Dataset dataset =
            make_dataset(extract_features(manifest, feature_spec("notebook"), *engine.engine, cache,
                                          {.n_threads = engine.n_threads}, quiet)
                             .table);
        evaluate_protocols(dataset, nullptr, spec, *engine.engine, {.n_splits = 2, .n_folds = 2}, quiet);
      },
      report);
  progress.end();
  return report;
}

}  // namespace melgrad
