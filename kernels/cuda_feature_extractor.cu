#include "kernels/cuda_feature_extractor.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <optional>
#include <vector>

#include "host/core/error.hpp"
#include "kernels/cuda_handles.hpp"
#include "kernels/device_feature_tables.hpp"
#include "kernels/feature_kernels.hpp"
#include "kernels/feature_parts.hpp"
#include "kernels/nvtx.hpp"
#include "kernels/vendor_math.hpp"

namespace melgrad::MELGRAD_KERNELS {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

bool is_fused_size(int n_fft) {
  return n_fft >= 256 && n_fft <= 4096 && std::has_single_bit(static_cast<unsigned>(n_fft));
}

// Where chroma with an estimated tuning has its magnitudes from. Per frame of n_fft 2048 and hop 512:
//   recomputed   1024 bytes of samples, and about 2000 instructions of a warp for the transform
//   stored       2 * 2080 bytes, written and read, and about 500 instructions to round and to expand them
// 1500 instructions take a multiprocessor with four schedulers 375 cycles; 3136 bytes take as long if the
// device's memory moves 8.4 bytes in a cycle of each multiprocessor. Above that, storing is faster: an A100
// (10.2) and an H100 (14) have such memory, boards with GDDR (3 to 5) do not. Memory clocks are no longer
// told by the driver on all devices, the width of the bus is, and HBM alone is wider than 1024 bits.
bool stores_magnitudes(ChromaRoute route, int device) {
  if (route != ChromaRoute::automatic) return route == ChromaRoute::stored;
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "the device's properties");
  return properties.memoryBusWidth > 1024;
}

// Spectra in device memory for transforms that are not fused, for some chunks at a time.
class VendorSpectra {
 public:
  VendorSpectra(const FeaturePlan& plan, const float* window, std::size_t most_bytes)
      : n_chunks_(chunks_in(plan, most_bytes)),
        frames_(n_chunks_ * row_frames * plan.spec.stft.n_fft),
        spectra_(n_chunks_ * row_frames * plan.n_bins),
        rows_(n_chunks_ * row_frames * spectrum_row_stride(plan.n_bins)),
        fft_(plan.spec.stft.n_fft, static_cast<int>(n_chunks_ * row_frames)),
        spectrum_{
            plan.spec.stft.n_fft, spectrum_row_stride(plan.n_bins), window, frames_.data(), spectra_.data(),
            rows_.data()} {
    // The frames of chunks that are not there are transformed, too.
    const Stream stream;
    check(cudaMemsetAsync(frames_.data(), 0, at(frames_.size()) * sizeof(float), stream.get()), "frames");
    stream.synchronize();
  }

  // Calls use(spectrum, first_chunk, n_chunks) with the spectra of all chunks of a part in turn.
  template <class Use>
  void for_each_chunk(const FeatureTables& tables, const Part& part, cudaStream_t stream, const Use& use) {
    for (int first = 0; first < part.n_chunks; first += static_cast<int>(n_chunks_)) {
      const int n = std::min(static_cast<int>(n_chunks_), part.n_chunks - first);
      launch_frames(spectrum_, first, n, tables, part, stream);
      fft_.execute(frames_.data(), spectra_.data(), stream);
      launch_powers(spectrum_, n, tables, stream);
      use(spectrum_, first, n);
    }
  }

 private:
  static Index chunks_in(const FeaturePlan& plan, std::size_t most_bytes) {
    const std::size_t frame_bytes =
        at(plan.spec.stft.n_fft + 2 * plan.n_bins + spectrum_row_stride(plan.n_bins)) * sizeof(float);
    return std::clamp<Index>(static_cast<Index>(most_bytes / (frame_bytes * row_frames)), 1, 1024);
  }

  Index n_chunks_;
  DeviceBuffer<float> frames_;
  DeviceBuffer<float2> spectra_;
  DeviceBuffer<float> rows_;
  RealFft fft_;
  SpectrumRows spectrum_;
};

// One of the two parts that are under way. Grows with the largest part that it has had.
struct Slot {
  DeviceBuffer<std::byte> device;
  PinnedBuffer<std::byte> upload, download;
  Event uploaded, downloaded;
  bool is_busy = false;
  PartSize part;

  void require(std::size_t device_bytes, std::size_t upload_bytes, std::size_t download_bytes) {
    grow(device, device_bytes);
    grow(upload, upload_bytes);
    grow(download, download_bytes);
  }

