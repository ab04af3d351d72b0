#pragma once
// Results made up for tests of what shows them: reproducible, of any number of labels.

#include <string>
#include <vector>

#include "host/core/philox.hpp"
#include "host/report/results.hpp"

namespace melgrad {

// Predictions that are right with the given probability, and else mostly the next label.
inline ProtocolResult example_protocol(Protocol protocol, const std::vector<std::string>& labels,
                                       int n_splits, int n_test, double accuracy) {
  ProtocolResult result;
  result.protocol = protocol;
  result.labels = labels;
  const auto n_labels = static_cast<std::uint32_t>(labels.size());
  PhiloxSequence random(1, RandomStream::search, static_cast<std::uint32_t>(protocol));
  for (int split = 0; split < n_splits; ++split) {
    SplitResult each;
    each.name = fmt::format("{} {}", to_name(protocol), split + 1);
    each.n_train = 4 * n_test;
    each.parameters = {{"alpha", 0.01}, {"hidden_layer_sizes", {300}}};
    each.times = {.search_seconds = 0,
                  .search_cpu_seconds = 0,
                  .fit_seconds = 0.8,
                  .fit_cpu_seconds = 1.5,
                  .predict_seconds = 0.004,
                  .predict_cpu_seconds = 0.007};
    each.training.n_iter = 60 + split;
    each.training.stop_reason = StopReason::no_improvement;
    for (int epoch = 0; epoch < each.training.n_iter; ++epoch)
      each.training.loss_curve.push_back(2.1 / (1 + 0.3 * epoch));
    result.splits.push_back(each);
    for (int clip = 0; clip < n_test; ++clip) {
      Prediction prediction;
      prediction.path = fmt::format("clips/{}.wav", clip);
      prediction.truth = static_cast<int>(random.next_below(n_labels));
      prediction.predicted = prediction.truth;
      if (random.next_uniform01() > static_cast<float>(accuracy))
        prediction.predicted =
            random.next_below(3) == 0
                ? static_cast<int>(random.next_below(n_labels))
                : static_cast<int>(static_cast<std::uint32_t>(prediction.truth + 1) % n_labels);
      prediction.probability = 0.75;
      prediction.probability_of_truth = prediction.predicted == prediction.truth ? 0.75 : 0.125;
      prediction.squared_error = prediction.predicted == prediction.truth ? 0.1 : 1.4;
      prediction.has_sibling = protocol == Protocol::random && clip % 3 != 0;
      prediction.split = split;
      result.predictions.push_back(prediction);
    }
  }
  pool_predictions(result);
  return result;
}

inline Results example_results(const std::vector<std::string>& labels, bool with_own = true) {
  Results results;
  results.version = "0.1.0";
  results.date = "2025-01-31T12:00:00Z";
  results.device = "cpu";
  results.device_description = "one core";
  results.options = {{"n_splits", 5}};
  results.random_state = 7;
  results.dataset.name = "recordings";
  results.dataset.labels = labels;
  for (std::size_t label = 0; label < labels.size(); ++label) {
    results.dataset.label_counts.push_back(label % 3 == 0 ? 80 : 160);
    results.dataset.n_clips += results.dataset.label_counts.back();
  }
  for (int group = 1; group <= 20; ++group) {
    results.dataset.groups.push_back(fmt::format("{:02}", group));
    results.dataset.group_counts.push_back(60);
  }
  results.dataset.refused = {{"broken/a.wav", "the file is empty"}, {"broken/b.wav", "not a sound file"}};
  results.dataset.n_clips += 2;
  results.dataset.n_duplicates = 1;
  results.dataset.audio_seconds = 4440;
  results.features.spec = feature_spec("notebook");
  results.features.n_features = 180;
  results.features.seconds = 0.5;
  results.features.cpu_seconds = 0.9;
  results.features.clips_per_second = 2400;
  results.features.real_time_factor = 8880;
  results.models = {example_protocol(Protocol::random, labels, 5, 240, 0.65),
                    example_protocol(Protocol::speaker, labels, 5, 240, 0.4)};
  for (int clip = 0; clip < 240; ++clip)
    results.dataset.clips.push_back({fmt::format("clips/{}.wav", clip),
                                     labels[static_cast<std::size_t>(clip) % labels.size()],
                                     results.dataset.groups[static_cast<std::size_t>(clip % 20)],
                                     3.7,
                                     {{"sex", clip % 2 == 0 ? "male" : "female"}}});
  if (with_own) {
    results.own = results.dataset;
    results.own->name = "mine";
    results.own->refused.clear();
    results.models.push_back(example_protocol(Protocol::own, labels, 1, 60, 0.5));
    results.models.back().notes = {"no recordings of: calm"};
  }
  return results;
}

inline std::vector<std::string> emotions() {
  return {"angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised"};
}

}  // namespace melgrad
