#include "kernels/mlp_models.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "host/engine/mlp_jobs.hpp"
#include "host/engine/training_rules.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

// Initial weights of layer `index` of every model: initial_weight() and, with batch_norm, what torch begins
// with. Grid (ceil(values / 256), models).
__global__ void mlp_initialise_kernel(DeviceLayer layer, int index, float bound, DeviceModel* models) {
  const DeviceModel& model = models[blockIdx.y];
  const Index at = static_cast<Index>(blockIdx.x) * blockDim.x + threadIdx.x;
  const Index row = at / layer.w_stride, col = at % layer.w_stride;
  if (row > layer.fan_in || col >= layer.fan_out) return;
  const bool is_beta = layer.norm >= 0 && row == layer.fan_in;
  const auto number = static_cast<std::uint64_t>(row * layer.fan_out + col);
  model.parameters[layer.weights + at] =
      is_beta ? 0.0f : initial_weight(model.hyper.random_state, index, number, bound);
  if (!is_beta) return;
  model.parameters[layer.norm + col] = 1.0f;
  model.parameters[layer.norm + 2 * layer.w_stride + col] = 1.0f;
}

DeviceHyper device_hyper(const TrainingSet& training_set, const MlpJob& job, bool has_class_weights) {
  const MlpSpec& spec = job.spec;
  DeviceHyper hyper;
  const auto n_rows = static_cast<int>(job.rows.size());
  hyper.rules = training_rules(spec, n_rows);
  hyper.random_state = spec.random_state;
  hyper.mixup = spec.mixup;
  hyper.batch_size = std::max(1, resolve_batch_size(spec.batch_size, n_rows));
  hyper.n_used = n_rows == 0 ? 0 : rows_of_epoch(spec.batch_norm, spec.batch_size, n_rows);
  hyper.alpha = static_cast<float>(spec.alpha);
  hyper.momentum = static_cast<float>(spec.momentum);
  hyper.beta_1 = static_cast<float>(spec.beta_1);
  hyper.beta_2 = static_cast<float>(spec.beta_2);
  hyper.one_minus_beta_1 = static_cast<float>(1 - spec.beta_1);
  hyper.one_minus_beta_2 = static_cast<float>(1 - spec.beta_2);
  hyper.label_smoothing = static_cast<float>(spec.label_smoothing);
  hyper.dropout_threshold = dropout_threshold(spec.dropout);
  hyper.dropout_scale = static_cast<float>(1 / (1 - spec.dropout));
  hyper.input_dropout_threshold = dropout_threshold(spec.input_dropout);
  hyper.input_dropout_scale = static_cast<float>(1 / (1 - spec.input_dropout));
  hyper.clip = spec.clip > 0 ? static_cast<float>(spec.clip) : std::numeric_limits<float>::infinity();
  hyper.n_copies = training_set.n_copies;
  hyper.n_originals = static_cast<int>(training_set.n_rows());
  hyper.nesterovs_momentum = spec.nesterovs_momentum;
  hyper.shuffle = spec.shuffle;
  hyper.has_soft_targets = spec.mixup > 0 || spec.label_smoothing > 0 || has_class_weights;
  return hyper;
}

std::vector<int> row_list(std::span<const MlpJob> jobs, std::vector<Index>& first,
                          std::vector<Index>& first_validation) {
  std::vector<int> rows;
  std::map<std::pair<const int*, std::size_t>, Index> known;  // candidates of one fold share its rows
  const auto add = [&](std::span<const int> list) {
    const auto [at, is_new] = known.try_emplace({list.data(), list.size()}, static_cast<Index>(rows.size()));
    if (is_new) rows.insert(rows.end(), list.begin(), list.end());
    return at->second;
  };
  for (const MlpJob& job : jobs) {
    first.push_back(add(job.rows));
    first_validation.push_back(add(job.validation_rows));
  }
  return rows;
}

