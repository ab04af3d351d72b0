#include "support/reference_mlp.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "host/engine/mlp_jobs.hpp"

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

double derivative(Activation activation, double z) {
  const double h = activate(activation, z);
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
      return 0.5 * (1 + std::erf(z * std::sqrt(0.5))) +
             z * std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
  }
  return 1;
}

// Softmax over the classes, or the logistic of one logit: [rows, n_classes].
Matrix<double> probabilities(const Matrix<double>& logits) {
  Matrix<double> p(logits.rows, std::max<Index>(2, logits.cols));
  for (Index row = 0; row < p.rows; ++row) {
    const auto out = p.row(row);
    if (logits.cols == 1)
      out[1] = logits(row, 0);
    else
      std::ranges::copy(logits.row(row), out.begin());
    const double maximum = *std::ranges::max_element(out);
    double sum = 0;
    for (double& each : out) sum += each = std::exp(each - maximum);
    for (double& each : out) each /= sum;
  }
  return p;
}

ReferenceParameters zeros_like(const ReferenceParameters& like) {
  ReferenceParameters zeros;
  for (const auto& each : like.weights) zeros.weights.emplace_back(each.rows, each.cols);
  for (const auto& each : like.biases) zeros.biases.emplace_back(each.size());
  for (const auto& each : like.batch_norms)
    zeros.batch_norms.push_back({.gamma = std::vector<double>(each.gamma.size()),
                                 .running_mean = std::vector<double>(each.gamma.size()),
                                 .running_var = std::vector<double>(each.gamma.size())});
  return zeros;
}

// f(parameter, gradient, first moment, second moment, whether it is a weight) for each of them.
template <class F>
void for_each_parameter(ReferenceParameters& p, const ReferenceParameters& g, ReferenceParameters& m,
                        ReferenceParameters& v, F&& f) {
  const auto all = [&](auto& p_i, const auto& g_i, auto& m_i, auto& v_i, bool is_weight) {
    for (std::size_t i = 0; i < p_i.size(); ++i) f(p_i[i], g_i[i], m_i[i], v_i[i], is_weight);
  };
  for (std::size_t l = 0; l < p.weights.size(); ++l) {
    all(p.weights[l].values, g.weights[l].values, m.weights[l].values, v.weights[l].values, true);
    all(p.biases[l], g.biases[l], m.biases[l], v.biases[l], false);
  }
  for (std::size_t l = 0; l < p.batch_norms.size(); ++l)
    all(p.batch_norms[l].gamma, g.batch_norms[l].gamma, m.batch_norms[l].gamma, v.batch_norms[l].gamma,
        false);
}

}  // namespace

ReferenceMlp::ReferenceMlp(const TrainingSet& training_set, const MlpJob& job)
    : training_set_(training_set),
      job_(job),
      rules_(training_rules(job.spec, static_cast<int>(job.rows.size()))),
      state_(initial_state(rules_)),
      class_weights_(class_weights(training_set, job)) {
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
    if (job.spec.batch_norm && l + 1 < units.size()) {
      const auto n = static_cast<std::size_t>(fan_out);
      biases.assign(n, 0.0);
      parameters_.batch_norms.push_back({.gamma = std::vector<double>(n, 1.0),
                                         .running_mean = std::vector<double>(n, 0.0),
                                         .running_var = std::vector<double>(n, 1.0)});
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
      if (job_.spec.clip > 0) out(i, k) = std::clamp(out(i, k), -job_.spec.clip, job_.spec.clip);
    }
  }
  return out;
}

double ReferenceMlp::factor_of_dropout(double rate, const Minibatch& batch, int layer, Index row,
                                       Index col) const {
  const PhiloxBlock bits =
      dropout_bits(job_.spec.random_state, batch.epoch, layer, static_cast<std::uint32_t>(batch.first + row),
                   static_cast<std::uint32_t>(col / 4));
  return bits[static_cast<std::size_t>(col % 4)] < dropout_threshold(rate) ? 0 : 1 / (1 - rate);
}

