#pragma once
// The classifiers that networks are compared with: support vector machine (libsvm), random forest and
// nearest neighbours. Each chooses its hyper-parameters on a small grid by cross-validation inside
// its training rows, then is trained on all of them.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/core/matrix.hpp"
#include "host/engine/engine.hpp"
#include "host/models/trainer.hpp"

namespace melgrad {

// One model to train and to ask. Features are standardised already: training and test rows by the scaler of
// the training rows. Does not own.
struct ClassicalTask {
  MatrixView<const float> train;            // [n_train, n_features]
  std::span<const int> labels;              // [n_train], in [0, n_classes)
  MatrixView<const float> test;             // [n_test, n_features]
  std::span<const std::vector<int>> folds;  // of the search: the training rows that each fold tests
  int n_classes = 0;
  std::int64_t random_state = 0;
};

struct ClassicalOutcome {
  Matrix<float> probabilities;       // [n_test, n_classes]
  Json parameters = Json::object();  // that were chosen, in scikit-learn's words
  double search_accuracy = 0;        // of the chosen ones, over the rows of the folds; 0 where there are none
  FitTimes search, fit, predict;
};

// Of the candidates the one that is right for most rows of the folds is taken, the first of equals; the first
// where there are no folds.

// sklearn.svm.SVC(kernel='rbf', C=.., gamma=.., break_ties=True). Probabilities are the softmax of its
// one-versus-rest decision function, times the factor that fits the rows of the folds best.
ClassicalOutcome run_svm(const ClassicalTask& task);
Json svm_grid(Index n_features);

// sklearn.ensemble.RandomForestClassifier(n_estimators=200, max_features=.., min_samples_split=..). The trees
// are drawn by random_state alone.
ClassicalOutcome run_random_forest(const ClassicalTask& task);
Json random_forest_grid();

// sklearn.neighbors.KNeighborsClassifier(n_neighbors=.., weights=..) with its Euclidean distances: of equally
// near neighbours the earlier ones count, and of labels with equally many votes the first.
ClassicalOutcome run_knn(const ClassicalTask& task, Engine& engine);
Json knn_grid();

}  // namespace melgrad
