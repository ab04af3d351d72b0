#include "support/reference_mlp.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace melgrad::testing {
namespace {

double activate(Activation activation, double z) {
  switch (activation) {
    case Activation::identity:
      return z;
    case Activation::logistic:
      return 1 / (1 + std::exp(-z));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::relu:
      return z < 0 ? 0 : z;
    case Activation::gelu:
      return 0.5 * z * (1 + std::erf(z * std::sqrt(0.5)));
  }
  return z;
}

// As a function of the activation h.
double derivative(Activation activation, double h) {
  switch (activation) {
    case Activation::identity:
      return 1;
    case Activation::logistic:
      return h * (1 - h);
    case Activation::tanh:
      return 1 - h * h;
    case Activation::relu:
      return h == 0 ? 0 : 1;
    case Activation::gelu:
      break;
  }
  return 1;
}

ReferenceParameters zeros_like(const ReferenceParameters& like) {
  ReferenceParameters zeros;
  for (const auto& each : like.weights) zeros.weights.emplace_back(each.rows, each.cols);
  for (const auto& each : like.biases) zeros.biases.emplace_back(each.size());
  return zeros;
}

// f(parameter, gradient, first moment, second moment) for each of them.
template <class F>
void for_each_parameter(ReferenceParameters& p, const ReferenceParameters& g, ReferenceParameters& m,
                        ReferenceParameters& v, F&& f) {
  for (std::size_t l = 0; l < p.weights.size(); ++l) {
    for (std::size_t i = 0; i < p.weights[l].values.size(); ++i)
      f(p.weights[l].values[i], g.weights[l].values[i], m.weights[l].values[i], v.weights[l].values[i]);
    for (std::size_t i = 0; i < p.biases[l].size(); ++i)
      f(p.biases[l][i], g.biases[l][i], m.biases[l][i], v.biases[l][i]);
  }
}

}  // namespace

ReferenceMlp::ReferenceMlp(const TrainingSet& training_set, const MlpJob& job)
    : training_set_(training_set),
      job_(job),
      rules_(training_rules(job.spec)),
      state_(initial_state(rules_)) {
  std::vector<int> units = job.spec.hidden_layer_sizes;
  units.push_back(n_outputs(training_set.n_classes));
  Index fan_in = training_set.features.cols;
  for (std::size_t l = 0; l < units.size(); ++l) {
    const Index fan_out = units[l];
    const auto bound = static_cast<float>(initial_bound(job.spec.activation, fan_in, fan_out));
    const auto initial = [&](Index row, Index col) -> double {
      return initial_weight(job.spec.random_state, static_cast<int>(l),
                            static_cast<std::uint64_t>(row * fan_out + col), bound);
    };
    auto& weights = parameters_.weights.emplace_back(fan_in, fan_out);
    auto& biases = parameters_.biases.emplace_back(static_cast<std::size_t>(fan_out));
    for (Index col = 0; col < fan_out; ++col) {
      for (Index row = 0; row < fan_in; ++row) weights(row, col) = initial(row, col);
      biases[static_cast<std::size_t>(col)] = initial(fan_in, col);
    }
    fan_in = fan_out;
  }
  first_moment_ = second_moment_ = zeros_like(parameters_);
}

ReferenceMlp::Rows ReferenceMlp::scaled(MatrixView<const float> features, std::span<const int> rows) const {
  Rows out(static_cast<Index>(rows.size()), features.cols);
  for (Index i = 0; i < out.rows; ++i) {
    for (Index k = 0; k < out.cols; ++k) {
      const auto at = static_cast<std::size_t>(k);
      const double x = features(rows[static_cast<std::size_t>(i)], k);
      out(i, k) = job_.scaling == nullptr ? x
                                          : (x - static_cast<double>(job_.scaling->mean[at])) /
                                                static_cast<double>(job_.scaling->scale[at]);
    }
  }
  return out;
}