// Of originals or copies, mixed and dropped out.
ReferenceMlp::Rows ReferenceMlp::input_of(const Minibatch& batch) const {
  const MlpSpec& spec = job_.spec;
  std::vector<int> drawn = batch.rows;
  for (std::size_t i = 0; i < drawn.size(); ++i)
    drawn[i] += static_cast<int>(training_set_.labels.size()) *
                copy_of(spec.random_state, batch.epoch,
                        static_cast<std::uint32_t>(batch.first) + static_cast<std::uint32_t>(i),
                        training_set_.n_copies);
  Rows input = mixed(scaled(training_set_.features, drawn), batch);
  if (spec.input_dropout == 0) return input;
  for (Index row = 0; row < input.rows; ++row)
    for (Index col = 0; col < input.cols; ++col)
      input(row, col) *= factor_of_dropout(spec.input_dropout, batch, layer_of_inputs, row, col);
  return input;
}

ReferenceMlp::Rows ReferenceMlp::mixed(const Rows& input, const Minibatch& batch) const {
  const auto n_rows = static_cast<int>(input.rows);
  const Mixup draw = mixup(job_.spec.random_state, batch.epoch, batch.index, n_rows, job_.spec.mixup);
  const double lambda = static_cast<double>(draw.lambda);
  Rows out(input.rows, input.cols);
  for (int row = 0; row < n_rows; ++row)
    for (Index k = 0; k < input.cols; ++k)
      out(row, k) = lambda * input(row, k) + (1 - lambda) * input(draw.partner(row, n_rows), k);
  return out;
}

// hidden.linear becomes gamma (linear - mean) / sqrt(var + epsilon) + bias.
void ReferenceMlp::normalise(std::size_t layer, bool training, Hidden& hidden) const {
  const ReferenceNorm& norm = parameters_.batch_norms[layer];
  Rows& z = hidden.linear;
  const auto n_rows = static_cast<double>(z.rows);
  hidden.mean = norm.running_mean;
  hidden.var = norm.running_var;
  hidden.normalised = z;
  for (Index col = 0; col < z.cols; ++col) {
    const auto at = static_cast<std::size_t>(col);
    if (training) {
      double sum = 0, squares = 0;
      for (Index row = 0; row < z.rows; ++row) sum += z(row, col);
      for (Index row = 0; row < z.rows; ++row) squares += std::pow(z(row, col) - sum / n_rows, 2);
      hidden.mean[at] = sum / n_rows;
      hidden.var[at] = squares / n_rows;
    }
    for (Index row = 0; row < z.rows; ++row) {
      hidden.normalised(row, col) = (z(row, col) - hidden.mean[at]) / std::sqrt(hidden.var[at] + 1e-5);
      z(row, col) = norm.gamma[at] * hidden.normalised(row, col) + parameters_.biases[layer][at];
    }
  }
}

void ReferenceMlp::drop_out(std::size_t layer, const Minibatch* training, Hidden& hidden, Rows& out) const {
  const double rate = job_.spec.dropout;
  hidden.factors = Rows(out.rows, out.cols);
  for (Index row = 0; row < out.rows; ++row) {
    for (Index col = 0; col < out.cols; ++col) {
      double& factor = hidden.factors(row, col) = 1;
      if (training != nullptr && rate > 0)
        factor = factor_of_dropout(rate, *training, static_cast<int>(layer), row, col);
      out(row, col) *= factor;
    }
  }
}

ReferenceMlp::Pass ReferenceMlp::forward(const Rows& input, const Minibatch* training) const {
  Pass pass;
  pass.inputs.push_back(input);
  for (std::size_t l = 0; l < parameters_.weights.size(); ++l) {
    const Matrix<double>& weights = parameters_.weights[l];
    const bool is_last = l + 1 == parameters_.weights.size();
    const bool normalises = job_.spec.batch_norm && !is_last;
    const Rows& in = pass.inputs.back();
    Rows z(in.rows, weights.cols);
    for (Index row = 0; row < in.rows; ++row) {
      for (Index col = 0; col < weights.cols; ++col) {
        double sum = normalises ? 0 : parameters_.biases[l][static_cast<std::size_t>(col)];
        for (Index k = 0; k < in.cols; ++k) sum += in(row, k) * weights(k, col);
        z(row, col) = sum;
      }
    }
    if (is_last) {
      pass.logits = std::move(z);
      return pass;
    }
    Hidden& hidden = pass.hidden.emplace_back();
    hidden.linear = std::move(z);
    if (normalises) normalise(l, training != nullptr, hidden);
    Rows out = hidden.linear;
    for (double& each : out.values) each = activate(job_.spec.activation, each);
    drop_out(l, training, hidden, out);
    pass.inputs.push_back(std::move(out));
  }
  return pass;
}

