#pragma once
// How fast the engine does the two things that it exists for, and how long others take for the same.

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/audio/manifest.hpp"
#include "host/bench/measure.hpp"
#include "host/bench/peaks.hpp"
#include "host/core/json.hpp"
#include "host/core/progress.hpp"
#include "host/engine/engine.hpp"

namespace melgrad {

struct BenchOptions {
  std::string device = "auto";  // auto: the CPU and every usable GPU; else this one, beside one thread of it
  int n_threads = 0;            // of the many-threads rows; 0: every core
  int repeats = 5;
  double least_peer_seconds = 30;  // of CPU time for who takes turns with us, in all repeats together
  int max_clips = 1200;            // of the data set, evenly spread
  int max_epochs = 0;              // of a fit; 0: to convergence
  std::string python;              // an interpreter that has the peers; empty: no peers
};

struct PeerComparison;

// One line of the table: someone does some work.
struct BenchRow {
  std::string work = {};         // "features: WAV file to cached row"
  std::string who = {};          // "melgrad cpu (AVX-512, 1 thread)", "librosa 0.11.0"
  std::string missing = {};      // why there are no figures, else empty
  double n_units = 0;            // clips, epochs or fits done in the time
  std::string unit = {};         // "clip"
  MedianRange cpu_seconds = {};  // of all n_units
  MedianRange wall_seconds = {};
  // What is done in the time, for rates; 0: not told.
  int n_threads = 1;         // of the CPU; 0: a device
  double audio_seconds = 0;  // of recordings
  double n_samples = 0;      // of recordings
  double bytes = 0;          // each input once and each output once
  double flops = 0;          // of the transforms, or of the matrix products
  bool flops_are_ffts = false;
  Ratio ratio = {};       // CPU time of the same work over that of melgrad beside it
  std::string note = {};  // what was checked, or is worth knowing

  // The row of a peer at so many units of this row's work. checked: what its values say, where it was not
  // missing.
  BenchRow of_peer(const PeerComparison& comparison, double n_peer_units, const std::string& name,
                   const std::string& checked) const;
};

struct BenchReport {
  std::string description;  // data, engine, machine
  std::vector<BenchRow> rows;
};

// The engines that are measured side by side: one thread of the CPU, all of them, each GPU.
struct BenchEngine {
  std::unique_ptr<Engine> engine;
  int n_threads = 1;  // that decode, and of the CPU engine
  bool is_gpu = false;
  std::string who() const;  // "melgrad cpu (AVX-512, 1 thread)"
  // A row of this engine's, without a time.
  BenchRow row(std::string work, double n_units, std::string unit) const;
};
std::vector<BenchEngine> bench_engines(const BenchOptions& options);

// Recordings for who names none: harmonic tones in noise of four labels and six speakers, 3.7 s at 48 kHz
// each, as WAV files in `folder`.
Manifest synthetic_recordings(const std::filesystem::path& folder, int n_clips);

// The `notebook` features of clips of the manifest, which are decoded and written as PCM16 WAV files to a
// temporary folder first: everything from the file to the committed row, warm and cold (a new engine, files
// that the kernel was asked to forget), decoding alone, kernels alone from samples in memory (on a GPU, with
// their upload).
BenchReport bench_features(const Manifest& manifest, const BenchOptions& options, Progress& progress);

// The notebook's network (300 logistic units, adam, alpha 1e-3, batches of 256) on the notebook features of
// the manifest: one fit, and eight fits by one thread and by many. Peers do the same number of epochs.
BenchReport bench_training(const Manifest& manifest, const BenchOptions& options, Progress& progress);

// A search: candidates on folds, standardised, trained and scored, as `melgrad sweep` and scikit-learn's
// GridSearchCV do it.
BenchReport bench_search(const Manifest& manifest, const BenchOptions& options, Progress& progress);

// Everything that `melgrad run --quick` does, from recordings to the results of both protocols.
BenchReport bench_end_to_end(const Manifest& manifest, const BenchOptions& options, Progress& progress);

// The notebook's grid search, 360 candidates in 10 folds, extrapolated from a sample of its fits by one
// thread: of each architecture, activation and solver two. scikit-learn does one of the two for as many
// epochs.
BenchReport bench_grid(const Manifest& manifest, const BenchOptions& options, Progress& progress);

// Any of "features", "training", "search", "end-to-end", "grid"; what `melgrad bench --json` prints. `told`
// gets the text of each as soon as it is measured, the machine's peaks first. Throws Interrupted
// where `progress` asks to stop.
Json measure_throughput(const Manifest& manifest, std::span<const std::string> parts,
                        const BenchOptions& options, Progress& progress,
                        const std::function<void(const std::string&)>& told);

// Rates and, of `peaks` with as many threads, shares. A figure for each work: bars of units a second.
Json to_json(const BenchReport& report, const std::vector<MachinePeaks>& peaks);
std::string bench_text(const BenchReport& report, const std::vector<MachinePeaks>& peaks);
std::string peaks_text(const std::vector<MachinePeaks>& peaks);

}  // namespace melgrad