std::vector<ReferenceMlp::Rows> ReferenceMlp::forward(const Rows& input) const {
  std::vector<Rows> activations{input};
  for (std::size_t l = 0; l < parameters_.weights.size(); ++l) {
    const Matrix<double>& weights = parameters_.weights[l];
    const bool is_last = l + 1 == parameters_.weights.size();
    const Rows& in = activations.back();
    Rows out(in.rows, weights.cols);
    for (Index row = 0; row < in.rows; ++row) {
      for (Index col = 0; col < weights.cols; ++col) {
        double z = parameters_.biases[l][static_cast<std::size_t>(col)];
        for (Index k = 0; k < in.cols; ++k) z += in(row, k) * weights(k, col);
        out(row, col) = is_last ? z : activate(job_.spec.activation, z);
      }
    }
    activations.push_back(std::move(out));
  }
  Rows& outputs = activations.back();
  for (Index row = 0; row < outputs.rows; ++row) {
    const auto z = outputs.row(row);
    if (z.size() == 1) {
      z[0] = activate(Activation::logistic, z[0]);
      continue;
    }
    const double maximum = *std::ranges::max_element(z);
    double sum = 0;
    for (double& each : z) sum += each = std::exp(each - maximum);
    for (double& each : z) each /= sum;
  }
  return activations;
}

double ReferenceMlp::loss(std::span<const int> rows, ReferenceParameters* gradient) const {
  const std::vector<Rows> activations = forward(scaled(training_set_.features, rows));
  Rows delta = activations.back();
  const auto n_rows = static_cast<double>(rows.size());
  const double smallest = std::numeric_limits<double>::epsilon();
  double loss = 0;
  for (Index row = 0; row < delta.rows; ++row) {
    const int label = training_set_.labels[static_cast<std::size_t>(rows[static_cast<std::size_t>(row)])];
    const Index column = delta.cols == 1 ? 0 : label;
    const double p = delta(row, column);
    const double p_label = delta.cols == 1 && label == 0 ? 1 - p : p;
    loss -= std::log(std::clamp(p_label, smallest, 1 - smallest));
    delta(row, column) -= delta.cols == 1 ? label : 1;
  }
  for (const auto& weights : parameters_.weights)
    for (double w : weights.values) loss += 0.5 * job_.spec.alpha * w * w;
  if (gradient == nullptr) return loss / n_rows;

  *gradient = zeros_like(parameters_);
  for (std::size_t l = parameters_.weights.size(); l-- > 0;) {
    const Matrix<double>& weights = parameters_.weights[l];
    const Rows& in = activations[l];
    for (Index col = 0; col < weights.cols; ++col) {
      for (Index k = 0; k < weights.rows; ++k) {
        double sum = job_.spec.alpha * weights(k, col);
        for (Index row = 0; row < delta.rows; ++row) sum += in(row, k) * delta(row, col);
        gradient->weights[l](k, col) = sum / n_rows;
      }
      double sum = 0;
      for (Index row = 0; row < delta.rows; ++row) sum += delta(row, col);
      gradient->biases[l][static_cast<std::size_t>(col)] = sum / n_rows;
    }
    if (l == 0) break;
    Rows delta_in(in.rows, in.cols);
    for (Index row = 0; row < in.rows; ++row) {
      for (Index k = 0; k < in.cols; ++k) {
        double sum = 0;
        for (Index col = 0; col < weights.cols; ++col) sum += delta(row, col) * weights(k, col);
        delta_in(row, k) = sum * derivative(job_.spec.activation, in(row, k));
      }
    }
    delta = std::move(delta_in);
  }
  return loss / n_rows;
}

void ReferenceMlp::step(const ReferenceParameters& gradient) {
  const MlpSpec& spec = job_.spec;
  const double rate = step_rates(rules_, state_).learning_rate;
  ++state_.n_steps;
  for_each_parameter(parameters_, gradient, first_moment_, second_moment_,
                     [&](double& p, double g, double& m, double& v) {
                       if (spec.solver == Solver::adam) {
                         m = spec.beta_1 * m + (1 - spec.beta_1) * g;
                         v = spec.beta_2 * v + (1 - spec.beta_2) * g * g;
                         p -= rate * m / (std::sqrt(v) + spec.epsilon);
                       } else {
                         m = spec.momentum * m - rate * g;
                         p += spec.nesterovs_momentum ? spec.momentum * m - rate * g : m;
                       }
                     });
}

