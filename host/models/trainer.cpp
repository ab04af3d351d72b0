#include "host/models/trainer.hpp"

#include <algorithm>
#include <cmath>

#include "host/core/clock.hpp"
#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/engine/out_of_device_memory.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad {
namespace {

constexpr double seconds_between_updates = 0.25;
// Parameters times rows that are trained in a second, before any stack has told: the pace of one core.
constexpr double presumed_pace = 1e10;
// Fetching and scaling a feature of a row takes as long as training so many parameters (measured on networks
// of 180 features and 8 to 300 units): without it, an estimate that begins with tiny networks is far off.
constexpr double parameters_of_a_feature = 12;

using JobIndices = std::vector<std::size_t>;

Index n_parameters(const MlpSpec& spec, Index n_features, int n_classes) {
  Index count = 0;
  Index fan_in = n_features;
  for (Index fan_out : spec.hidden_layer_sizes) {
    count += (fan_in + 1) * fan_out;
    fan_in = fan_out;
  }
  return count + (fan_in + 1) * n_outputs(n_classes);
}

// [n_groups]: jobs of one architecture, in order.
std::vector<JobIndices> group_by_architecture(std::span<const MlpJob> jobs) {
  std::vector<JobIndices> groups;
  for (std::size_t job = 0; job < jobs.size(); ++job) {
    auto group = std::ranges::find_if(groups, [&](const JobIndices& each) {
      return same_architecture(jobs[each[0]].spec, jobs[job].spec);
    });
    if (group == groups.end()) group = groups.insert(groups.end(), JobIndices{});
    group->push_back(job);
  }
  return groups;
}

// Trains the jobs of one call.
class Training {
 public:
  Training(Engine& engine, const StackLimits& limits, const TrainingSet& training_set,
           std::span<const MlpJob> jobs, Progress& progress)
      : engine_(engine), limits_(limits), training_set_(training_set), jobs_(jobs), progress_(progress) {
    for (const MlpJob& job : jobs) work_of_all_ += most_work(job);
  }

  void run(const std::function<void(const FinishedStack&)>& take) {
    for (const JobIndices& group : group_by_architecture(jobs_)) {
      for (std::size_t first = 0; first < group.size();) {
        const std::size_t size =
            std::min({stack_size(jobs_[group[first]]), most_models_, group.size() - first});
        if (fits(std::span(group).subspan(first, size), take)) first += size;
      }
    }
  }

 private:
  // Of an epoch of this job: parameters times rows.
  double epoch_work(const MlpJob& job) const {
    const Index n_features = training_set_.features.cols;
    const auto parameters = static_cast<double>(n_parameters(job.spec, n_features, training_set_.n_classes));
    return (parameters + parameters_of_a_feature * static_cast<double>(n_features)) *
           static_cast<double>(job.rows.size());
  }
  double most_work(const MlpJob& job) const { return job.spec.max_iter * epoch_work(job); }

  // Models in the next stack, whose first job is `job`.
  std::size_t stack_size(const MlpJob& job) const {
    const Index bytes_of_one =
        16 * n_parameters(job.spec, training_set_.features.cols, training_set_.n_classes);
    double size = static_cast<double>(std::max<Index>(1, limits_.bytes / bytes_of_one));
    if (std::isfinite(limits_.seconds))
      size = std::min(size, std::max(2.0 * resolve_threads(0), limits_.seconds * pace_ / most_work(job)));
    return static_cast<std::size_t>(std::max(size, 1.0));
  }

  // Trains a stack. False where the device's memory does not hold it: stacks then have half as many models.
  bool fits(std::span<const std::size_t> indices, const std::function<void(const FinishedStack&)>& take) {
    try {
      train_stack(indices, take);
      return true;
    } catch (const OutOfDeviceMemory& error) {
      if (indices.size() == 1) throw OutOfDeviceMemory(fmt::format("a single model: {}", error.what()));
      most_models_ = indices.size() / 2;
      progress_.warn(fmt::format("a stack of {} models does not fit, so it is halved: {}", indices.size(),
                                 error.what()));
      return false;
    }
  }

