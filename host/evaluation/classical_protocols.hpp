#pragma once
// The classical models under the protocols of the networks: the same splits, features and test clips.

#include <array>
#include <tuple>
#include <vector>

#include "host/core/fields.hpp"
#include "host/core/progress.hpp"
#include "host/evaluation/protocols.hpp"

namespace melgrad {

enum class ModelKind { mlp, svm, random_forest, knn };
template <>
inline constexpr auto enum_names<ModelKind> = std::array{"mlp", "svm", "random_forest", "knn"};

struct ModelChoice {
  std::vector<ModelKind> models = {ModelKind::mlp, ModelKind::svm, ModelKind::random_forest, ModelKind::knn};

  static constexpr auto fields() {
    return std::tuple{field("models", &ModelChoice::models, "models to evaluate; the network is always one")};
  }
  bool operator==(const ModelChoice&) const = default;
};

// Results of each model that is no network, in the order of ModelKind: `random`, `speaker`, `given` on the
// splits of evaluate_protocols() with these options, and `own` on the clips that `own_result` of a network
// says (both may be null). Hyper-parameters are searched inside each split's training rows by
// cross-validation: in stratified folds for `random`, else in folds of unheard groups where groups are known,
// as the model is to meet strangers. Splits are computed side by side on n_threads threads. With the data
// set's altered copies, these models still learn from the originals alone.
std::vector<ProtocolResult> evaluate_classical(const Dataset& dataset, const Dataset* own,
                                               const ProtocolResult* own_result, const ModelChoice& choice,
                                               const EvaluationOptions& options, Engine& engine,
                                               int n_threads, Progress& progress);

}  // namespace melgrad