double ReferenceMlp::validation_score() const {
  const Rows outputs = forward(scaled(training_set_.features, job_.validation_rows)).back();
  double n_correct = 0;
  for (Index row = 0; row < outputs.rows; ++row) {
    const auto p = outputs.row(row);
    const auto predicted = p.size() == 1 ? (p[0] > 0.5) : std::ranges::max_element(p) - p.begin();
    const int validation_row = job_.validation_rows[static_cast<std::size_t>(row)];
    n_correct += predicted == training_set_.labels[static_cast<std::size_t>(validation_row)];
  }
  return n_correct / static_cast<double>(outputs.rows);
}

void ReferenceMlp::train(int n_epochs) {
  const MlpSpec& spec = job_.spec;
  const auto n_rows = static_cast<int>(job_.rows.size());
  const int batch_size = resolve_batch_size(spec.batch_size, n_rows);
  for (int epoch = 0; epoch < n_epochs && state_.stop_reason == StopReason::running; ++epoch) {
    const EpochPermutation permutation(spec.random_state, state_.n_iter, n_rows);
    double loss_sum = 0;
    for (int first = 0; first < n_rows; first += batch_size) {
      std::vector<int> batch;
      for (int i = first; i < std::min(first + batch_size, n_rows); ++i)
        batch.push_back(job_.rows[spec.shuffle ? permutation(static_cast<std::uint32_t>(i))
                                               : static_cast<std::size_t>(i)]);
      ReferenceParameters gradient;
      loss_sum += loss(batch, &gradient) * static_cast<double>(batch.size());
      step(gradient);
    }
    const double score = spec.early_stopping ? validation_score() : 0;
    end_epoch(rules_, loss_sum / n_rows, score, true, n_rows, state_);
    progress_.loss_curve.push_back(loss_sum / n_rows);
    if (spec.early_stopping) progress_.validation_scores.push_back(score);
    if (state_.is_best) best_ = parameters_;
  }
  progress_.n_iter = state_.n_iter;
  progress_.stop_reason = state_.stop_reason;
  if (spec.early_stopping && state_.stop_reason != StopReason::running) parameters_ = best_;
}

Matrix<double> ReferenceMlp::predict_proba(MatrixView<const float> features) const {
  std::vector<int> rows(static_cast<std::size_t>(features.rows));
  std::iota(rows.begin(), rows.end(), 0);
  Rows outputs = forward(scaled(features, rows)).back();
  if (outputs.cols > 1) return outputs;
  Rows both(outputs.rows, 2);
  for (Index row = 0; row < outputs.rows; ++row) {
    both(row, 0) = 1 - outputs(row, 0);
    both(row, 1) = outputs(row, 0);
  }
  return both;
}

ReferenceParameters to_reference(const MlpParameters& parameters) {
  ReferenceParameters reference;
  for (const auto& each : parameters.weights) {
    auto& weights = reference.weights.emplace_back(each.rows, each.cols);
    weights.values.assign(each.values.begin(), each.values.end());
  }
  for (const auto& each : parameters.biases) reference.biases.emplace_back(each.begin(), each.end());
  return reference;
}

MlpParameters to_float(const ReferenceParameters& parameters) {
  MlpParameters floats;
  const auto narrow = [](double value) { return static_cast<float>(value); };
  for (const auto& each : parameters.weights)
    std::ranges::transform(each.values, floats.weights.emplace_back(each.rows, each.cols).values.begin(),
                           narrow);
  for (const auto& each : parameters.biases)
    std::ranges::transform(each, std::back_inserter(floats.biases.emplace_back()), narrow);
  return floats;
}

double relative_difference(const MlpParameters& actual, const ReferenceParameters& expected) {
  double worst = actual.weights.size() == expected.weights.size() ? 0.0 : INFINITY;
  for (std::size_t l = 0; l < expected.weights.size() && std::isfinite(worst); ++l) {
    double largest = 0, difference = 0;
    const auto compare = [&](const std::vector<float>& a, const std::vector<double>& b) {
      if (a.size() != b.size()) difference = INFINITY;
      for (std::size_t i = 0; i < b.size() && std::isfinite(difference); ++i) {
        const double error = std::abs(static_cast<double>(a[i]) - b[i]);
        difference = error <= difference ? difference : std::isfinite(error) ? error : INFINITY;
        largest = std::max(largest, std::abs(b[i]));
      }
    };
    compare(actual.weights[l].values, expected.weights[l].values);
    compare(actual.biases[l], expected.biases[l]);
    worst = std::max(worst, difference / largest);
  }
  return worst;
}

}  // namespace melgrad::testing
