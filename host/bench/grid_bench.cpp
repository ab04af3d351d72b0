#include <numeric>

#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "host/bench/training_peer.hpp"
#include "host/cache/extraction.hpp"
#include "host/core/philox.hpp"
#include "host/core/temporary_folder.hpp"
#include "host/data/dataset.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {
namespace {

constexpr int n_folds = 10;
constexpr int n_grid_fits = 3600;  // 360 candidates in 10 folds
constexpr int n_per_stratum = 2;   // fits that are measured of each architecture, activation and solver

const std::vector<std::vector<int>> architectures = {{8}, {180}, {300}, {100, 50}, {10, 10, 10}};

std::string architecture_text(const std::vector<int>& hidden) {
  return fmt::format("({}{})", fmt::join(hidden, ","), hidden.size() == 1 ? "," : "");
}

// A sample of the notebook's candidates of one architecture: for each activation and solver n_per_stratum
// fits of random alpha, epsilon and learning_rate.
std::vector<MlpSpec> sample_candidates(const std::vector<int>& hidden, PhiloxSequence& random) {
  std::vector<MlpSpec> specs;
  for (const Activation activation : {Activation::tanh, Activation::relu, Activation::logistic}) {
    for (const Solver solver : {Solver::sgd, Solver::adam}) {
      for (int i = 0; i < n_per_stratum; ++i) {
        MlpSpec& spec = specs.emplace_back();
        spec.hidden_layer_sizes = hidden;
        spec.activation = activation;
        spec.solver = solver;
        spec.alpha = std::array{1e-4, 1e-3, 1e-2}[random.next_below(3)];
        spec.epsilon = random.next_below(2) == 0 ? 1e-8 : 0.1;
        spec.learning_rate = random.next_below(2) == 0 ? LearningRate::adaptive : LearningRate::constant;
        spec.batch_size = 256;
        spec.random_state = static_cast<std::int64_t>(specs.size());
      }
    }
  }
  return specs;
}

// The rows but every tenth, from `fold`.
std::vector<int> without_fold(std::span<const int> rows, int fold) {
  std::vector<int> kept;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (static_cast<int>(i) % n_folds != fold) kept.push_back(rows[i]);
  return kept;
}

// scikit-learn's CPU seconds for the same fits with as many epochs each: one fit of each activation and
// solver.
BenchRow measure_peer(const Dataset& dataset, const std::vector<MlpJob>& jobs,
                      const std::vector<FittedMlp>& fitted, const BenchOptions& options, Engine& engine,
                      const std::filesystem::path& folder, Progress& quiet) {
  BenchRow row{.unit = "fit"};
  double theirs = 0, ours = 0;
  const TrainingSet training_set{dataset.features.view(), dataset.labels, dataset.n_classes()};
  for (std::size_t i = 0; i < jobs.size(); i += n_per_stratum) {
    Peer peer(options.python, "scikit-learn",
              training_peer_request(dataset, jobs[i].rows, *jobs[i].scaling, jobs[i].spec,
                                    fitted[i].progress.n_iter, folder),
              folder);
    row.who = fmt::format("scikit-learn {}", peer.version());
    row.missing = peer.missing();
    if (!row.missing.empty()) return row;
    theirs += peer.do_part(0);
    ours += cpu_seconds_of([&] { Trainer(engine).fit(training_set, {&jobs[i], 1}, quiet); });
    ++row.n_units;
  }
  row.cpu_seconds = median_range({theirs});
  row.ratio = {theirs / ours, theirs / ours, theirs / ours};
  return row;
}

}  // namespace

BenchReport bench_grid(const Manifest& manifest, const BenchOptions& options, Progress& progress) {
  const TemporaryFolder folder;
  const auto engine = make_engine(options.device == "auto" ? "cpu" : options.device, {.n_threads = 1}).engine;
  const Dataset dataset = make_dataset(extract_features(manifest, feature_spec("notebook"), *engine,
                                                        folder.path() / "features.h5", {}, progress)
                                           .table);
  const std::vector<int> rows = notebook_training_rows(dataset.n_rows());
  const std::vector<int> train = without_fold(rows, 0);
  const FeatureScaling scaling = fit_standard_scaler(dataset.features.view(), train);
  const TrainingSet training_set{dataset.features.view(), dataset.labels, dataset.n_classes()};
  const std::string who = fmt::format("melgrad {} ({})", engine->name(), engine->description());
  BenchReport report;
  report.description = fmt::format(
      "the notebook's grid of 360 candidates in {} folds, each at most 200 epochs of batches of 256 over {} "
      "x {} "
      "features",
      n_folds, train.size(), dataset.features.cols);
  PhiloxSequence random(0, RandomStream::search);
  SilentProgress quiet(progress);
  double ours = 0, theirs = 0;
  for (const std::vector<int>& hidden : architectures) {
    const std::string name = architecture_text(hidden);
    std::vector<MlpJob> jobs;
    for (const MlpSpec& spec : sample_candidates(hidden, random))
      jobs.push_back({.spec = spec, .rows = train, .validation_rows = {}, .scaling = &scaling});
    progress.begin(fmt::format("grid: {}", name), 0);
    std::vector<FittedMlp> fitted;
    const Timing timing =
        measure([&] { fitted = Trainer(*engine).fit(training_set, jobs, quiet); }, options.repeats);
    const auto n_epochs =
        std::accumulate(fitted.begin(), fitted.end(), 0,
                        [](int sum, const FittedMlp& each) { return sum + each.progress.n_iter; });
    const auto n_fits = static_cast<double>(jobs.size());
    report.rows.push_back(
        {.work = fmt::format("grid: {} of {} fits of {}", jobs.size(),
                             static_cast<std::size_t>(n_grid_fits) / architectures.size(), name),
         .who = who,
         .n_units = n_fits,
         .unit = "fit",
         .cpu_seconds = timing.cpu_seconds,
         .wall_seconds = timing.wall_seconds,
         .note = fmt::format("{:.0f} epochs a fit", n_epochs / n_fits)});
    const double of_all =
        timing.cpu_seconds.median / n_fits * n_grid_fits / static_cast<double>(architectures.size());
    ours += of_all;
    if (options.python.empty()) continue;
    BenchRow peer = measure_peer(dataset, jobs, fitted, options, *engine, folder.path(), quiet);
    peer.work = report.rows.back().work;
    theirs += of_all * peer.ratio.value;
    report.rows.push_back(peer);
  }
  report.rows.push_back(
      {.work = "grid: all 3600 fits, from these samples",
       .who = who,
       .n_units = n_grid_fits,
       .unit = "fit",
       .cpu_seconds = median_range({ours}),
       .note = theirs > 0 ? fmt::format("scikit-learn {:.0f} s, {:.2f} times", theirs, theirs / ours)
                          : std::string()});
  progress.end();
  return report;
}

}  // namespace melgrad
