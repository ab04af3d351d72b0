#include "kernels/cuda_mlp_stack.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "host/core/error.hpp"
#include "host/engine/mlp_jobs.hpp"
#include "kernels/mlp_block.hpp"
#include "kernels/mlp_models.hpp"
#include "kernels/mlp_stack_run.hpp"
#include "kernels/nvtx.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

constexpr int prediction_rows = 128;     // of a block at a time
constexpr int max_slots = 4096;          // of a substack; a grid has at most 65535 in y
constexpr int most_vendor_rows = 65535;  // of a minibatch: cuDNN has had limits from there on
constexpr int epochs_per_run = 16;       // of the route `stack`, between two looks at who has stopped

GpuRates device_rates(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "device");
  GpuRates rates;
  rates.multiprocessors = properties.multiProcessorCount;
  // Compute capability 7.5, 8.0 and 10.0's double-precision boards apart, 128 lanes.
  rates.lanes = properties.major * 10 + properties.minor <= 80 ? 64 : 128;
  rates.l2_megabytes = properties.l2CacheSize * 1e-6;
  return rates;
}

// Memory that a run of blocks works in.
class Workspaces {
 public:
  Workspaces() = default;
  Workspaces(const DeviceNetwork& network, int capacity, Index n_blocks, bool with_slopes)
      : outputs_(n_blocks * capacity * network.n_outputs),
        slopes_(with_slopes ? n_blocks * capacity * network.n_outputs : 0),
        deltas_(n_blocks * capacity * 2 * network.widest),
        row_of_(n_blocks * capacity) {
    view_ = {outputs_.data(), with_slopes ? slopes_.data() : nullptr,
             deltas_.data(),  row_of_.data(),
             capacity,        static_cast<int>(n_blocks)};
  }
  static double bytes(const DeviceNetwork& network, int capacity, bool with_slopes) {
    return 4.0 * capacity *
           static_cast<double>(network.n_outputs * (with_slopes ? 2 : 1) + 2 * network.widest + 1);
  }
  const BlockWorkspace& view() const { return view_; }

 private:
  DeviceBuffer<float> outputs_, slopes_, deltas_;
  DeviceBuffer<int> row_of_;
  BlockWorkspace view_;
};

class CudaMlpStack final : public MlpStack {
 public:
  CudaMlpStack(const TrainingSet& training_set, std::span<const MlpJob> jobs, const CudaMlpOptions& options)
      : options_(options),
        rates_(device_rates(options.device)),
        models_(training_set, jobs, stream_),
        progress_(jobs.size()) {
    name_for_profiler(stream_, "melgrad training");
  }

  void train(int n_epochs) override;
  const MlpProgress& progress(int model) const override {
    return progress_.at(static_cast<std::size_t>(model));
  }
  MlpParameters parameters(int model) const override {
    use_device(options_.device);  // of the thread that calls, which is not always the same
    return models_.parameters(model, stream_);
  }
  void set_parameters(int model, const MlpParameters& parameters) override {
    use_device(options_.device);
    models_.set_parameters(model, parameters, stream_);
  }
  void predict_proba(int model, MatrixView<const float> features, MatrixView<float> probabilities) override;

 private:
  MlpShape shape_of(const MlpJob& job) const;
  double workspace_budget() const;
  MlpRoute route_of(const std::vector<int>& queue) const;
  void train_blocks(const std::vector<int>& queue, int n_epochs);
  void train_stacks(const std::vector<int>& queue, int n_epochs);
  void train_substack(std::vector<int> queue, const StackProducts& products, const StackNorm* norm,
                      int n_epochs);
  void note_epochs(const std::vector<int>& queue, int n_epochs, const double* losses, const double* scores);

  CudaMlpOptions options_;
  Stream stream_;
  GpuRates rates_;
  DeviceModels models_;
  std::vector<MlpProgress> progress_;
};

MlpShape CudaMlpStack::shape_of(const MlpJob& job) const {
  MlpShape shape;
  const auto n_rows = static_cast<int>(job.rows.size());
  shape.units.push_back(models_.layout().layers.front().fan_in);
  for (const DeviceLayer& layer : models_.layout().layers) shape.units.push_back(layer.fan_out);
  shape.n_rows = n_rows;
  shape.batch_size = resolve_batch_size(job.spec.batch_size, n_rows);
  return shape;
}

// What a run may take beside what is allocated already.
double CudaMlpStack::workspace_budget() const {
  if (options_.workspace_bytes > 0) return static_cast<double>(options_.workspace_bytes);
  std::size_t n_free = 0, n_total = 0;
  check(cudaMemGetInfo(&n_free, &n_total), "device memory");
  return 0.8 * static_cast<double>(n_free);
}