ReferenceMlp::Rows ReferenceMlp::targets(const Minibatch& batch, double& sum_of_weights) const {
  const MlpSpec& spec = job_.spec;
  const auto n_rows = static_cast<int>(batch.rows.size());
  const Mixup draw = mixup(spec.random_state, batch.epoch, batch.index, n_rows, spec.mixup);
  const double lambda = static_cast<double>(draw.lambda);
  const auto weight_of = [&](Index label) {
    return class_weights_.empty() ? 1.0
                                  : static_cast<double>(class_weights_[static_cast<std::size_t>(label)]);
  };
  const auto label_of = [&](int row) {
    return training_set_.labels[static_cast<std::size_t>(batch.rows[static_cast<std::size_t>(row)])];
  };
  Rows t(n_rows, training_set_.n_classes);
  sum_of_weights = 0;
  for (int row = 0; row < n_rows; ++row) {
    for (Index c = 0; c < t.cols; ++c)
      t(row, c) = spec.label_smoothing / static_cast<double>(t.cols) * weight_of(c);
    const int label = label_of(row), other = label_of(draw.partner(row, n_rows));
    t(row, label) += (1 - spec.label_smoothing) * lambda * weight_of(label);
    t(row, other) += (1 - spec.label_smoothing) * (1 - lambda) * weight_of(other);
    sum_of_weights += lambda * weight_of(label) + (1 - lambda) * weight_of(other);
  }
  return t;
}

// delta, by the normalised and scaled values, becomes that by what was normalised.
void ReferenceMlp::backward_norm(std::size_t layer, const Hidden& hidden, Rows& delta,
                                 ReferenceParameters& gradient) const {
  const auto n_rows = static_cast<double>(delta.rows);
  for (Index col = 0; col < delta.cols; ++col) {
    const auto at = static_cast<std::size_t>(col);
    double sum = 0, product = 0;
    for (Index row = 0; row < delta.rows; ++row) {
      sum += delta(row, col);
      product += delta(row, col) * hidden.normalised(row, col);
    }
    gradient.batch_norms[layer].gamma[at] = product;
    gradient.biases[layer][at] = sum;
    const double scale = parameters_.batch_norms[layer].gamma[at] / std::sqrt(hidden.var[at] + 1e-5);
    for (Index row = 0; row < delta.rows; ++row)
      delta(row, col) =
          scale * (delta(row, col) - sum / n_rows - hidden.normalised(row, col) * product / n_rows);
  }
}

