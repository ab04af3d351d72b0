#pragma once
// Results as text that a person likes to read on a terminal. Pure functions: they return what is to be
// printed, every line ended by '\n'.

#include <string>
#include <vector>

#include "host/report/results.hpp"
#include "host/report/text.hpp"

namespace melgrad {

// Everything below, one after another.
std::string results_text(const Results& results, const TextStyle& style);

std::string dataset_text(const DatasetSummary& dataset, const TextStyle& style);
// The protocols side by side, with the gap between them.
std::string protocols_text(const Results& results, const TextStyle& style);
// Precision, recall and F1 of each label.
std::string per_class_text(const ProtocolResult& result, const TextStyle& style);
// Confusion matrices, side by side where the width allows.
std::string confusion_text(const std::vector<const ProtocolResult*>& results, const TextStyle& style);
std::string loss_curves_text(const Results& results, const TextStyle& style);
// What the numbers mean, in words derived from them.
std::string findings_text(const Results& results, const TextStyle& style);
// Each file with its reason; the first dozen of many.
std::string refusals_text(const std::vector<Refusal>& refused, const TextStyle& style);

}  // namespace melgrad