 private:
  template <class Buffer>
  static void grow(Buffer& buffer, std::size_t bytes) {
    if (at(buffer.size()) >= bytes) return;
    buffer = Buffer();  // first give back, then take
    buffer = Buffer(static_cast<Index>(bytes));
  }
};

class CudaFeatureExtractor final : public FeatureExtractor {
 public:
  CudaFeatureExtractor(const FeaturePlan& plan, const CudaFeatureOptions& options)
      : plan_(plan),
        options_(options),
        is_fused_(options.transform != TransformRoute::vendor && is_fused_size(plan.spec.stft.n_fft)),
        device_(use_device(options.device)),
        tables_(plan_, is_fused_),
        stores_magnitudes_(is_fused_ && tables_.tables(false).n_tunings > 0 &&
                           stores_magnitudes(options.chroma, options.device)),
        planner_(plan_, tables_, stores_magnitudes_) {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "free device memory");
    // A tenth is left to others and to the driver.
    std::size_t bytes = options.device_bytes > 0 ? options.device_bytes : free / 10 * 9;
    if (is_fused_) {
      prepare_feature_kernels(plan.spec.stft.n_fft);
    } else {
      const std::size_t for_spectra = std::min(bytes / 4, std::size_t{64} << 20);
      spectra_.emplace(plan_, tables_.window(), for_spectra);
      bytes -= for_spectra;
    }
    slot_bytes_ = bytes / slots_.size();
    name_for_profiler(copies_, "melgrad copies");
    name_for_profiler(kernels_, "melgrad kernels");
    for (const Slot& slot : slots_) {
      name_for_profiler(slot.uploaded, "melgrad uploaded");
      name_for_profiler(slot.downloaded, "melgrad downloaded");
    }
  }

  void extract(const WaveformBatch& batch, MatrixView<float> rows) override {
    assert(rows.rows == batch.n_clips() && rows.cols == plan_.n_features);
    run(batch, false, [&](const PartSize& part, const float* features) {
      for (Index clip = 0; clip < part.n_clips; ++clip)
        std::copy_n(features + clip * plan_.n_features, plan_.n_features,
                    rows.row(part.first_clip + clip).data());
    });
  }

  std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch& batch) override {
    std::vector<std::vector<FrameTrack>> tracks(at(batch.n_clips()));
    run(batch, true, [&](const PartSize& part, const float* values) {
      for (Index clip = part.first_clip; clip < part.first_clip + part.n_clips; ++clip)
        for (const DescriptorPlan& descriptor : plan_.descriptors) {
          FrameTrack track{descriptor.name,
                           Matrix<float>(descriptor.n_values, plan_.n_frames(batch.length(clip)))};
          std::copy_n(values, track.values.values.size(), track.values.values.begin());
          values += track.values.values.size();
          tracks[at(clip)].push_back(std::move(track));
        }
    });
    return tracks;
  }

 private:
  // Computes the batch part by part: while one part's kernels run, the next is staged and uploaded. Calls
  // use(part, results) for each.
  template <class Use>
  void run(const WaveformBatch& batch, bool with_tracks, const Use& use) {
    assert(batch.n_clips() == 0 || batch.sample_rate == plan_.sample_rate);
    use_device(device_);
    make_room(batch, with_tracks);
    try {
      std::size_t next = 0;
      for (const PartSize& part : parts_) {
        Slot& slot = slots_[next];
        next = (next + 1) % slots_.size();
        collect(slot, use);
        start(slot, batch, part, with_tracks);
      }
      for (std::size_t i = 0; i < slots_.size(); ++i) {
        collect(slots_[next], use);
        next = (next + 1) % slots_.size();
      }
    } catch (...) {  // nothing is under way when the next batch comes
      for (Slot& slot : slots_) slot.is_busy = false;
      const cudaError_t status = cudaDeviceSynchronize();
      if (status != cudaSuccess) static_cast<void>(cudaGetLastError());
      throw;
    }
  }

  // Cuts the batch and sees that both slots hold its largest part; where the device has less memory than it
  // said, with half as much.
  void make_room(const WaveformBatch& batch, bool with_tracks) {
    for (;;) {
      planner_.cut(batch, with_tracks, slot_bytes_, options_.part_bytes, parts_);
      std::size_t device_bytes = 0, upload_bytes = 0, download_bytes = 0;
      for (const PartSize& part : parts_) {
        const PartLayout layout = planner_.layout(part, with_tracks);
        device_bytes = std::max(device_bytes, layout.end);
        upload_bytes = std::max(upload_bytes, layout.uploaded);
        download_bytes = std::max(download_bytes, planner_.result_bytes(part, with_tracks));
      }
      try {
        const std::size_t n_slots = std::min(slots_.size(), parts_.size());
        for (std::size_t i = 0; i < n_slots; ++i)
          slots_[i].require(device_bytes, upload_bytes, download_bytes);
        return;
      } catch (const OutOfDeviceMemory&) {
        for (Slot& slot : slots_) slot.device = DeviceBuffer<std::byte>();
        slot_bytes_ = device_bytes / 2;
      }
    }
  }

  void start(Slot& slot, const WaveformBatch& batch, const PartSize& part, bool with_tracks) {
    const PartLayout layout = planner_.layout(part, with_tracks);
    {
      const ProfilerRange range("stage samples", part.n_clips);
      planner_.stage(batch, part, layout, slot.upload.data());
    }
    slot.part = part;
    slot.is_busy = true;
    {
      const ProfilerRange range("upload", static_cast<std::int64_t>(layout.uploaded));
      copy_to_device(slot.device.span().part(0, static_cast<Index>(layout.uploaded)),
                     slot.upload.span().first(layout.uploaded), copies_);
      slot.uploaded.record(copies_);
      slot.uploaded.hold(kernels_);
    }
    compute(planner_.device_part(batch, part, layout, with_tracks, slot.device.data()),
            tables_.tables(with_tracks));
    {
      // On the kernels' stream: the copies' one is to be free for the next upload.
      const std::size_t bytes = planner_.result_bytes(part, with_tracks);
      const ProfilerRange range("download", static_cast<std::int64_t>(bytes));
      copy_to_host(slot.download.span().first(bytes),
                   DeviceSpan<const std::byte>(slot.device.span().part(static_cast<Index>(layout.downloaded),
                                                                       static_cast<Index>(bytes))),
                   kernels_);
      slot.downloaded.record(kernels_);
    }
  }

  void compute(const Part& part, const FeatureTables& tables) {
    const int n_fft = plan_.spec.stft.n_fft;
    const cudaStream_t stream = kernels_.get();
    {
      const ProfilerRange range("analyse", part.n_clips);
      if (tables.n_mfcc > 0)
        check(cudaMemsetAsync(part.loudest_db, 0, at(part.n_clips) * at(tables.n_mfcc) * sizeof(unsigned),
                              stream),
              "loudest dB");
      if (is_fused_)
        launch_analyse(n_fft, tables, part, stream);
      else
        spectra_->for_each_chunk(tables, part, stream, [&](const SpectrumRows& spectrum, int first, int n) {
          launch_analyse_rows(spectrum, first, n, tables, part, stream);
        });
    }
    if (tables.n_tunings > 0) {
      const ProfilerRange range("tune", part.n_clips);
      launch_tune(tables, part, stream);
    }
    if (tables.n_mfcc > 0) {
      const ProfilerRange range("clamp", part.n_clips);
      launch_clamp(tables, part, stream);
    }
    if (tables.n_chroma_stages > 0) {
      const ProfilerRange range("chroma", part.n_clips);
      if (is_fused_)
        launch_chroma(n_fft, tables, part, stream);
      else
        spectra_->for_each_chunk(tables, part, stream, [&](const SpectrumRows& spectrum, int first, int n) {
          launch_chroma_rows(spectrum, first, n, tables, part, stream);
        });
    }
    if (part.features != nullptr) {
      const ProfilerRange range("finish", part.n_clips);
      launch_finish(tables, part, stream);
    }
  }

  template <class Use>
  void collect(Slot& slot, const Use& use) {
    if (!slot.is_busy) return;
    const ProfilerRange range("collect", slot.part.n_clips);
    slot.downloaded.synchronize();
    slot.is_busy = false;
    use(slot.part, reinterpret_cast<const float*>(slot.download.data()));
  }

  FeaturePlan plan_;
  CudaFeatureOptions options_;
  bool is_fused_;
  int device_;
  DeviceFeatureTables tables_;
  bool stores_magnitudes_;
  PartPlanner planner_;
  std::optional<VendorSpectra> spectra_;
  std::size_t slot_bytes_ = 0;  // of device memory
  std::vector<PartSize> parts_;
  std::array<Slot, 2> slots_;
  Stream copies_, kernels_;  // last, for they wait for their work
};

}  // namespace

std::unique_ptr<FeatureExtractor> make_cuda_feature_extractor(const FeaturePlan& plan,
                                                              const CudaFeatureOptions& options) {
  return std::make_unique<CudaFeatureExtractor>(plan, options);
}

}  // namespace melgrad::MELGRAD_KERNELS