// [mean, inverse scale] of each scaling that differs, [stride] each.
std::vector<float> scaling_table(std::span<const MlpJob> jobs, Index n_features, int stride,
                                 std::vector<Index>& at) {
  std::vector<float> table;
  std::vector<const FeatureScaling*> known;
  for (const MlpJob& job : jobs) {
    const auto same = std::ranges::find_if(known, [&](const FeatureScaling* each) {
      return each == job.scaling || (each != nullptr && job.scaling != nullptr && *each == *job.scaling);
    });
    const Index index = same - known.begin();
    at.push_back(index * 2 * stride);
    if (same != known.end()) continue;
    known.push_back(job.scaling);
    table.resize(table.size() + static_cast<std::size_t>(2 * stride));
    float* mean = table.data() + at.back();
    float* inverse_scale = mean + stride;
    for (Index k = 0; k < n_features; ++k) {
      const auto i = static_cast<std::size_t>(k);
      mean[k] = job.scaling != nullptr ? job.scaling->mean[i] : 0.0f;
      inverse_scale[k] = job.scaling != nullptr ? 1.0f / job.scaling->scale[i] : 1.0f;
    }
    inverse_scale[n_features] = 1.0f;
  }
  return table;
}

}  // namespace

NetworkLayout::NetworkLayout(Index n_features, const MlpSpec& spec, int n_classes) {
  network.n_classes = n_classes;
  network.activation = spec.activation;
  int fan_in = static_cast<int>(n_features), in_stride = round_up(fan_in + 1, 4);
  const auto add = [&](int fan_out) {
    DeviceLayer layer;
    layer.fan_in = fan_in;
    layer.fan_out = fan_out;
    layer.w_stride = round_up(fan_out, 4);
    layer.in_stride = in_stride;
    layer.stride = round_up(fan_out + 1, 4);
    layer.weights = network.n_values;
    layer.outputs = network.n_outputs;
    network.n_values += static_cast<Index>(fan_in + 1) * layer.w_stride;
    network.n_outputs += layer.stride;
    layers.push_back(layer);
    fan_in = fan_out;
    in_stride = layer.stride;
  };
  for (int units : spec.hidden_layer_sizes) add(units);
  add(n_outputs(n_classes));
  network.n_layers = static_cast<int>(layers.size());
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
    network.widest = std::max(network.widest, layers[l].stride);
    if (!spec.batch_norm) continue;
    layers[l].norm = network.n_values;
    network.n_values += 3 * layers[l].w_stride;
  }
}

ResidentMatrix::ResidentMatrix(MatrixView<const float> features, const Stream& stream)
    : stride_(round_up(static_cast<int>(features.cols) + 1, 4)), rows_(features.rows * stride_) {
  const PinnedBuffer<float> pinned(features.rows * stride_);
  for (Index row = 0; row < features.rows; ++row) {
    float* to = pinned.data() + row * stride_;
    std::copy_n(features.data + row * features.stride, features.cols, to);
    std::fill_n(to + features.cols, stride_ - features.cols, 0.0f);
    to[features.cols] = 1.0f;
  }
  copy_to_device(rows_.span(), pinned.span(), stream);
  stream.synchronize();
}

