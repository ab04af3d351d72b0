#pragma once
// THE SEAM. An engine is one device and one in-order queue on it; two engines are two queues. One thread at a
// time calls an engine or what it made, not always the same thread. Everything between a waveform and its
// feature row is one call, and so is the training of many epochs of many models: an engine may fuse, capture
// and keep in cache whatever it likes in between.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/core/matrix.hpp"
#include "host/core/waveform_batch.hpp"
#include "host/engine/mlp.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {

// Per-frame values of one descriptor of one clip: [n_values, n_frames], as librosa returns them.
struct FrameTrack {
  std::string name;  // of the descriptor: "chroma_stft"
  Matrix<float> values;
};

class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;
  // rows [n_clips, n_features]. Deterministic: a clip's row does not depend on its batch. All set-up is done
  // in the constructor; allocates nothing once it has seen its largest batch.
  virtual void extract(const WaveformBatch& batch, MatrixView<float> rows) = 0;
  // Where the engine computes on the host's cores: an extractor of the same bits that shares this one's
  // tables and works on the thread that calls it, for use by another thread at the same time. Null where
  // callers have to take turns, as at a device's queue.
  virtual std::unique_ptr<FeatureExtractor> for_another_thread() const { return nullptr; }
  // [n_clips][n_descriptors], for tests, plots and export.
  virtual std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch& batch) = 0;
};

// Models of one architecture, trained side by side. Same bits for any size of the stack and any number of
// threads.
class MlpStack {
 public:
  virtual ~MlpStack() = default;
  // Trains every model that still runs by at most n_epochs epochs, fewer where it stops by its own rules
  // (training_rules.hpp). A model whose loss or weights are not finite stops alone.
  virtual void train(int n_epochs) = 0;
  virtual const MlpProgress& progress(int model) const = 0;
  // With early_stopping and once stopped: the best epoch's, as scikit-learn.
  virtual MlpParameters parameters(int model) const = 0;
  virtual void set_parameters(int model, const MlpParameters& parameters) = 0;
  // Probabilities [n_rows, n_classes] of features [n_rows, n_features], scaled by the model's own scaling.
  virtual void predict_proba(int model, MatrixView<const float> features,
                             MatrixView<float> probabilities) = 0;
};

// Of each query, the nearest rows of a training set, the nearest first, of equally near ones the earlier.
struct Neighbours {
  Matrix<int> rows;          // [n_queries, k], of the training set
  Matrix<double> distances;  // [n_queries, k], Euclidean
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;    // "cpu", "cuda:0"
  virtual std::string description() const = 0;  // for people: processor, instruction set, threads
  virtual std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan& plan) = 0;
  // All jobs have the same layer sizes and activation. The training set outlives the stack.
  virtual std::unique_ptr<MlpStack> mlp_stack(const TrainingSet& training_set,
                                              std::span<const MlpJob> jobs) = 0;
  // train [n_train, n_features], queries [n_queries, n_features], 1 <= k <= n_train; distances are summed in
  // double.
  virtual Neighbours nearest_neighbours(MatrixView<const float> train, MatrixView<const float> queries,
                                        int k) = 0;
};

struct EngineOptions {
  int n_threads = 0;  // 0: every core
  bool tf32 = false;  // a GPU may round the operands of large products to TF32's 10 bits
};

// device: "cpu", "cuda" (the first usable GPU), "cuda:N", or "auto", which takes a usable GPU and else the
// CPU; `choice` then says why. An engine that was named and cannot be had is an error that says why. A GPU
// has to pass its self-check (self_check.hpp) at its first use in a process. Defined in
// kernels/make_engine.cpp.
struct MadeEngine {
  std::unique_ptr<Engine> engine;
  std::string choice;  // "cpu, because this build has no CUDA engine"; empty where the device was named
  bool gpu_was_refused = false;  // auto took the CPU though there is a GPU: to be said loudly
};
MadeEngine make_engine(std::string_view device, const EngineOptions& options);

}  // namespace melgrad
