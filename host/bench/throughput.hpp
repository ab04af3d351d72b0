#pragma once
// How fast the engine does the two things that it exists for, and how long others take for the same.

#include <string>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/bench/measure.hpp"
#include "host/core/json.hpp"
#include "host/core/progress.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

struct BenchOptions {
  std::string device = "cpu";
  int n_threads = 0;  // of the many-threads rows; 0: every core
  int repeats = 5;
  int max_clips = 1200;  // of the data set, evenly spread
  int max_epochs = 0;    // of a fit; 0: to convergence
  std::string python;    // an interpreter that has the peers; empty: no peers
};

// One line of the table: someone does some work.
struct BenchRow {
  std::string work = {};         // "features: WAV file to cached row"
  std::string who = {};          // "melgrad cpu (AVX-512, 1 thread)", "librosa 0.11.0"
  std::string missing = {};      // why there are no figures, else empty
  double n_units = 0;            // clips, epochs or fits done in the time
  std::string unit = {};         // "clip"
  MedianRange cpu_seconds = {};  // of all n_units
  MedianRange wall_seconds = {};
  double ratio = 0;  // CPU time of the same work over that of the row it is compared with; 0: not compared
  std::string note = {};  // what was checked, or is worth knowing
};

struct BenchReport {
  std::string description;  // data, engine, machine
  std::vector<BenchRow> rows;
};

// The `notebook` features of clips of the manifest, which are decoded and written as PCM16 WAV files to a
// temporary folder first: decode alone, kernels alone, and everything from the file in the page cache to the
// committed row; one thread and many.
BenchReport bench_features(const Manifest& manifest, const BenchOptions& options, Progress& progress);

// The notebook's network (300 logistic units, adam, alpha 1e-3, batches of 256) on the notebook features of
// the manifest: one fit, and eight fits by one thread and by many. Peers do the same number of epochs.
BenchReport bench_training(const Manifest& manifest, const BenchOptions& options, Progress& progress);

// The notebook's grid search, 360 candidates in 10 folds, extrapolated from a sample of its fits by one
// thread: of each architecture, activation and solver two. scikit-learn does one of the two for as many
// epochs.
BenchReport bench_grid(const Manifest& manifest, const BenchOptions& options, Progress& progress);

Json to_json(const BenchReport& report);
std::string bench_text(const BenchReport& report);

}  // namespace melgrad