DeviceModels::DeviceModels(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                           const Stream& stream)
    : jobs_(jobs.begin(), jobs.end()),
      layout_(training_set.features.cols, jobs.front().spec, training_set.n_classes),
      matrix_(training_set.features, stream),
      host_models_(static_cast<Index>(jobs.size())),
      device_models_(static_cast<Index>(jobs.size())) {
  layout_.has_slopes = jobs.front().spec.activation == Activation::gelu ||
                       std::ranges::any_of(jobs, [](const MlpJob& job) { return job.spec.dropout > 0; });
  const Index n_values = layout_.network.n_values * size();
  parameters_ = DeviceBuffer<float>(n_values);
  upload_inputs(training_set, stream);
  // From here on nothing is allocated: memory that work is under way on is not to be given back.
  check(cudaMemsetAsync(parameters_.data(), 0, static_cast<std::size_t>(n_values) * sizeof(float),
                        stream.get()),
        "parameters");
  for (int index = 0; index < size(); ++index) describe(index, training_set);
  upload_models(stream);
  for (std::size_t l = 0; l < layout_.layers.size(); ++l) {
    const DeviceLayer& layer = layout_.layers[l];
    const auto bound =
        static_cast<float>(initial_bound(layout_.network.activation, layer.fan_in, layer.fan_out));
    launch(mlp_initialise_kernel,
           {{ceil_div(static_cast<Index>(layer.fan_in + 1) * layer.w_stride, 256),
             static_cast<unsigned>(size())},
            256},
           stream.get(), layer, static_cast<int>(l), bound, device());
  }
  stream.synchronize();
}

void DeviceModels::upload_inputs(const TrainingSet& training_set, const Stream& stream) {
  layers_ = upload(std::span<const DeviceLayer>(layout_.layers), stream);
  std::vector<int> labels;
  for (int copy = 0; copy <= training_set.n_copies; ++copy)
    labels.insert(labels.end(), training_set.labels.begin(), training_set.labels.end());
  labels_ = upload(std::span<const int>(labels), stream);
  row_lists_ = upload(std::span<const int>(row_list(jobs_, first_row_, first_validation_row_)), stream);
  scalings_ = upload(
      std::span<const float>(scaling_table(jobs_, training_set.features.cols, matrix_.stride(), scaling_at_)),
      stream);
  std::vector<float> all_weights;
  for (const MlpJob& job : jobs_) {
    const std::vector<float> weights = class_weights(training_set, job);
    class_weights_at_.push_back(weights.empty() ? -1 : static_cast<Index>(all_weights.size()));
    all_weights.insert(all_weights.end(), weights.begin(), weights.end());
  }
  class_weights_ = upload(std::span<const float>(all_weights), stream);
}

void DeviceModels::describe(int index, const TrainingSet& training_set) {
  const auto i = static_cast<std::size_t>(index);
  const MlpJob& job = jobs_[i];
  DeviceModel& model = *new (&host_models_.data()[index]) DeviceModel();
  model.parameters = parameters_.data() + index * layout_.network.n_values;
  model.rows = row_lists_.data() + first_row_[i];
  model.validation_rows = row_lists_.data() + first_validation_row_[i];
  model.mean = scalings_.data() + scaling_at_[i];
  model.inverse_scale = model.mean + matrix_.stride();
  const bool has_class_weights = class_weights_at_[i] >= 0;
  model.class_weights = has_class_weights ? class_weights_.data() + class_weights_at_[i] : nullptr;
  model.n_rows = static_cast<int>(job.rows.size());
  model.n_validation = static_cast<int>(job.validation_rows.size());
  model.hyper = device_hyper(training_set, job, has_class_weights);
  model.state = initial_state(model.hyper.rules);
}

DeviceNetwork DeviceModels::network() const {
  DeviceNetwork network = layout_.network;
  network.layers = layers_.data();
  return network;
}

void DeviceModels::upload_models(const Stream& stream) {
  copy_to_device(device_models_.span(), host_models_.span(), stream);
  stream.synchronize();
}

void DeviceModels::download(const Stream& stream) {
  copy_to_host(host_models_.span(), DeviceSpan<const DeviceModel>(device_models_.span()), stream);
  stream.synchronize();
}

