#include "host/cpu/cpu_mlp.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/parallel.hpp"
#include "host/cpu/cpu_mlp_kernels.hpp"
#include "host/cpu/simd.hpp"
#include "host/engine/mlp_jobs.hpp"

namespace melgrad {
namespace {

// Rows of a workspace, so that asking many rows is not slowed by tiny batches.
constexpr Index min_capacity = 64;

// A job's standardised rows are kept if they take no more: about what stays in a core's second-level cache.
constexpr Index max_resident_floats = Index{1} << 19;

struct Model {
  MlpJob job;
  TrainingRules rules;
  TrainingState state;
  MlpProgress progress;
  std::vector<float> class_weights;  // [n_classes], or empty
  AlignedFloats parameters;
  AlignedFloats first_moment, second_moment;  // only while it trains
  AlignedFloats best;                         // with early_stopping: parameters of the best epoch
};

// One core trains one model, whose parameters, moments and minibatch stay in that core's cache.
class CpuMlpStack final : public MlpStack {
 public:
  CpuMlpStack(const TrainingSet& training_set, std::span<const MlpJob> jobs, int n_threads);

  void train(int n_epochs) override;
  const MlpProgress& progress(int model) const override { return at(model).progress; }
  MlpParameters parameters(int model) const override;
  void set_parameters(int model, const MlpParameters& parameters) override;
  void predict_proba(int model, MatrixView<const float> features, MatrixView<float> probabilities) override;

 private:
  const Model& at(int model) const { return models_.at(static_cast<std::size_t>(model)); }
  void initialise(Model& model) const;
  void train_model(Model& model, int n_epochs, MlpWorkspace& workspace) const;
  void gather(MatrixView<const float> features, const RowChoice& choice, Index n_rows, const Mixup& mixup,
              MlpWorkspace& workspace) const;
  bool make_resident(const Model& model, MlpWorkspace& workspace) const;
  double train_epoch(Model& model, bool is_resident, MlpWorkspace& workspace) const;
  double gather_minibatch(const Model& model, const RowChoice& choice, int index, int n_rows,
                          bool is_resident, MlpWorkspace& workspace) const;
  RowChoice draw_copies(const Model& model, const RowChoice& choice, int n_rows,
                        MlpWorkspace& workspace) const;
  double validation_score(const Model& model, MlpWorkspace& workspace) const;
  Index training_capacity() const;
  bool has_slopes() const;

