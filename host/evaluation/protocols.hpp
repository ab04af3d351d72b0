#pragma once
// The questions that an evaluation asks: how well are unheard clips recognised, unheard speakers, and own
// recordings?

#include <span>
#include <tuple>
#include <vector>

#include "host/core/progress.hpp"
#include "host/data/splits.hpp"
#include "host/engine/engine.hpp"
#include "host/evaluation/protocol_result.hpp"
#include "host/models/model_file.hpp"
#include "host/models/search_grid.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {

struct EvaluationOptions {
  int n_splits = 5;  // the standard error of the mean is known to a third of itself, at the price of 5 fits
  double test_fraction = 0.2;
  int n_folds = 0;
  std::int64_t random_state = 0;
  int ensemble = 1;
  bool tta = false;

  static constexpr auto fields() {
    return std::tuple{
        field("n_splits", &EvaluationOptions::n_splits, "random splits; 0: none", 0, 1000),
        field("test_fraction", &EvaluationOptions::test_fraction, "share of clips tested in a random split",
              0.001, 0.999),
        field("n_folds", &EvaluationOptions::n_folds, "folds of unheard speakers; 0: from their number", 0,
              10000),
        field("random_state", &EvaluationOptions::random_state, "seed of the splits", 0, 9e15),
        field("ensemble", &EvaluationOptions::ensemble,
              "networks from so many seeds, whose probabilities are averaged: mlp_ensemble", 1, 100),
        field("tta", &EvaluationOptions::tta,
              "ask about the altered copies of a test clip, too, and average")};
  }
  bool operator==(const EvaluationOptions&) const = default;
};

struct TrainedClassifier {
  Classifier classifier;
  MlpProgress training;
  FitTimes times;
};

// The classifier is the one trained on the whole data set.
struct Evaluation : TrainedClassifier {
  std::vector<ProtocolResult>
      results;  // random, speaker, given (if the manifest gives one), own (if asked for)
};

// Every model of every protocol is trained in one call of Trainer::fit. The model of split i is seeded with
// spec.random_state + i, the classifier with spec.random_state, and member m > 0 of an ensemble with m *
// seeds_between_members more. With options.ensemble > 1 the classifier is the ensemble, whose results,
// "mlp_ensemble", come before those of its first network. Where there are candidates, each split's network,
// and the classifier, has the options of the one that choose_candidates() finds best inside its training
// rows, and `spec` has no part in it. With the data set's altered copies, networks are trained on them too.
// `own` may be null; it must have the same features, and be speaker-normalised alike; with options.tta both
// have copies.
inline constexpr std::int64_t seeds_between_members = 1'000'000;
Evaluation evaluate_protocols(const Dataset& dataset, const Dataset* own, const MlpSpec& spec, Engine& engine,
                              const EvaluationOptions& options, Progress& progress,
                              std::span<const Candidate> candidates = {});

// Trained on the whole data set, and nothing evaluated.
TrainedClassifier train_classifier(const Dataset& dataset, const MlpSpec& spec, Engine& engine,
                                   Progress& progress, int ensemble = 1);

// A finished model tested on recordings (protocol `own`). Its labels are the model's; clips whose label the
// model does not know are refused by name; clips whose audio hash is in the model's provenance were trained
// on and are left out.
ProtocolResult test_classifier(const Classifier& classifier, const Dataset& recordings, Engine& engine,
                               bool tta = false);

}  // namespace melgrad
