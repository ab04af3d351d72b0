#pragma once
// What every engine asks of the jobs of a stack before it trains them.

#include <span>
#include <vector>

#include "host/engine/mlp.hpp"

namespace melgrad {

// Throws, naming what is wrong, unless the jobs make a stack over the training set: one architecture, rows
// and labels that exist, scalings of the right size.
void check_jobs(const TrainingSet& training_set, std::span<const MlpJob> jobs);

// Throws unless the job can be trained: rows, validation rows for early_stopping, and with batch_norm two
// rows in a minibatch at least.
void check_trainable(const MlpJob& job);

// Throws unless the parameters have the shapes of the specification's network.
void check_parameters(const MlpParameters& parameters, Index n_features, const MlpSpec& spec, int n_classes);

// [n_classes] weights of the classes in the loss; empty where all are 1. `balanced` is scikit-learn's
// n_rows / (classes that occur * rows of the class), over the job's rows; 0 for a class without any.
std::vector<float> class_weights(const TrainingSet& training_set, const MlpJob& job);

}  // namespace melgrad
