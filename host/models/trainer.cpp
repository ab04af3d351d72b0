#include "host/models/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "host/core/error.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad {
namespace {

constexpr double seconds_between_updates = 0.25;

using Stack = std::vector<std::size_t>;  // indices of its jobs

Index n_parameters(const MlpSpec& spec, Index n_features, int n_classes) {
  Index count = 0;
  Index fan_in = n_features;
  for (Index fan_out : spec.hidden_layer_sizes) {
    count += (fan_in + 1) * fan_out;
    fan_in = fan_out;
  }
  return count + (fan_in + 1) * n_outputs(n_classes);
}

// Jobs of one architecture in order, cut into stacks of at most stack_bytes.
std::vector<Stack> make_stacks(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                               Index stack_bytes) {
  std::vector<Stack> groups;
  for (std::size_t job = 0; job < jobs.size(); ++job) {
    auto group = std::ranges::find_if(
        groups, [&](const Stack& each) { return same_architecture(jobs[each[0]].spec, jobs[job].spec); });
    if (group == groups.end()) group = groups.insert(groups.end(), Stack{});
    group->push_back(job);
  }
  std::vector<Stack> stacks;
  for (const Stack& group : groups) {
    const Index bytes_of_one =
        16 * n_parameters(jobs[group[0]].spec, training_set.features.cols, training_set.n_classes);
    const auto size = static_cast<std::size_t>(std::max<Index>(1, stack_bytes / bytes_of_one));
    for (std::size_t first = 0; first < group.size(); first += size) {
      const std::size_t end = std::min(first + size, group.size());
      stacks.emplace_back(&group[first], &group[0] + end);
    }
  }
  return stacks;
}

class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Trains a stack to its end, in stretches of epochs that take about as long as the wait for an update.
void train_stack(MlpStack& stack, int n_models, Index n_done, Index& n_epochs, const Clock& clock,
                 Progress& progress) {
  for (int stretch = 1;;) {
    const Clock stretch_clock;
    stack.train(stretch);
    int n_running = 0;
    Index n_iter = 0;
    for (int model = 0; model < n_models; ++model) {
      n_running += stack.progress(model).stop_reason == StopReason::running;
      n_iter += stack.progress(model).n_iter;
    }
    progress.update(n_done + n_models - n_running,
                    fmt::format("{:.0f} epochs/s", static_cast<double>(n_epochs + n_iter) / clock.seconds()));
    if (n_running == 0) {
      n_epochs += n_iter;
      return;
    }
    const double next = stretch * seconds_between_updates / std::max(stretch_clock.seconds(), 1e-6);
    stretch = static_cast<int>(std::clamp(next, 1.0, 8.0 * stretch));
  }
}

}  // namespace

std::vector<FittedMlp> Trainer::fit(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                                    Progress& progress) {
  std::vector<FittedMlp> fitted(jobs.size());
  const Clock clock;
  Index n_done = 0;
  Index n_epochs = 0;
  progress.begin("training", static_cast<Index>(jobs.size()));
  for (const Stack& indices : make_stacks(training_set, jobs, stack_bytes_)) {
    std::vector<MlpJob> stack_jobs;
    for (std::size_t job : indices) stack_jobs.push_back(jobs[job]);
    const Clock stack_clock;
    const auto stack = engine_.mlp_stack(training_set, stack_jobs);
    const auto n_models = static_cast<int>(indices.size());
    const Index n_epochs_before = n_epochs;
    train_stack(*stack, n_models, n_done, n_epochs, clock, progress);
    n_done += n_models;
    const double seconds_per_epoch = stack_clock.seconds() / static_cast<double>(n_epochs - n_epochs_before);
    for (int model = 0; model < n_models; ++model) {
      FittedMlp& each = fitted[indices[static_cast<std::size_t>(model)]];
      each.parameters = stack->parameters(model);
      each.progress = stack->progress(model);
      each.fit_seconds = seconds_per_epoch * each.progress.n_iter;
    }
  }
  progress.end();
  return fitted;
}

}  // namespace melgrad