void CudaMlpStack::train(int n_epochs) {
  use_device(options_.device);
  std::vector<int> queue;
  for (int index = 0; index < models_.size(); ++index) {
    if (progress(index).stop_reason != StopReason::running) continue;
    check_trainable(models_.job(index));
    queue.push_back(index);
  }
  if (queue.empty()) return;
  models_.prepare_training(stream_);
  if (route_of(queue) == MlpRoute::block)
    train_blocks(queue, n_epochs);
  else
    train_stacks(queue, n_epochs);
}

MlpRoute CudaMlpStack::route_of(const std::vector<int>& queue) const {
  if (options_.route != MlpRoute::automatic) return options_.route;
  const MlpJob& job = models_.job(queue.front());
  if (job.spec.batch_norm || models_.has_input_dropout()) return MlpRoute::stack;
  return choose_route(rates_, shape_of(job), models_.size());
}

// Launches of as many epochs as a watchdog allows, of the models that still run.
void CudaMlpStack::train_blocks(const std::vector<int>& all, int n_epochs) {
  std::vector<int> queue = all;
  const DeviceNetwork network = models_.network();
  int capacity = 0;
  for (int index : queue) capacity = std::max(capacity, models_.model(index).hyper.batch_size);
  const Index n_resident = Index{block_training_occupancy()} * rates_.multiprocessors;
  const double bytes = Workspaces::bytes(network, capacity, models_.layout().has_slopes);
  const int n_blocks =
      fitting(workspace_budget(), bytes,
              static_cast<int>(std::min<Index>(n_resident, static_cast<Index>(queue.size()))));
  if (n_blocks == 0)
    throw OutOfDeviceMemory(
        fmt::format("minibatches of {} rows need {:.0f} MB of device memory, and {:.0f} are free", capacity,
                    bytes * 1e-6, workspace_budget() * 1e-6));
  const Workspaces workspaces(network, capacity, n_blocks, models_.layout().has_slopes);
  const MlpShape shape = shape_of(models_.job(queue.front()));
  for (int n_done = 0; n_done < n_epochs && !queue.empty();) {
    const auto n_queued = static_cast<Index>(queue.size());
    const int n_more =
        std::min(n_epochs - n_done,
                 epochs_per_launch(rates_, shape, static_cast<int>(n_queued), options_.launch_seconds));
    const ProfilerRange range("train blocks", n_queued);
    const DeviceBuffer<int> device_queue = upload(std::span<const int>(queue), stream_);
    const DeviceBuffer<int> n_taken(1);
    const DeviceBuffer<double> history(2 * n_queued * n_more);
    const PinnedBuffer<double> pinned(history.size());
    check(cudaMemsetAsync(n_taken.data(), 0, sizeof(int), stream_.get()), "queue");
    launch_block_training(
        {network, models_.rows(), models_.device(), device_queue.data(), static_cast<int>(n_queued), n_more,
         n_taken.data(), workspaces.view(), history.data(), history.data() + n_queued * n_more},
        stream_.get());
    copy_to_host(pinned.span(), DeviceSpan<const double>(history.span()), stream_);
    models_.download(stream_);
    note_epochs(queue, n_more, pinned.data(), pinned.data() + n_queued * n_more);
    std::erase_if(queue, [&](int index) { return progress(index).stop_reason != StopReason::running; });
    n_done += n_more;
  }
}

// Models whose epochs have the same graph, side by side: one batch size and one number of minibatches.
void CudaMlpStack::train_stacks(const std::vector<int>& queue, int n_epochs) {
  const auto key = [&](int index) {
    const DeviceHyper& hyper = models_.model(index).hyper;
    return std::pair(hyper.batch_size, ceil_div(hyper.n_used, hyper.batch_size));
  };
  std::vector<int> rest = queue;
  std::ranges::stable_sort(rest, {}, key);
  const int stride = static_cast<int>(models_.rows().stride);
  std::optional<StackNorm> norm;
  if (models_.job(queue.front()).spec.batch_norm && options_.norm != NormRoute::own &&
      (options_.norm == NormRoute::vendor || StackNorm::is_there()))
    norm.emplace();
  for (std::size_t first = 0; first < rest.size();) {
    const auto [capacity, n_minibatches] = key(rest[first]);
    const StackNorm* const by_vendor =
        norm && n_minibatches > 1 && capacity <= most_vendor_rows ? &*norm : nullptr;
    const double bytes = StackRun::bytes_of_model(models_.layout(), stride, capacity, by_vendor != nullptr);
    const int most = fitting(workspace_budget(), bytes, max_slots);
    if (most == 0)
      throw OutOfDeviceMemory(
          fmt::format("a model's minibatches of {} rows need {:.0f} MB of device memory, and {:.0f} are free",
                      capacity, bytes * 1e-6, workspace_budget() * 1e-6));
    std::vector<int> substack;
    for (; first < rest.size() && std::ssize(substack) < most; ++first) {
      if (!substack.empty() && key(rest[first]) != key(substack.front())) break;
      substack.push_back(rest[first]);
    }
    train_substack(std::move(substack), StackProducts(models_.layout(), stride, capacity, options_.tf32),
                   by_vendor, n_epochs);
  }
}

