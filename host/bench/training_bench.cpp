#include <algorithm>

#include "host/bench/peers.hpp"
#include "host/bench/throughput.hpp"
#include "host/bench/training_peer.hpp"
#include "host/cache/extraction.hpp"
#include "host/core/parallel.hpp"
#include "host/data/dataset.hpp"
#include "host/data/standard_scaler.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {
namespace {

constexpr int n_side_by_side = 8;  // models of the many-models rows
constexpr int side_by_side_epochs = 100;

MlpSpec notebook_mlp() {
  MlpSpec spec;
  spec.hidden_layer_sizes = {300};
  spec.activation = Activation::logistic;
  spec.alpha = 1e-3;
  spec.batch_size = 256;
  spec.max_iter = 2000;
  return spec;
}

}  // namespace

BenchReport bench_training(const Manifest& manifest, const BenchOptions& options, Progress& progress) {
  const TemporaryFolder folder;
  const int n_threads = resolve_threads(options.n_threads);
  const auto one = make_engine(options.device, {.n_threads = 1}).engine;
  const auto many = make_engine(options.device, {.n_threads = n_threads}).engine;
  const Dataset dataset = make_dataset(
      extract_features(manifest, feature_spec("notebook"), *many, folder.path() / "features.h5", {}, progress)
          .table);
  const std::vector<int> rows = notebook_training_rows(dataset.n_rows());
  const FeatureScaling scaling = fit_standard_scaler(dataset.features.view(), rows);
  const TrainingSet training_set{dataset.features.view(), dataset.labels, dataset.n_classes()};
  MlpSpec spec = notebook_mlp();
  if (options.max_epochs > 0) spec.max_iter = options.max_epochs;

  BenchReport report;
  report.description =
      fmt::format("{} x {} features, {} labels; 300 logistic units, adam, alpha 1e-3, batches of 256",
                  rows.size(), dataset.features.cols, dataset.n_classes());
  NoProgress quiet;
  MlpProgress training;
  auto fit_one = [&] {
    const MlpJob job{.spec = spec, .rows = rows, .validation_rows = {}, .scaling = &scaling};
    training = Trainer(*one).fit(training_set, {&job, 1}, quiet).front().progress;
  };
  progress.begin("training", 0);
  const Timing ours = measure(fit_one, options.repeats);
  const int epochs = training.n_iter;
  const std::string who = fmt::format("melgrad {} ({})", one->name(), one->description());
  report.rows.push_back({.work = fmt::format("training: one fit of {} epochs", epochs),
                         .who = who,
                         .n_units = static_cast<double>(epochs),
                         .unit = "epoch",
                         .cpu_seconds = ours.cpu_seconds,
                         .wall_seconds = ours.wall_seconds,
                         .note = fmt::format("last loss {:.4f}", training.loss_curve.back())});

  if (!options.python.empty()) {
    const Json request = training_peer_request(dataset, rows, scaling, spec, epochs, folder.path());
    for (const char* name : {"scikit-learn", "scikit-learn-float32", "torch-training"}) {
      progress.begin(fmt::format("training: {}", name), 0);
      const PeerResult peer = run_peer(options.python, name, request, folder.path());
      BenchRow row{.work = report.rows.front().work,
                   .who = fmt::format("{} {}", name, peer.version),
                   .missing = peer.missing,
                   .n_units = static_cast<double>(epochs),
                   .unit = "epoch",
                   .cpu_seconds = peer.cpu_seconds};
      if (peer.missing.empty()) {
        row.ratio = peer.cpu_seconds.median / ours.cpu_seconds.median;
        row.note = fmt::format("last loss {:.4f}", peer.values.at(0));
      }
      report.rows.push_back(row);
    }
  }

  std::vector<MlpJob> jobs;
  for (int i = 0; i < n_side_by_side; ++i) {
    MlpSpec each = spec;
    each.random_state = i;
    each.max_iter = std::min(spec.max_iter, side_by_side_epochs);
    jobs.push_back({.spec = each, .rows = rows, .validation_rows = {}, .scaling = &scaling});
  }
  double one_thread_seconds = 0;
  for (Engine* engine : {one.get(), many.get()}) {
    if (engine == many.get() && n_threads == 1) break;
    progress.begin("training: many models", 0);
    const Timing timing = measure([&] { Trainer(*engine).fit(training_set, jobs, quiet); }, options.repeats);
    BenchRow row{
        .work = fmt::format("training: {} models of {} epochs", jobs.size(), jobs.front().spec.max_iter),
        .who = fmt::format("melgrad {} ({})", engine->name(), engine->description()),
        .n_units = static_cast<double>(jobs.size()),
        .unit = "fit",
        .cpu_seconds = timing.cpu_seconds,
        .wall_seconds = timing.wall_seconds};
    if (engine == one.get())
      one_thread_seconds = timing.wall_seconds.median;
    else
      row.note = fmt::format("{:.2f} times one thread by the clock",
                             one_thread_seconds / timing.wall_seconds.median);
    report.rows.push_back(row);
  }
  progress.end();
  return report;
}

}  // namespace melgrad