void DeviceModels::prepare_training(const Stream& stream) {
  if (is_prepared_) return;
  const Index n_values = layout_.network.n_values;
  // One after another for those that need them: [models that do, n_values].
  const auto allocate = [&](DeviceBuffer<float>& buffer, float* DeviceModel::*member, auto&& needs) {
    const Index count = std::ranges::count_if(jobs_, needs);
    buffer = DeviceBuffer<float>(count * n_values);
    Index next = 0;
    for (int index = 0; index < size(); ++index)
      if (needs(job(index))) model(index).*member = buffer.data() + n_values * next++;
  };
  allocate(first_moments_, &DeviceModel::first_moment, [](const MlpJob&) { return true; });
  allocate(second_moments_, &DeviceModel::second_moment,
           [](const MlpJob& job) { return job.spec.solver != Solver::sgd; });
  allocate(best_, &DeviceModel::best, [](const MlpJob& job) { return job.spec.early_stopping; });
  for (const DeviceBuffer<float>* buffer : {&first_moments_, &second_moments_, &best_})
    if (buffer->size() > 0)
      check(cudaMemsetAsync(buffer->data(), 0, static_cast<std::size_t>(buffer->size()) * sizeof(float),
                            stream.get()),
            "moments");
  upload_models(stream);
  is_prepared_ = true;
}

const float* DeviceModels::values(int index) const {
  const DeviceModel& each = model(index);
  const bool takes_best = each.hyper.rules.early_stopping && each.state.stop_reason != StopReason::running &&
                          std::isfinite(each.state.best);
  return takes_best ? each.best : each.parameters;
}

MlpParameters DeviceModels::parameters(int index, const Stream& stream) const {
  const Index n_values = layout_.network.n_values;
  const PinnedBuffer<float> pinned(n_values);
  copy_to_host(pinned.span(), DeviceSpan<const float>(values(index), n_values), stream);
  stream.synchronize();
  MlpParameters parameters;
  for (const DeviceLayer& layer : layout_.layers) {
    const float* w = pinned.data() + layer.weights;
    const auto row = [&](const float* from) { return std::vector<float>(from, from + layer.fan_out); };
    Matrix<float>& weights = parameters.weights.emplace_back(layer.fan_in, layer.fan_out);
    for (Index in = 0; in < layer.fan_in; ++in)
      std::copy_n(w + in * layer.w_stride, layer.fan_out, weights.row(in).data());
    parameters.biases.push_back(row(w + static_cast<Index>(layer.fan_in) * layer.w_stride));
    if (layer.norm < 0) continue;
    const float* norm = pinned.data() + layer.norm;
    parameters.batch_norms.push_back({row(norm), row(norm + layer.w_stride), row(norm + 2 * layer.w_stride)});
  }
  return parameters;
}

void DeviceModels::set_parameters(int index, const MlpParameters& parameters, const Stream& stream) {
  const NetworkLayout& layout = layout_;
  check_parameters(parameters, layout.layers.front().fan_in, job(index).spec, layout.network.n_classes);
  const PinnedBuffer<float> pinned(layout.network.n_values);
  std::fill_n(pinned.data(), layout.network.n_values, 0.0f);
  for (std::size_t l = 0; l < layout.layers.size(); ++l) {
    const DeviceLayer& layer = layout.layers[l];
    float* w = pinned.data() + layer.weights;
    for (Index in = 0; in < layer.fan_in; ++in)
      std::ranges::copy(parameters.weights[l].row(in), w + in * layer.w_stride);
    std::ranges::copy(parameters.biases[l], w + static_cast<Index>(layer.fan_in) * layer.w_stride);
    if (layer.norm < 0) continue;
    const BatchNorm& norm = parameters.batch_norms[l];
    float* to = pinned.data() + layer.norm;
    std::ranges::copy(norm.gamma, to);
    std::ranges::copy(norm.running_mean, to + layer.w_stride);
    std::ranges::copy(norm.running_var, to + 2 * layer.w_stride);
  }
  const DeviceSpan<float> to(const_cast<float*>(values(index)), layout.network.n_values);
  copy_to_device(to, pinned.span(), stream);
  stream.synchronize();
}

}  // namespace melgrad::MELGRAD_KERNELS
