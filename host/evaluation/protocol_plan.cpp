#include "host/evaluation/protocol_plan.hpp"

#include <algorithm>

namespace melgrad {

std::vector<PlannedProtocol> plan_protocols(const Dataset& dataset, const EvaluationOptions& options) {
  std::vector<PlannedProtocol> planned;
  if (options.n_splits > 0)
    planned.push_back({Protocol::random, random_splits(dataset, options.n_splits, options.test_fraction,
                                                       options.random_state)});
  planned.push_back({Protocol::speaker, speaker_folds(dataset, options.n_folds, options.random_state)});
  if (std::ranges::any_of(dataset.clips, [](const Clip& clip) { return !clip.split.empty(); }))
    planned.push_back({Protocol::given, given_split(dataset)});
  return planned;
}

}  // namespace melgrad
