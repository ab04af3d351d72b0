#include "host/evaluation/test_predictions.hpp"

#include <algorithm>
#include <cmath>

namespace melgrad {

Prediction prediction_of(const std::string& path, int truth, std::span<const float> probabilities) {
  Prediction prediction;
  prediction.path = path;
  prediction.truth = truth;
  prediction.predicted = static_cast<int>(std::ranges::max_element(probabilities) - probabilities.begin());
  prediction.probability = probabilities[static_cast<std::size_t>(prediction.predicted)];
  prediction.probability_of_truth = probabilities[static_cast<std::size_t>(truth)];
  for (std::size_t label = 0; label < probabilities.size(); ++label)
    prediction.squared_error +=
        std::pow(probabilities[label] - (static_cast<int>(label) == truth ? 1.0 : 0.0), 2);
  return prediction;
}

}  // namespace melgrad