// In runs of some epochs, after each of which the models that have stopped leave.
void CudaMlpStack::train_substack(std::vector<int> queue, const StackProducts& products,
                                  const StackNorm* norm, int n_epochs) {
  for (int n_done = 0; n_done < n_epochs && !queue.empty();) {
    const int n_more = std::min(n_epochs - n_done, epochs_per_run);
    const ProfilerRange range("train stack", std::ssize(queue));
    StackRun run(models_, queue, products, norm, models_.model(queue.front()).hyper.batch_size, n_more,
                 stream_);
    run.train(stream_);
    note_epochs(queue, n_more, run.losses().data(), run.scores().data());
    std::erase_if(queue, [&](int index) { return progress(index).stop_reason != StopReason::running; });
    n_done += n_more;
  }
}

// losses and scores [queue, n_epochs], as far as each model has trained.
void CudaMlpStack::note_epochs(const std::vector<int>& queue, int n_epochs, const double* losses,
                               const double* scores) {
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const DeviceModel& model = models_.model(queue[i]);
    MlpProgress& progress = progress_[static_cast<std::size_t>(queue[i])];
    const int n_new = model.state.n_iter - progress.n_iter;
    const auto first = static_cast<std::ptrdiff_t>(i) * n_epochs;
    progress.loss_curve.insert(progress.loss_curve.end(), losses + first, losses + first + n_new);
    if (model.hyper.rules.early_stopping)
      progress.validation_scores.insert(progress.validation_scores.end(), scores + first,
                                        scores + first + n_new);
    progress.n_iter = model.state.n_iter;
    progress.stop_reason = model.state.stop_reason;
  }
}

void CudaMlpStack::predict_proba(int index, MatrixView<const float> features,
                                 MatrixView<float> probabilities) {
  const DeviceNetwork network = models_.network();
  if (features.cols != models_.layout().layers.front().fan_in)
    fail("{} features for a model of {}", features.cols, models_.layout().layers.front().fan_in);
  if (probabilities.rows != features.rows || probabilities.cols != network.n_classes)
    fail("probabilities [{}, {}] for {} rows and {} classes", probabilities.rows, probabilities.cols,
         features.rows, network.n_classes);
  if (features.rows == 0) return;
  const ProfilerRange range("predict", features.rows);
  use_device(options_.device);
  const ResidentMatrix matrix(features, stream_);
  DeviceModel asked = models_.model(index);
  asked.parameters = const_cast<float*>(models_.values(index));
  const DeviceBuffer<DeviceModel> model = upload(std::span<const DeviceModel>(&asked, 1), stream_);
  const Index n_chunks = ceil_div(features.rows, prediction_rows);
  const Workspaces workspaces(network, prediction_rows,
                              std::min<Index>(n_chunks, Index{2} * rates_.multiprocessors), false);
  const DeviceBuffer<float> outputs(features.rows * network.n_classes);
  const PinnedBuffer<float> pinned(outputs.size());
  launch_block_prediction({network,
                           {matrix.data(), nullptr, matrix.stride()},
                           features.rows,
                           model.data(),
                           workspaces.view(),
                           outputs.data()},
                          stream_.get());
  copy_to_host(pinned.span(), DeviceSpan<const float>(outputs.span()), stream_);
  stream_.synchronize();
  for (Index row = 0; row < features.rows; ++row)
    std::copy_n(pinned.data() + row * network.n_classes, network.n_classes, probabilities.row(row).data());
}

}  // namespace

std::unique_ptr<MlpStack> make_cuda_mlp_stack(const TrainingSet& training_set, std::span<const MlpJob> jobs,
                                              const CudaMlpOptions& options) {
  check_jobs(training_set, jobs);
  for (const MlpJob& job : jobs) {
    if (job.spec.precision != Precision::float32) fail("the CUDA engine has no precision bf16");
    if (options.route != MlpRoute::block) continue;
    if (job.spec.batch_norm) fail("the CUDA engine's route `block` has no batch_norm");
    if (job.spec.input_dropout > 0) fail("the CUDA engine's route `block` has no input_dropout");
  }
  use_device(options.device);
  return std::make_unique<CudaMlpStack>(training_set, jobs, options);
}

}  // namespace melgrad::MELGRAD_KERNELS