double ReferenceMlp::loss(const Minibatch& batch, ReferenceParameters* gradient) const {
  const Pass pass = forward(input_of(batch), &batch);
  double divisor = 0;
  const Rows t = targets(batch, divisor);
  const double smallest = std::numeric_limits<double>::epsilon();
  const Matrix<double> p = probabilities(pass.logits);
  Rows delta(pass.logits.rows, pass.logits.cols);
  double loss = 0;
  for (Index row = 0; row < delta.rows; ++row) {
    double total = 0;
    for (Index c = 0; c < t.cols; ++c) {
      loss -= t(row, c) * std::log(std::clamp(p(row, c), smallest, 1 - smallest));
      total += t(row, c);
    }
    for (Index col = 0; col < delta.cols; ++col) {
      const Index c = delta.cols == 1 ? 1 : col;
      delta(row, col) = (total * p(row, c) - t(row, c)) / divisor;
    }
  }
  const double alpha = job_.spec.solver == Solver::adamw ? 0 : job_.spec.alpha;
  for (const auto& weights : parameters_.weights)
    for (double w : weights.values) loss += 0.5 * alpha * w * w;
  if (gradient == nullptr) return loss / divisor;

  *gradient = zeros_like(parameters_);
  for (std::size_t l = parameters_.weights.size(); l-- > 0;) {
    const Matrix<double>& weights = parameters_.weights[l];
    const Rows& in = pass.inputs[l];
    const bool normalises = job_.spec.batch_norm && l < pass.hidden.size();
    if (normalises) backward_norm(l, pass.hidden[l], delta, *gradient);
    for (Index col = 0; col < weights.cols; ++col) {
      for (Index k = 0; k < weights.rows; ++k) {
        double sum = alpha * weights(k, col) / divisor;
        for (Index row = 0; row < delta.rows; ++row) sum += in(row, k) * delta(row, col);
        gradient->weights[l](k, col) = sum;
      }
      if (normalises) continue;
      double& sum = gradient->biases[l][static_cast<std::size_t>(col)];
      for (Index row = 0; row < delta.rows; ++row) sum += delta(row, col);
    }
    if (l == 0) break;
    const Hidden& hidden = pass.hidden[l - 1];
    Rows delta_in(in.rows, in.cols);
    for (Index row = 0; row < in.rows; ++row) {
      for (Index k = 0; k < in.cols; ++k) {
        double sum = 0;
        for (Index col = 0; col < weights.cols; ++col) sum += delta(row, col) * weights(k, col);
        delta_in(row, k) =
            sum * hidden.factors(row, k) * derivative(job_.spec.activation, hidden.linear(row, k));
      }
    }
    delta = std::move(delta_in);
  }
  return loss / divisor;
}

void ReferenceMlp::update_running(const Minibatch& batch) {
  const Pass pass = forward(input_of(batch), &batch);
  const auto n_rows = static_cast<double>(batch.rows.size());
  for (std::size_t l = 0; l < parameters_.batch_norms.size(); ++l) {
    ReferenceNorm& norm = parameters_.batch_norms[l];
    for (std::size_t i = 0; i < norm.gamma.size(); ++i) {
      norm.running_mean[i] = 0.9 * norm.running_mean[i] + 0.1 * pass.hidden[l].mean[i];
      norm.running_var[i] = 0.9 * norm.running_var[i] + 0.1 * pass.hidden[l].var[i] * n_rows / (n_rows - 1);
    }
  }
}

void ReferenceMlp::step(const ReferenceParameters& gradient) {
  const MlpSpec& spec = job_.spec;
  const StepRates rates = step_rates(rules_, state_);
  ++state_.n_steps;
  for_each_parameter(parameters_, gradient, first_moment_, second_moment_,
                     [&](double& p, double g, double& m, double& v, bool is_weight) {
                       if (spec.solver == Solver::sgd) {
                         m = spec.momentum * m - rates.learning_rate * g;
                         p += spec.nesterovs_momentum ? spec.momentum * m - rates.learning_rate * g : m;
                         return;
                       }
                       if (is_weight) p -= rates.weight_decay * p;
                       m = spec.beta_1 * m + (1 - spec.beta_1) * g;
                       v = spec.beta_2 * v + (1 - spec.beta_2) * g * g;
                       p -= rates.learning_rate * m / (std::sqrt(v) + rates.epsilon);
                     });
}

double ReferenceMlp::validation_score() const {
  const Rows outputs =
      probabilities(forward(scaled(training_set_.features, job_.validation_rows), nullptr).logits);
  double n_correct = 0;
  for (Index row = 0; row < outputs.rows; ++row) {
    const auto p = outputs.row(row);
    const auto predicted = std::ranges::max_element(p) - p.begin();
    const int validation_row = job_.validation_rows[static_cast<std::size_t>(row)];
    n_correct += predicted == training_set_.labels[static_cast<std::size_t>(validation_row)];
  }
  return n_correct / static_cast<double>(outputs.rows);
}

