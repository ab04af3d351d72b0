#pragma once
// Metrics without a confusion matrix, which for 10 000 classes takes 800 MB.

#include <span>

#include "host/evaluation/metrics.hpp"

namespace melgrad {

// metrics_of(confusion_matrix(truth, predicted, n_classes)), for any number of classes. times [n_rows]: how
// often each row counts; none: once.
Metrics metrics_of(std::span<const int> truth, std::span<const int> predicted, int n_classes,
                   std::span<const int> times = {});

// A ProtocolResult of more classes has an empty confusion matrix: it is nothing to look at, and does not fit
// into results.json.
inline constexpr int most_confusion_classes = 1000;

}  // namespace melgrad
