#include <algorithm>

#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "host/bench/training_peer.hpp"
#include "host/cache/extraction.hpp"
#include "host/core/error.hpp"
#include "host/core/temporary_folder.hpp"
#include "host/data/dataset.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {
namespace {

constexpr int n_side_by_side = 8;  // models of the many-models rows
constexpr int side_by_side_epochs = 100;
// What takes turns with others: so many fits, each of so many epochs at most.
constexpr int turn_fits = 4;
constexpr int turn_epochs = 50;

MlpSpec notebook_mlp() {
  MlpSpec spec;
  spec.hidden_layer_sizes = {300};
  spec.activation = Activation::logistic;
  spec.alpha = 1e-3;
  spec.batch_size = 256;
  spec.max_iter = 2000;
  return spec;
}

// Operations of an epoch: forwards 2 for each weight and row, backwards 4, but for the inputs' gradient,
// which nobody needs.
double epoch_flops(const MlpSpec& spec, std::size_t n_rows, Index n_features, int n_classes) {
  double flops = 0;
  auto fan_in = static_cast<double>(n_features);
  std::vector<int> sizes = spec.hidden_layer_sizes;
  sizes.push_back(n_classes);
  for (std::size_t layer = 0; layer < sizes.size(); ++layer) {
    flops += (layer == 0 ? 4 : 6) * fan_in * sizes[layer];
    fan_in = sizes[layer];
  }
  return flops * static_cast<double>(n_rows);
}

}  // namespace

BenchReport bench_training(const Manifest& manifest, const BenchOptions& options, Progress& progress) {
  const TemporaryFolder folder;
  const std::vector<BenchEngine> engines = bench_engines(options);
  Engine& one = *engines.front().engine;
  const Dataset dataset =
      make_dataset(extract_features(manifest, feature_spec("notebook"),
                                    *engines[std::min<std::size_t>(1, engines.size() - 1)].engine,
                                    folder.path() / "features.h5", {}, progress)
                       .table);
  const std::vector<int> rows = notebook_training_rows(dataset.n_rows());
  const FeatureScaling scaling = fit_standard_scaler(dataset.features.view(), rows);
  const TrainingSet training_set{dataset.features.view(), dataset.labels, dataset.n_classes()};
  MlpSpec spec = notebook_mlp();
  if (options.max_epochs > 0) spec.max_iter = options.max_epochs;
  const double flops = epoch_flops(spec, rows.size(), dataset.features.cols, dataset.n_classes());

  BenchReport report;
  report.description =
      fmt::format("{} x {} features, {} labels; 300 logistic units, adam, alpha 1e-3, batches of 256",
                  rows.size(), dataset.features.cols, dataset.n_classes());
  SilentProgress quiet(progress);
  MlpProgress training;
  const auto train = [&](const MlpSpec& each) {
    const MlpJob job{.spec = each, .rows = rows, .validation_rows = {}, .scaling = &scaling};
    training = Trainer(one).fit(training_set, {&job, 1}, quiet).front().progress;
  };
  const auto fit = [&](const MlpSpec& each) {
    const Timing timing = measure([&] { train(each); }, options.repeats);
    const int epochs = training.n_iter;
    BenchRow row =
        engines.front().row(fmt::format("training: one fit of {} epochs", epochs), epochs, "epoch");
    row.cpu_seconds = timing.cpu_seconds;
    row.wall_seconds = timing.wall_seconds;
    row.flops = flops * epochs;
    row.note = fmt::format("last loss {:.4f}", training.loss_curve.back());
    return row;
  };
  progress.begin("training", 0);
  const BenchRow ours = fit(spec);
  report.rows.push_back(ours);
  const int epochs = std::min(static_cast<int>(ours.n_units), turn_epochs);
  const auto seconds_of_turn = [&](MlpSpec each) {
    each.max_iter = epochs;
    return cpu_seconds_of([&] {
      for (int i = 0; i < turn_fits; ++i) train(each);
    });
  };
  if (!options.python.empty()) {
    Json request = training_peer_request(dataset, rows, scaling, spec, epochs, folder.path());
    request["fits"] = turn_fits;
    std::vector<PeerWork> works;
    for (const char* name : {"scikit-learn", "scikit-learn-float32", "torch-training"})
      works.push_back({name, request, [&] { return seconds_of_turn(spec); }});
    const std::vector<PeerComparison> comparisons = compare_with_peers(
        options.python, works, folder.path(), options.repeats, options.least_peer_seconds, progress);
    for (std::size_t i = 0; i < works.size(); ++i) {
      const std::vector<double>& loss = comparisons[i].values;
      report.rows.push_back(
          ours.of_peer(comparisons[i], turn_fits * epochs, works[i].name,
                       loss.empty() ? std::string()
                                    : fmt::format("after {} epochs its loss is {:.4f}, melgrad's {:.4f}",
                                                  epochs, loss.front(), training.loss_curve.back())));
    }
  }

  progress.begin("training: bf16", 0);
  MlpSpec bf16 = spec;
  bf16.precision = Precision::bf16;
  BenchRow in_bf16 = engines.front().row("training: one fit", 0, "epoch");
  try {
    in_bf16 = fit(bf16);
    Ratios ratios;
    for (int repeat = 0; repeat < options.repeats; ++repeat) {
      Turns turns([&] { return seconds_of_turn(spec); });
      do {
        turns.add(seconds_of_turn(bf16));
      } while (turns.theirs() < options.least_peer_seconds / options.repeats);
      ratios.add(turns.theirs(), turns.ours());
    }
    in_bf16.ratio = ratios.together();
  } catch (const Error& error) {
    in_bf16.missing = error.what();
  }
  in_bf16.work += ", first layer in bf16";
  report.rows.push_back(in_bf16);

  std::vector<MlpJob> jobs;
  for (int i = 0; i < n_side_by_side; ++i) {
    MlpSpec each = spec;
    each.random_state = i;
    each.max_iter = std::min(spec.max_iter, side_by_side_epochs);
    jobs.push_back({.spec = each, .rows = rows, .validation_rows = {}, .scaling = &scaling});
  }
  double one_thread_seconds = 0;
  for (const BenchEngine& engine : engines) {
    progress.begin("training: many models", 0);
    std::vector<FittedMlp> fitted;
    const Timing many =
        measure([&] { fitted = Trainer(*engine.engine).fit(training_set, jobs, quiet); }, options.repeats);
    BenchRow row = engine.row(fmt::format("training: {} models of {} epochs at most, data resident",
                                          jobs.size(), jobs.front().spec.max_iter),
                              static_cast<double>(jobs.size()), "fit");
    row.cpu_seconds = many.cpu_seconds;
    row.wall_seconds = many.wall_seconds;
    for (const FittedMlp& each : fitted) row.flops += flops * each.progress.n_iter;
    if (&engine == &engines.front())
      one_thread_seconds = many.wall_seconds.median;
    else
      row.note =
          fmt::format("{:.2f} times one thread by the clock", one_thread_seconds / many.wall_seconds.median);
    report.rows.push_back(row);
  }
  progress.end();
  return report;
}

}  // namespace melgrad
