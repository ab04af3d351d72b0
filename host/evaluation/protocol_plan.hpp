#pragma once

#include <vector>

#include "host/data/splits.hpp"
#include "host/evaluation/protocols.hpp"

namespace melgrad {

struct PlannedProtocol {
  Protocol protocol;
  SplitPlan plan;
};

// Every protocol but `own`: the same splits for every model.
std::vector<PlannedProtocol> plan_protocols(const Dataset& dataset, const EvaluationOptions& options);

}  // namespace melgrad