  TrainingSet training_set_;
  MlpNetwork network_;
  MlpKernels kernels_ = mlp_kernels();
  int n_threads_;
  std::vector<Model> models_;
  std::vector<std::unique_ptr<MlpWorkspace>> workspaces_;  // [n_threads], made when first needed
};

MlpNetwork make_network(const TrainingSet& training_set, std::span<const MlpJob> jobs) {
  check_jobs(training_set, jobs);
  return MlpNetwork(training_set.features.cols, jobs.front().spec, training_set.n_classes);
}

CpuMlpStack::CpuMlpStack(const TrainingSet& training_set, std::span<const MlpJob> jobs, int n_threads)
    : training_set_(training_set),
      network_(make_network(training_set, jobs)),
      n_threads_(n_threads),
      workspaces_(static_cast<std::size_t>(n_threads)) {
  for (const MlpJob& job : jobs) {
    Model& model = models_.emplace_back();
    model.job = job;
    model.rules = training_rules(job.spec, static_cast<int>(job.rows.size()));
    model.state = initial_state(model.rules);
    model.class_weights = class_weights(training_set, job);
  }
  parallel_for(static_cast<Index>(models_.size()), n_threads_,
               [&](Index model, int) { initialise(models_[static_cast<std::size_t>(model)]); });
}

void CpuMlpStack::initialise(Model& model) const {
  model.parameters = AlignedFloats(network_.n_values);
  const MlpSpec& spec = model.job.spec;
  for (std::size_t l = 0; l < network_.layers.size(); ++l) {
    const MlpLayer& layer = network_.layers[l];
    const auto bound = static_cast<float>(initial_bound(spec.activation, layer.fan_in, layer.fan_out));
    std::uint64_t index = 0;
    for (Index in = 0; in <= layer.fan_in; ++in)
      for (Index out = 0; out < layer.fan_out; ++out)
        model.parameters.data()[layer.at(in, out)] =
            initial_weight(spec.random_state, static_cast<int>(l), index++, bound);
    if (l >= network_.norms.size()) continue;
    const MlpNorm& norm = network_.norms[l];
    for (Index out = 0; out < layer.fan_out; ++out) model.parameters.data()[layer.at(layer.fan_in, out)] = 0;
    for (Index row : {norm.gamma(), norm.running_var()})
      std::fill_n(model.parameters.data() + row, norm.units, 1.0f);
  }
}

bool CpuMlpStack::has_slopes() const {
  return network_.activation == Activation::gelu ||
         std::ranges::any_of(models_, [](const Model& model) { return model.job.spec.dropout > 0; });
}

Index CpuMlpStack::training_capacity() const {
  Index capacity = min_capacity;
  for (const Model& model : models_)
    capacity = std::max<Index>(
        capacity, resolve_batch_size(model.job.spec.batch_size, static_cast<int>(model.job.rows.size())));
  return capacity;
}

void CpuMlpStack::train(int n_epochs) {
  std::vector<Model*> running;
  for (Model& model : models_) {
    if (model.state.stop_reason != StopReason::running) continue;
    check_trainable(model.job);
    if (network_.bf16 && !kernels_.lack_of_bf16.empty())
      fail("precision bf16: {} (with {})", kernels_.lack_of_bf16, simd_name());
    running.push_back(&model);
  }
  const Index capacity = training_capacity();
  parallel_for(static_cast<Index>(running.size()), n_threads_, [&](Index item, int worker) {
    auto& workspace = workspaces_[static_cast<std::size_t>(worker)];
    if (!workspace) workspace = std::make_unique<MlpWorkspace>(network_, capacity, has_slopes());
    train_model(*running[static_cast<std::size_t>(item)], n_epochs, *workspace);
  });
}

void CpuMlpStack::train_model(Model& model, int n_epochs, MlpWorkspace& workspace) const {
  const MlpSpec& spec = model.job.spec;
  if (model.first_moment.size() == 0) {
    model.first_moment = AlignedFloats(network_.n_values);
    if (spec.solver != Solver::sgd) model.second_moment = AlignedFloats(network_.n_values);
    if (spec.early_stopping) model.best = AlignedFloats(network_.n_values);
  }
  const auto n_rows = static_cast<int>(model.job.rows.size());
  workspace.use(network_, model.job, model.class_weights);
  workspace.reserve_order(n_rows);
  const bool is_resident = make_resident(model, workspace);
  workspace.bf16.is_resident = is_resident;
  const auto n_more = static_cast<std::size_t>(std::min(n_epochs, spec.max_iter - model.state.n_iter));
  model.progress.loss_curve.reserve(model.progress.loss_curve.size() + n_more);
  if (spec.early_stopping)
    model.progress.validation_scores.reserve(model.progress.validation_scores.size() + n_more);

  for (int epoch = 0; epoch < n_epochs && model.state.stop_reason == StopReason::running; ++epoch) {
    const double loss = train_epoch(model, is_resident, workspace);
    const bool is_finite = kernels_.all_finite(model.parameters.data(), network_.n_values);
    const double score = spec.early_stopping ? validation_score(model, workspace) : 0.0;
    end_epoch(model.rules, loss, score, is_finite, rows_of_epoch(spec.batch_norm, spec.batch_size, n_rows),
              model.state);
    model.progress.loss_curve.push_back(loss);
    if (spec.early_stopping) model.progress.validation_scores.push_back(score);
    if (model.state.is_best) std::copy_n(model.parameters.data(), network_.n_values, model.best.data());
  }
  model.progress.n_iter = model.state.n_iter;
  model.progress.stop_reason = model.state.stop_reason;
  if (model.state.stop_reason == StopReason::running) return;
  const bool has_best = spec.early_stopping && std::isfinite(model.state.best);
  if (has_best) std::swap(model.parameters, model.best);
  for (auto* moment : {&model.first_moment, &model.second_moment, &model.best}) *moment = AlignedFloats();
}

// Rows into activations[0], which input_rows then point to.
void CpuMlpStack::gather(MatrixView<const float> features, const RowChoice& choice, Index n_rows,
                         const Mixup& mixup, MlpWorkspace& workspace) const {
  float* inputs = workspace.activations[0].data();
  kernels_.gather(network_, features, choice, n_rows, mixup, workspace, inputs);
  for (Index i = 0; i < n_rows; ++i)
    workspace.input_rows[static_cast<std::size_t>(i)] =
        inputs + i * row_stride(network_.layers[0].fan_in + 1);
}

// A small network spends a third of its time on gathering rows, so its rows are standardised, or rounded to
// bf16, once for all epochs where its first layer can read them wherever they lie.
bool CpuMlpStack::make_resident(const Model& model, MlpWorkspace& workspace) const {
  const auto n_rows = static_cast<Index>(model.job.rows.size());
  const bool is_small = n_rows * row_stride(network_.layers[0].fan_in + 1) <= max_resident_floats;
  const MlpSpec& spec = model.job.spec;
  const bool is_altered = spec.mixup != 0 || spec.input_dropout != 0 || training_set_.n_copies != 0;
  const bool is_anywhere = network_.layers[0].transposed || network_.bf16;
  if (!is_anywhere || !is_small || is_altered) return false;
  workspace.reserve_resident(network_, n_rows);
  RowChoice choice{model.job.rows.data(), nullptr, 0};
  if (!network_.bf16) {
    kernels_.gather(network_, training_set_.features, choice, n_rows, Mixup{}, workspace,
                    workspace.resident.data());
    return true;
  }
  for (; choice.first < n_rows; choice.first += workspace.capacity) {
    const Index n = std::min(workspace.capacity, n_rows - choice.first);
    gather(training_set_.features, choice, n, Mixup{}, workspace);
    kernels_.round_inputs(network_, n, workspace,
                          workspace.bf16.resident.data() + choice.first * workspace.bf16.input_stride);
  }
  return true;
}

OptimiserStep optimiser_step(const MlpSpec& spec) {
  OptimiserStep step;
  step.solver = spec.solver;
  step.nesterovs_momentum = spec.nesterovs_momentum;
  step.momentum = static_cast<float>(spec.momentum);
  step.beta_1 = static_cast<float>(spec.beta_1);
  step.beta_2 = static_cast<float>(spec.beta_2);
  step.one_minus_beta_1 = static_cast<float>(1 - spec.beta_1);
  step.one_minus_beta_2 = static_cast<float>(1 - spec.beta_2);
  return step;
}

// The rows of the features that the rows of a minibatch are taken from.
RowChoice CpuMlpStack::draw_copies(const Model& model, const RowChoice& choice, int n_rows,
                                   MlpWorkspace& workspace) const {
  if (training_set_.n_copies == 0) return choice;
  const auto n_originals = static_cast<int>(training_set_.n_rows());
  for (int i = 0; i < n_rows; ++i)
    workspace.drawn[static_cast<std::size_t>(i)] =
        static_cast<int>(choice[i]) + n_originals * copy_of(model.job.spec.random_state, model.state.n_iter,
                                                            static_cast<std::uint32_t>(choice.first + i),
                                                            training_set_.n_copies);
  return {workspace.drawn.data(), nullptr, 0};
}

// The inputs and labels, or targets, of minibatch `index` of the epoch; gives the sum of its rows' weights.
double CpuMlpStack::gather_minibatch(const Model& model, const RowChoice& choice, int index, int n_rows,
                                     bool is_resident, MlpWorkspace& workspace) const {
  const MlpSpec& spec = model.job.spec;
  const Mixup draw = mixup(spec.random_state, model.state.n_iter, index, n_rows, spec.mixup);
  if (is_resident && network_.bf16) {
    MlpBf16& bf16 = workspace.bf16;
    for (int i = 0; i < n_rows; ++i)
      bf16.input_rows[static_cast<std::size_t>(i)] =
          bf16.resident.data() + choice.position(i) * bf16.input_stride;
  } else if (is_resident) {
    const Index stride = row_stride(network_.layers[0].fan_in + 1);
    for (int i = 0; i < n_rows; ++i)
      workspace.input_rows[static_cast<std::size_t>(i)] =
          workspace.resident.data() + choice.position(i) * stride;
  } else {
    gather(training_set_.features, draw_copies(model, choice, n_rows, workspace), n_rows, draw, workspace);
  }
  for (int i = 0; i < n_rows; ++i)
    workspace.labels[static_cast<std::size_t>(i)] = training_set_.labels[static_cast<std::size_t>(choice[i])];
  if (!workspace.soft_targets) return n_rows;
  double sum_of_weights = 0;
  for (int i = 0; i < n_rows; ++i) {
    RowTarget& target = workspace.targets[static_cast<std::size_t>(i)];
    target = row_target(workspace.labels[static_cast<std::size_t>(i)],
                        workspace.labels[static_cast<std::size_t>(draw.partner(i, n_rows))], draw.lambda,
                        static_cast<float>(spec.label_smoothing),
                        model.class_weights.empty() ? nullptr : model.class_weights.data());
    sum_of_weights += static_cast<double>(target.weight);
  }
  return sum_of_weights;
}

// Gives the mean over the rows of their minibatches' losses.
double CpuMlpStack::train_epoch(Model& model, bool is_resident, MlpWorkspace& workspace) const {
  const MlpSpec& spec = model.job.spec;
  const auto n_rows = static_cast<int>(model.job.rows.size());
  const int n_used = rows_of_epoch(spec.batch_norm, spec.batch_size, n_rows);
  const int batch_size = resolve_batch_size(spec.batch_size, n_rows);
  RowChoice choice{model.job.rows.data(), nullptr, 0};
  if (spec.shuffle) {
    kernels_.order_rows(EpochPermutation(spec.random_state, model.state.n_iter, n_rows), n_rows, workspace);
    choice.order = workspace.order.data();
  }
  OptimiserStep step = optimiser_step(spec);
  const auto dropout_rate = [](double rate) {
    return DropoutRate{dropout_threshold(rate), static_cast<float>(1 / (1 - rate))};
  };
  StepOptions options{.inputs = dropout_rate(spec.input_dropout),
                      .hidden = dropout_rate(spec.dropout),
                      .random_state = spec.random_state,
                      .epoch = model.state.n_iter};
  const MlpBuffers buffers{model.parameters.data(), model.first_moment.data(), model.second_moment.data()};
  double loss = 0;
  for (int first = 0; first < n_used; first += batch_size) {
    const int n = std::min(batch_size, n_used - first);
    choice.first = options.first = first;
    const double weight = gather_minibatch(model, choice, first / batch_size, n, is_resident, workspace);
    const StepRates rates = step_rates(model.rules, model.state);
    step.learning_rate = static_cast<float>(rates.learning_rate);
    step.epsilon = static_cast<float>(rates.epsilon);
    step.weight_decay = static_cast<float>(rates.weight_decay);
    step.inverse_weight = static_cast<float>(1 / weight);
    loss += kernels_.train_step(network_, buffers, step, options, n, workspace) * (n / weight);
    ++model.state.n_steps;
  }
  return loss / n_used;
}

// Accuracy on the validation rows.
double CpuMlpStack::validation_score(const Model& model, MlpWorkspace& workspace) const {
  const auto n_rows = static_cast<Index>(model.job.validation_rows.size());
  const Index outputs = network_.layers.back().fan_out;
  Index n_correct = 0;
  RowChoice choice{model.job.validation_rows.data(), nullptr, 0};
  for (; choice.first < n_rows; choice.first += workspace.capacity) {
    const Index n = std::min(workspace.capacity, n_rows - choice.first);
    gather(training_set_.features, choice, n, Mixup{}, workspace);
    kernels_.forward(network_, model.parameters.data(), n, workspace);
    for (Index i = 0; i < n; ++i) {
      const float* p = workspace.activations.back().data() + i * row_stride(outputs + 1);
      const auto predicted = outputs == 1 ? Index{p[0] > 0.5f} : std::max_element(p, p + outputs) - p;
      n_correct += predicted == training_set_.labels[static_cast<std::size_t>(choice[i])];
    }
  }
  return static_cast<double>(n_correct) / static_cast<double>(n_rows);
}

MlpParameters CpuMlpStack::parameters(int model) const {
  const float* values = at(model).parameters.data();
  MlpParameters parameters;
  for (const MlpLayer& layer : network_.layers) {
    Matrix<float>& weights = parameters.weights.emplace_back(layer.fan_in, layer.fan_out);
    std::vector<float>& biases = parameters.biases.emplace_back();
    for (Index in = 0; in < layer.fan_in; ++in)
      for (Index out = 0; out < layer.fan_out; ++out) weights(in, out) = values[layer.at(in, out)];
    for (Index out = 0; out < layer.fan_out; ++out) biases.push_back(values[layer.at(layer.fan_in, out)]);
  }
  for (std::size_t l = 0; l < network_.norms.size(); ++l) {
    const MlpNorm& norm = network_.norms[l];
    const auto row = [&](Index offset) {
      return std::vector<float>(values + offset, values + offset + norm.units);
    };
    parameters.biases[l] = row(norm.beta());
    parameters.batch_norms.push_back({row(norm.gamma()), row(norm.running_mean()), row(norm.running_var())});
  }
  return parameters;
}

void CpuMlpStack::set_parameters(int model, const MlpParameters& parameters) {
  check_parameters(parameters, training_set_.features.cols, at(model).job.spec, network_.n_classes);
  float* values = models_.at(static_cast<std::size_t>(model)).parameters.data();
  for (std::size_t l = 0; l < network_.layers.size(); ++l) {
    const MlpLayer& layer = network_.layers[l];
    const Matrix<float>& weights = parameters.weights[l];
    const std::vector<float>& biases = parameters.biases[l];
    for (Index in = 0; in < layer.fan_in; ++in)
      for (Index out = 0; out < layer.fan_out; ++out) values[layer.at(in, out)] = weights(in, out);
    if (l < network_.norms.size()) {
      const MlpNorm& norm = network_.norms[l];
      const BatchNorm& from = parameters.batch_norms[l];
      std::ranges::copy(from.gamma, values + norm.gamma());
      std::ranges::copy(biases, values + norm.beta());
      std::ranges::copy(from.running_mean, values + norm.running_mean());
      std::ranges::copy(from.running_var, values + norm.running_var());
      continue;
    }
    for (Index out = 0; out < layer.fan_out; ++out)
      values[layer.at(layer.fan_in, out)] = biases[static_cast<std::size_t>(out)];
  }
}

void CpuMlpStack::predict_proba(int model, MatrixView<const float> features,
                                MatrixView<float> probabilities) {
  if (features.cols != training_set_.features.cols)
    fail("{} features for a model of {}", features.cols, training_set_.features.cols);
  if (probabilities.rows != features.rows || probabilities.cols != network_.n_classes)
    fail("probabilities [{}, {}] for {} rows and {} classes", probabilities.rows, probabilities.cols,
         features.rows, network_.n_classes);
  const Model& asked = at(model);
  constexpr Index chunk = 256;  // rows
  const Index n_chunks = (features.rows + chunk - 1) / chunk;
  const Index outputs = network_.layers.back().fan_out;
  std::vector<std::unique_ptr<MlpWorkspace>> workspaces(static_cast<std::size_t>(n_threads_));
  parallel_for(n_chunks, n_threads_, [&](Index item, int worker) {
    auto& workspace = workspaces[static_cast<std::size_t>(worker)];
    if (!workspace) {
      workspace = std::make_unique<MlpWorkspace>(network_, std::min(chunk, features.rows), false);
      workspace->use(network_, asked.job, asked.class_weights);
    }
    const Index first = item * chunk;
    const Index n = std::min(chunk, features.rows - first);
    gather(features, {nullptr, nullptr, first}, n, Mixup{}, *workspace);
    kernels_.forward(network_, asked.parameters.data(), n, *workspace);
    for (Index i = 0; i < n; ++i) {
      const float* p = workspace->activations.back().data() + i * row_stride(outputs + 1);
      float* out = probabilities.row(first + i).data();
      if (outputs == 1) {
        out[0] = 1 - p[0];
        out[1] = p[0];
      } else {
        std::copy_n(p, outputs, out);
      }
    }
  });
}

}  // namespace

std::unique_ptr<MlpStack> make_cpu_mlp_stack(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                                             int n_threads) {
  return std::make_unique<CpuMlpStack>(training_set, jobs, n_threads);
}

}  // namespace melgrad
