#pragma once

#include "host/engine/engine.hpp"
#include "host/models/model_file.hpp"

namespace melgrad {

// Probabilities [n_rows, n_classes] of features [n_rows, n_features], as extracted or speaker-normalised: the
// scaling is applied here. Of an ensemble, the mean over its members.
Matrix<float> predict_proba(Engine& engine, const Classifier& classifier, MatrixView<const float> features);

// The same of clips with altered copies, (2 p(original) + sum of p(copy)) / (2 + n_copies). versions:
// [(1 + n_copies) * n_rows, n_features], the originals first.
Matrix<float> predict_proba_with_copies(Engine& engine, const Classifier& classifier,
                                        MatrixView<const float> versions, int n_copies);

// [n_rows]: the most probable class of each row, the first of equals.
std::vector<int> most_probable(const Matrix<float>& probabilities);

}  // namespace melgrad
