#include "kernels/cuda_speech_extractor.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>
#include <vector>

#include "host/core/error.hpp"
#include "host/engine/speech_division.hpp"
#include "kernels/cuda_handles.hpp"
#include "kernels/device_feature_tables.hpp"
#include "kernels/nvtx.hpp"
#include "kernels/speech_kernels.hpp"
#include "kernels/speech_parts.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// The transform, the mel bank and the DCT of the speech set, as descriptors have them.
FeaturePlan plan_of_tables(const FeaturePlan& plan) {
  MelSpectrogram mel;
  mel.n_mels = speech::n_mels;
  mel.fmin = 50;
  mel.fmax = 8000;
  Mfcc mfcc;
  mfcc.n_mfcc = speech::n_mfcc;
  mfcc.n_mels = mel.n_mels;
  mfcc.fmin = mel.fmin;
  mfcc.fmax = mel.fmax;
  FeatureSpec spec{.name = "tables", .stft = plan.spec.stft, .descriptors = {{mel}, {mfcc}}};
  return make_feature_plan(spec, plan.sample_rate);
}

template <class T>
DeviceBuffer<T> uploaded(const std::vector<T>& values) {
  DeviceBuffer<T> buffer(static_cast<Index>(values.size()));
  check(cudaMemcpy(buffer.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
        "tables of the pitch");
  return buffer;
}

class DeviceSpeechTables {
 public:
  explicit DeviceSpeechTables(const FeaturePlan& plan) : features_(plan_of_tables(plan), true) {
    const PitchTables pitch = make_pitch_tables();
    std::vector<double> log_f0(n_lags);
    for (int lag = 1; lag < n_lags; ++lag)
      log_f0[at(lag)] = std::log2(static_cast<double>(speech::sample_rate) / lag);
    window_ = uploaded(pitch.window);
    lag_weights_ = uploaded(pitch.lag_weights);
    lag_costs_ = uploaded(pitch.lag_costs);
    log_f0_ = uploaded(log_f0);
  }
  speech::Tables tables() const {
    return {features_.tables(false), window_.data(), lag_weights_.data(), lag_costs_.data(), log_f0_.data()};
  }

 private:
  DeviceFeatureTables features_;
  DeviceBuffer<float> window_, lag_weights_, lag_costs_;
  DeviceBuffer<double> log_f0_;
};

class CudaSpeechExtractor final : public FeatureExtractor {
 public:
  CudaSpeechExtractor(const FeaturePlan& plan, const CudaFeatureOptions& options)
      : plan_(plan), options_(options), device_(use_device(options.device)), tables_(plan_), planner_(plan_) {
    assert(std::ranges::all_of(plan.speech->groups, has_kernels));
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "free device memory");
    // A tenth is left to others and to the driver.
    part_bytes_ = options.device_bytes > 0 ? options.device_bytes : free / 10 * 9;
    name_for_profiler(stream_, "melgrad speech");
  }

  void extract(const WaveformBatch& batch, MatrixView<float> rows) override {
    assert(rows.rows == batch.n_clips() && rows.cols == plan_.n_features);
    run(batch, [&](const SpeechPartSize& size, const speech::Part& part) {
      launch_values(part);
      const Index n_values = size.n_clips() * plan_.n_features;
      download(part.features, n_values);
      for (Index i = 0; i < size.n_clips(); ++i)
        std::copy_n(download_.data() + i * plan_.n_features, plan_.n_features,
                    rows.row(size.first + i).data());
    });
  }

  std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch& batch) override {
    using enum SpeechGroup;
    std::vector<std::vector<FrameTrack>> tracks(at(batch.n_clips()));
    run(batch, [&](const SpeechPartSize& size, const speech::Part& part) {
      for (const SpeechGroup group : {mfcc, log_mel, contrast, shape}) {
        const int kind = static_cast<int>(group), n_values = speech::track_values(kind);
        download(part.tracks[kind], size.n_rows * n_values);
        const float* frame = download_.data();
        for (Index clip = size.first; clip < size.end; ++clip) {
          Matrix<float> track(n_values, planner_.clips()[at(clip)].n_frames);
          for (Index t = 0; t < track.cols; ++t, frame += n_values)
            for (Index value = 0; value < n_values; ++value) track(value, t) = frame[value];
          tracks[at(clip)].push_back({std::string(to_name(group)), std::move(track)});
        }
      }
    });
    return tracks;
  }

 private:
  // Calls use(size, part) for the parts of the batch in turn, with their tracks on the way.
  template <class Use>
  void run(const WaveformBatch& batch, const Use& use) {
    assert(batch.n_clips() == 0 || batch.sample_rate == plan_.sample_rate);
    use_device(device_);
    {
      const ProfilerRange range("cut silence", batch.n_clips());
      planner_.cut_silence(batch);
    }
    try {
      for (Index first = 0; first < batch.n_clips();) {
        const SpeechPartSize size = make_room(batch, first);
        use(size, start(batch, size));
        first = size.end;
      }
    } catch (...) {  // nothing is under way when the next batch comes
      const cudaError_t status = cudaDeviceSynchronize();
      if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
      throw;
    }
  }

  // The part that begins with clip `first`, for which there is memory; where the device has less than it
  // said, with fewer clips.
  SpeechPartSize make_room(const WaveformBatch& batch, Index first) {
    for (;;) {
      const SpeechPartSize size = planner_.part_from(first, batch, part_bytes_, options_.part_bytes);
      const SpeechPartLayout layout = planner_.layout(size);
      try {
        grow(memory_, layout.end);
        grow(upload_, layout.uploaded);
        return size;
      } catch (const OutOfDeviceMemory&) {
        part_bytes_ = layout.end / 2;
      }
    }
  }
  template <class Buffer>
  static void grow(Buffer& buffer, std::size_t size) {
    if (at(buffer.size()) >= size) return;
    buffer = Buffer();  // first give back, then take
    buffer = Buffer(static_cast<Index>(size));
  }

  // Puts a part's upload and the kernels of its tracks on the stream.
  speech::Part start(const WaveformBatch& batch, const SpeechPartSize& size) {
    const SpeechPartLayout layout = planner_.layout(size);
    {
      const ProfilerRange range("stage samples", size.n_clips());
      planner_.stage(batch, size, layout, upload_.data());
    }
    const ProfilerRange range("speech tracks", size.n_clips());
    copy_to_device(memory_.span().part(0, static_cast<Index>(layout.uploaded)),
                   upload_.span().first(layout.uploaded), stream_);
    const speech::Part part = planner_.device_part(batch, size, layout, memory_.data());
    check(cudaMemsetAsync(part.loudest, 0, at(part.n_clips) * sizeof(unsigned), stream_.get()), "loudest dB");
    launch_speech_spectra(tables_.tables(), part, stream_.get());
    launch_speech_cepstra(tables_.tables(), part, stream_.get());
    return part;
  }

  // From tracks to the values of the groups that are asked for.
  void launch_values(const speech::Part& part) {
    using enum SpeechGroup;
    const cudaStream_t stream = stream_.get();
    const ProfilerRange range("speech values", part.n_clips);
    if (part.wants(mfcc_delta) || part.wants(mfcc_delta2))
      launch_speech_deltas(part, mfcc, mfcc_delta, stream);
    if (part.wants(mfcc_delta2)) launch_speech_deltas(part, mfcc_delta, mfcc_delta2, stream);
    if (part.wants(shape_delta)) launch_speech_deltas(part, shape, shape_delta, stream);
    launch_speech_statistics(part, stream);
    if (!part.wants(prosody)) return;
    launch_speech_pitch(tables_.tables(), part, stream);
    launch_speech_prosody(tables_.tables(), part, stream);
  }

  // Of what the kernels so far leave at `from`, n floats to download_.
  void download(const float* from, Index n) {
    const ProfilerRange range("download", n * static_cast<Index>(sizeof(float)));
    grow(download_, at(n));
    copy_to_host(download_.span().first(at(n)), DeviceSpan<const float>(from, n), stream_);
    stream_.synchronize();
  }

  FeaturePlan plan_;
  CudaFeatureOptions options_;
  int device_;
  DeviceSpeechTables tables_;
  SpeechPartPlanner planner_;
  std::size_t part_bytes_ = 0;  // of device memory
  DeviceBuffer<std::byte> memory_;
  PinnedBuffer<std::byte> upload_;
  PinnedBuffer<float> download_;
  Stream stream_;  // last, for it waits for its work
};

}  // namespace

std::unique_ptr<FeatureExtractor> make_cuda_speech_extractor(const FeaturePlan& plan,
                                                             const CudaFeatureOptions& options) {
  return std::make_unique<CudaSpeechExtractor>(plan, options);
}

}  // namespace melgrad::MELGRAD_KERNELS