  void train_stack(std::span<const std::size_t> indices,
                   const std::function<void(const FinishedStack&)>& take) {
    const double wall_begin = wall_seconds(), cpu_begin = process_cpu_seconds();
    std::vector<MlpJob> stack_jobs;
    for (const std::size_t job : indices) stack_jobs.push_back(jobs_[job]);
    const auto stack = engine_.mlp_stack(training_set_, stack_jobs);
    for (int stretch = 1; advance(*stack, stack_jobs, stretch);) {
    }
    const double wall = wall_seconds() - wall_begin, cpu = process_cpu_seconds() - cpu_begin;

    Index n_epochs = 0;
    double work = 0;
    for (std::size_t i = 0; i < stack_jobs.size(); ++i) {
      const int n_iter = stack->progress(static_cast<int>(i)).n_iter;
      n_epochs += n_iter;
      work += n_iter * epoch_work(stack_jobs[i]);
      work_done_ += most_work(stack_jobs[i]);
    }
    n_epochs_ += n_epochs;
    n_done_ += static_cast<Index>(indices.size());
    pace_ = work / std::max(wall, 1e-9);
    std::vector<FitTimes> times;
    for (std::size_t i = 0; i < stack_jobs.size(); ++i) {
      const double share =
          stack->progress(static_cast<int>(i)).n_iter / std::max(static_cast<double>(n_epochs), 1.0);
      times.push_back({share * wall, share * cpu});
    }
    take({indices, *stack, times});
  }

  // Trains the stack's running models by a stretch of epochs, and makes the next one take about as long as
  // the wait for an update. False once none runs any more.
  bool advance(MlpStack& stack, std::span<const MlpJob> stack_jobs, int& stretch) {
    progress_.stop_if_asked();
    const double begin = wall_seconds();
    stack.train(stretch);
    Index n_running = 0;
    Index n_epochs = n_epochs_;
    double work = work_done_;
    for (std::size_t i = 0; i < stack_jobs.size(); ++i) {
      const MlpProgress& model = stack.progress(static_cast<int>(i));
      const bool runs = model.stop_reason == StopReason::running;
      n_running += runs;
      n_epochs += model.n_iter;
      work += runs ? model.n_iter * epoch_work(stack_jobs[i]) : most_work(stack_jobs[i]);
    }
    progress_.weigh(work / work_of_all_);
    progress_.update(n_done_ + static_cast<Index>(stack_jobs.size()) - n_running,
                     fmt::format("{:.0f} epochs/s",
                                 static_cast<double>(n_epochs) / std::max(wall_seconds() - begin_, 1e-9)));
    const double next = stretch * seconds_between_updates / std::max(wall_seconds() - begin, 1e-6);
    stretch = static_cast<int>(std::clamp(next, 1.0, 8.0 * stretch));
    return n_running > 0;
  }

  Engine& engine_;
  StackLimits limits_;
  TrainingSet training_set_;
  std::span<const MlpJob> jobs_;
  Progress& progress_;
  std::size_t most_models_ = std::numeric_limits<std::size_t>::max();  // that a stack of them may fit
  double begin_ = wall_seconds();
  double pace_ = presumed_pace;
  double work_of_all_ = 0;
  double work_done_ = 0;  // of finished stacks; a model that stopped early has done all of its work
  Index n_done_ = 0;      // models of finished stacks
  Index n_epochs_ = 0;    // of finished stacks
};

}  // namespace

void Trainer::train(const TrainingSet& training_set, std::span<const MlpJob> jobs, Progress& progress,
                    const std::function<void(const FinishedStack&)>& take) {
  Training(engine_, limits_, training_set, jobs, progress).run(take);
}

std::vector<FittedMlp> Trainer::fit(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                                    Progress& progress) {
  std::vector<FittedMlp> fitted(jobs.size());
  progress.begin("training", static_cast<Index>(jobs.size()));
  train(training_set, jobs, progress, [&](const FinishedStack& stack) {
    for (std::size_t i = 0; i < stack.jobs.size(); ++i) {
      const auto model = static_cast<int>(i);
      fitted[stack.jobs[i]] = {stack.models.parameters(model), stack.models.progress(model), stack.times[i]};
    }
  });
  progress.end();
  return fitted;
}

}  // namespace melgrad
