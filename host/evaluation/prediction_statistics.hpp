#pragma once
// The statistics of one model's predictions, and of pairs of models.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "host/core/progress.hpp"
#include "host/data/dataset.hpp"
#include "host/evaluation/protocols.hpp"

namespace melgrad {

// `clips` holds every clip that was predicted, by its path. `siblings`: Siblings::description, empty where
// there is no leak to tell of.
PredictionStatistics prediction_statistics(const ProtocolResult& result, std::span<const Clip> clips,
                                           const std::string& siblings, std::int64_t random_state);

// Marks the predictions of clips that have a sibling in training, and fills in the statistics of every
// result: of evaluate_protocols() with these options, or of other models on the same splits. `own` may be
// null. A stage of `progress`, "statistics"; throws Interrupted where that asks to stop.
void add_statistics(std::vector<ProtocolResult>& results, const Dataset& dataset, const Dataset* own,
                    const EvaluationOptions& options, Progress& progress);

// Every pair of models of each protocol that were tested on the same clips. `clips`, as above, of the data
// set and of the own recordings.
std::vector<ModelComparison> compare_models(const std::vector<ProtocolResult>& results,
                                            std::span<const Clip> clips, std::span<const Clip> own_clips,
                                            std::int64_t random_state);

Calibration calibration_of(std::span<const Prediction> predictions, int n_bins = 10);

using ClipsByPath = std::map<std::string, const Clip*>;
ClipsByPath clips_by_path(std::span<const Clip> clips);

// What a bootstrap of these predictions draws: speakers for `speaker`, else clips.
struct Units {
  std::string noun;                // "group", "clip"
  std::vector<int> of_prediction;  // [n_predictions], in [0, n)
  int n = 0;
};
Units resampling_units(const ProtocolResult& result, const ClipsByPath& clips);

// The largest shares first; those of one clip only, and those below 5 %, are left out.
std::vector<ConfusedPair> confused_pairs(const ProtocolResult& result, std::size_t most);

}  // namespace melgrad
