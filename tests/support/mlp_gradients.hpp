#pragma once
// Gradients of a network's loss by central differences, for every option of training, against those of an
// engine's own steps.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "support/mlp_problem.hpp"
#include "support/reference_mlp.hpp"

namespace melgrad::testing {

constexpr std::array activations = {Activation::identity, Activation::logistic, Activation::tanh,
                                    Activation::relu, Activation::gelu};

inline MlpSpec with_every_option(MlpSpec spec) {
  spec.dropout = 0.3;
  spec.input_dropout = 0.2;
  spec.clip = 1.5;
  spec.batch_norm = true;
  spec.label_smoothing = 0.1;
  spec.mixup = 0.4;
  spec.class_weight = ClassWeight::balanced;
  return spec;
}

// The specification as it is, with each option alone, and with all of them.
inline std::vector<MlpSpec> with_options(const MlpSpec& plain) {
  std::vector<MlpSpec> specs(9, plain);
  specs[1].dropout = 0.3;
  specs[2].batch_norm = true;
  specs[3].label_smoothing = 0.1;
  specs[4].mixup = 0.4;
  specs[5].class_weight = ClassWeight::balanced;
  specs[6].input_dropout = 0.2;
  specs[7].clip = 1.1;
  specs[8] = with_every_option(plain);
  return specs;
}

// Every parameter that is trained: weights, biases and gammas.
inline std::vector<double*> trained_values(ReferenceParameters& parameters) {
  std::vector<double*> values;
  const auto add = [&](std::vector<double>& from) {
    for (double& value : from) values.push_back(&value);
  };
  for (auto& each : parameters.weights) add(each.values);
  for (auto& each : parameters.biases) add(each);
  for (auto& each : parameters.batch_norms) add(each.gamma);
  return values;
}

// The first minibatch of training, as the model with this job takes it.
inline Minibatch first_minibatch(const MlpJob& job) {
  const auto n_rows = static_cast<int>(job.rows.size());
  const EpochPermutation order(job.spec.random_state, 0, n_rows);
  Minibatch batch;
  for (int i = 0; i < resolve_batch_size(job.spec.batch_size, n_rows); ++i)
    batch.rows.push_back(job.rows[order(static_cast<std::uint32_t>(i))]);
  return batch;
}

// What one step of sgd by a rate of 1000 takes off each parameter, over 1000. Adding to the old value costs
// 1e-7 of it, and here no more than 1e-9. make_stack(spec): of one model.
template <class MakeStack>
ReferenceParameters gradient_of_engine(MlpSpec spec, const MakeStack& make_stack) {
  spec.solver = Solver::sgd;
  spec.momentum = 0;
  spec.learning_rate_init = 1000;
  const std::unique_ptr<MlpStack> stack = make_stack(spec);
  ReferenceParameters before = to_reference(stack->parameters(0));
  stack->train(1);
  ReferenceParameters after = to_reference(stack->parameters(0));
  const std::vector<double*> old_values = trained_values(before);
  const std::vector<double*> new_values = trained_values(after);
  for (std::size_t i = 0; i < new_values.size(); ++i)
    *new_values[i] = (*old_values[i] - *new_values[i]) / 1000;
  return after;
}

// Of the model's loss over a minibatch, by one of its parameters.
inline double central_difference(const ReferenceMlp& model, const Minibatch& batch, double& parameter) {
  const double h = 1e-6, there = parameter;
  parameter = there + h;
  const double above = model.loss(batch, nullptr);
  parameter = there - h;
  const double below = model.loss(batch, nullptr);
  parameter = there;
  return (above - below) / (2 * h);
}

// How far gradients are from central differences of the reference's loss over its first minibatch, which is
// the whole epoch: the worst of all parameters.
struct GradientGaps {
  double reference = 0, engine = 0;
};
template <class MakeStack>
GradientGaps gradient_gaps(const MlpProblem& problem, const MlpSpec& spec, const MakeStack& make_stack) {
  const MlpJob job = problem.job(spec);
  const Minibatch batch = first_minibatch(job);
  ReferenceMlp model(problem.training_set(), job);
  ReferenceParameters gradient;
  model.loss(batch, &gradient);
  ReferenceParameters from_engine = gradient_of_engine(spec, make_stack);
  const std::vector<double*> parameters = trained_values(model.parameters());
  const std::vector<double*> expected = trained_values(gradient);
  const std::vector<double*> actual = trained_values(from_engine);
  GradientGaps gaps;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const double difference = central_difference(model, batch, *parameters[i]);
    gaps.reference = std::max(gaps.reference, std::abs(difference - *expected[i]));
    const double gap = std::abs(difference - *actual[i]);
    gaps.engine = std::isnan(gap) ? INFINITY : std::max(gaps.engine, gap);
  }
  return gaps;
}

// How far an epoch of steps of sgd at a rate of 1 leads the engine from where central differences of the
// reference's loss lead, minibatch by minibatch: the worst of all parameters.
template <class MakeStack>
double descent_gap(const MlpProblem& problem, MlpSpec spec, const MakeStack& make_stack) {
  spec.solver = Solver::sgd;
  spec.momentum = 0;
  spec.learning_rate_init = 1;
  const MlpJob job = problem.job(spec);
  ReferenceMlp model(problem.training_set(), job);
  const std::vector<double*> parameters = trained_values(model.parameters());
  const auto n_rows = static_cast<int>(job.rows.size());
  const EpochPermutation order(spec.random_state, 0, n_rows);
  Minibatch batch;
  for (; batch.first < n_rows; batch.first += spec.batch_size, ++batch.index) {
    batch.rows.clear();
    for (int i = batch.first; i < std::min(batch.first + spec.batch_size, n_rows); ++i)
      batch.rows.push_back(job.rows[order(static_cast<std::uint32_t>(i))]);
    std::vector<double> slopes;
    for (double* parameter : parameters) slopes.push_back(central_difference(model, batch, *parameter));
    for (std::size_t i = 0; i < slopes.size(); ++i) *parameters[i] -= slopes[i];
  }
  const std::unique_ptr<MlpStack> stack = make_stack(spec);
  stack->train(1);
  ReferenceParameters after = to_reference(stack->parameters(0));
  const std::vector<double*> actual = trained_values(after);
  double worst = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double gap = std::abs(*actual[i] - *parameters[i]);
    worst = std::isnan(gap) ? INFINITY : std::max(worst, gap);
  }
  return worst;
}

}  // namespace melgrad::testing
