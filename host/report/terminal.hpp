#pragma once
// Results as text that a person likes to read on a terminal. Pure functions: they return what is to be
// printed, every line ended by '\n' and no wider than the style says.

#include <string>
#include <vector>

#include "host/report/results.hpp"
#include "host/report/text.hpp"

namespace melgrad {

// Everything below, one after another.
std::string results_text(const Results& results, const TextStyle& style);

// Labels with their counts, groups, duration, what was refused.
std::string dataset_text(const DatasetSummary& dataset, const TextStyle& style);
// What was computed of each clip, on what, and how fast.
std::string features_text(const Results& results, const TextStyle& style);
// Every model under every protocol, with its processor time; empty where there is one model only. What
// follows is of the model in model.h5.
std::string models_text(const Results& results, const TextStyle& style);
// The protocols side by side, with the gap between them.
std::string protocols_text(const Results& results, const TextStyle& style);
// Precision, recall and F1 of each label under each protocol.
std::string per_class_text(const Results& results, const TextStyle& style);
// Confusion matrices in percent of each row, side by side where the width allows; of many labels as shades.
std::string confusion_text(const Results& results, const TextStyle& style);
std::string loss_curves_text(const Results& results, const TextStyle& style);
// findings(), wrapped.
std::string findings_text(const Results& results, const TextStyle& style);
// Each file with its reason; the first dozen of many.
std::string refusals_text(const std::vector<Refusal>& refused, const TextStyle& style);

}  // namespace melgrad
