#pragma once
// The models of a stack in device memory, with all that they read: the resident matrix, scalings, row lists.

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "host/engine/mlp.hpp"
#include "kernels/cuda_handles.hpp"
#include "kernels/mlp_device.hpp"

namespace melgrad::MELGRAD_KERNELS {

// Layers of a network, as a host sees them.
struct NetworkLayout {
  std::vector<DeviceLayer> layers;
  DeviceNetwork network;    // its layers are not set
  bool has_slopes = false;  // activation gelu or dropout: derivatives are kept, not recomputed

  NetworkLayout(Index n_features, const MlpSpec& spec, int n_classes);
};

// Host memory that is copied to the device at once; device memory of it.
template <class T>
DeviceBuffer<T> upload(std::span<const T> values, const Stream& stream) {
  const PinnedBuffer<T> pinned(static_cast<Index>(values.size()));
  DeviceBuffer<T> buffer(static_cast<Index>(values.size()));
  std::copy(values.begin(), values.end(), pinned.data());
  copy_to_device(buffer.span(), pinned.span(), stream);
  stream.synchronize();
  return buffer;
}

// A matrix [n_rows, stride] as the kernels read it: the features, a column of ones, zeros.
class ResidentMatrix {
 public:
  ResidentMatrix(MatrixView<const float> features, const Stream& stream);
  const float* data() const { return rows_.data(); }
  int stride() const { return stride_; }

 private:
  int stride_;
  DeviceBuffer<float> rows_;
};

class DeviceModels {
 public:
  DeviceModels(const TrainingSet& training_set, std::span<const MlpJob> jobs, const Stream& stream);

  int size() const { return static_cast<int>(jobs_.size()); }
  const MlpJob& job(int model) const { return jobs_.at(static_cast<std::size_t>(model)); }
  const NetworkLayout& layout() const { return layout_; }
  bool has_input_dropout() const {  // any of the models
    return std::ranges::any_of(jobs_, [](const MlpJob& job) { return job.spec.input_dropout > 0; });
  }
  // The network with its layers in device memory.
  DeviceNetwork network() const;
  DeviceRows rows() const { return {matrix_.data(), labels_.data(), matrix_.stride()}; }
  DeviceModel* device() const { return device_models_.data(); }  // [size]
  // The host's copy: as of the last download(); goes back with upload_models().
  DeviceModel& model(int index) { return host_models_.data()[index]; }
  const DeviceModel& model(int index) const { return host_models_.data()[index]; }
  void upload_models(const Stream& stream);
  void download(const Stream& stream);

  // Moments, and the best parameters for models with early_stopping; needed to train, not to predict.
  void prepare_training(const Stream& stream);

  MlpParameters parameters(int model, const Stream& stream) const;
  void set_parameters(int model, const MlpParameters& parameters, const Stream& stream);
  // With early_stopping a model that has stopped is the one of its best epoch.
  const float* values(int model) const;

 private:
  void upload_inputs(const TrainingSet& training_set, const Stream& stream);
  void describe(int model, const TrainingSet& training_set);

  std::vector<MlpJob> jobs_;
  NetworkLayout layout_;
  ResidentMatrix matrix_;
  DeviceBuffer<DeviceLayer> layers_;
  DeviceBuffer<int> labels_, row_lists_;
  DeviceBuffer<float> scalings_, class_weights_;
  std::vector<Index> first_row_, first_validation_row_, scaling_at_, class_weights_at_;  // offsets
  DeviceBuffer<float> parameters_, first_moments_, second_moments_, best_;
  bool is_prepared_ = false;
  PinnedBuffer<DeviceModel> host_models_;
  DeviceBuffer<DeviceModel> device_models_;
};

}  // namespace melgrad::MELGRAD_KERNELS
