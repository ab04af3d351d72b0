#pragma once
// Statistics in the words of results_schema.md, and back.

#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/evaluation/statistics.hpp"

namespace melgrad {

Json to_json(const PredictionStatistics& statistics, const std::vector<std::string>& labels);
PredictionStatistics prediction_statistics_from_json(const Json& json,
                                                     const std::vector<std::string>& labels);

Json to_json(const ModelComparison& comparison);
ModelComparison model_comparison_from_json(const Json& json);

Json to_json(const Drift& drift);
Drift drift_from_json(const Json& json);

// The member `name`, one of the labels, as its index.
int label_index(const Json& json, const char* name, const std::vector<std::string>& labels);

}  // namespace melgrad