void ReferenceMlp::train(int n_epochs) {
  const MlpSpec& spec = job_.spec;
  const auto n_rows = static_cast<int>(job_.rows.size());
  const int batch_size = resolve_batch_size(spec.batch_size, n_rows);
  const int n_used = rows_of_epoch(spec.batch_norm, spec.batch_size, n_rows);
  for (int epoch = 0; epoch < n_epochs && state_.stop_reason == StopReason::running; ++epoch) {
    const EpochPermutation permutation(spec.random_state, state_.n_iter, n_rows);
    double loss_sum = 0;
    for (int first = 0; first < n_used; first += batch_size) {
      Minibatch batch{.rows = {}, .first = first, .epoch = state_.n_iter, .index = first / batch_size};
      for (int i = first; i < std::min(first + batch_size, n_used); ++i)
        batch.rows.push_back(job_.rows[spec.shuffle ? permutation(static_cast<std::uint32_t>(i))
                                                    : static_cast<std::size_t>(i)]);
      ReferenceParameters gradient;
      loss_sum += loss(batch, &gradient) * static_cast<double>(batch.rows.size());
      update_running(batch);
      step(gradient);
    }
    const double score = spec.early_stopping ? validation_score() : 0;
    end_epoch(rules_, loss_sum / n_used, score, true, n_used, state_);
    progress_.loss_curve.push_back(loss_sum / n_used);
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
  return probabilities(forward(scaled(features, rows), nullptr).logits);
}

ReferenceParameters to_reference(const MlpParameters& parameters) {
  ReferenceParameters reference;
  for (const auto& each : parameters.weights) {
    auto& weights = reference.weights.emplace_back(each.rows, each.cols);
    weights.values.assign(each.values.begin(), each.values.end());
  }
  for (const auto& each : parameters.biases) reference.biases.emplace_back(each.begin(), each.end());
  const auto widen = [](const std::vector<float>& values) {
    return std::vector<double>(values.begin(), values.end());
  };
  for (const auto& [gamma, running_mean, running_var] : parameters.batch_norms)
    reference.batch_norms.push_back({widen(gamma), widen(running_mean), widen(running_var)});
  return reference;
}

MlpParameters to_float(const ReferenceParameters& parameters) {
  MlpParameters floats;
  const auto narrow = [](const std::vector<double>& values) {
    std::vector<float> narrowed;
    for (double value : values) narrowed.push_back(static_cast<float>(value));
    return narrowed;
  };
  for (const auto& each : parameters.weights)
    floats.weights.emplace_back(each.rows, each.cols).values = narrow(each.values);
  for (const auto& each : parameters.biases) floats.biases.push_back(narrow(each));
  for (const auto& [gamma, running_mean, running_var] : parameters.batch_norms)
    floats.batch_norms.push_back({narrow(gamma), narrow(running_mean), narrow(running_var)});
  return floats;
}

double relative_difference(const MlpParameters& actual, const ReferenceParameters& expected) {
  if (actual.weights.size() != expected.weights.size() ||
      actual.batch_norms.size() != expected.batch_norms.size())
    return INFINITY;
  double worst = 0, largest = 0, difference = 0;
  const auto compare = [&](const std::vector<float>& a, const std::vector<double>& b) {
    if (a.size() != b.size()) difference = INFINITY;
    for (std::size_t i = 0; i < b.size() && std::isfinite(difference); ++i) {
      const double error = std::abs(static_cast<double>(a[i]) - b[i]);
      difference = error <= difference ? difference : std::isfinite(error) ? error : INFINITY;
      largest = std::max(largest, std::abs(b[i]));
    }
  };
  const auto close = [&] {
    worst = std::max(worst, difference / largest);
    largest = difference = 0;
  };
  for (std::size_t l = 0; l < expected.weights.size(); ++l) {
    compare(actual.weights[l].values, expected.weights[l].values);
    compare(actual.biases[l], expected.biases[l]);
    close();
  }
  for (std::size_t l = 0; l < expected.batch_norms.size(); ++l) {
    const BatchNorm& a = actual.batch_norms[l];
    const ReferenceNorm& b = expected.batch_norms[l];
    compare(a.gamma, b.gamma);
    close();
    compare(a.running_mean, b.running_mean);
    compare(a.running_var, b.running_var);
    close();
  }
  return worst;
}

}  // namespace melgrad::testing
