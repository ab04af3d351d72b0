#include "kernels/device_feature_tables.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <variant>
#include <vector>

#include "kernels/bank_schedules.hpp"
#include "kernels/feature_kernels.hpp"

namespace melgrad::MELGRAD_KERNELS {

static_assert(n_tuning_bins == TuningPlan::n_tunings);

namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

int size_of(const auto& values) {
  return static_cast<int>(values.size());
}

// ---- the transform: see TransformTables

struct FftTables {
  std::vector<float4> window, twiddles, post, split;
};

struct Root {
  float r, i;
};
// exp(-2 pi i k / n)
Root root(Index k, Index n) {
  const double angle = -2 * std::numbers::pi * static_cast<double>(k % n) / static_cast<double>(n);
  return {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
}

FftTables fft_tables(const FeaturePlan& plan) {
  const int n_fft = plan.spec.stft.n_fft;
  const Index radix = n_fft <= 2048 ? n_fft / 64 : 32;
  FftTables tables;
  for (Index a = 0; a < n_fft / 64; a += 2)
    for (Index lane = 0; lane < 32; ++lane) {
      const float* const w = plan.window.data() + 64 * a + 2 * lane;
      tables.window.push_back(make_float4(w[0] / 65536, w[1] / 65536, w[64] / 65536, w[65] / 65536));
    }
  for (Index c = 0; c < radix; c += 2)
    for (Index lane = 0; lane < 32; ++lane) {
      const Root first = root(lane * c, 32 * radix), second = root(lane * (c + 1), 32 * radix);
      tables.twiddles.push_back(make_float4(first.r, first.i, second.r, second.i));
    }
  const Index n_parts = n_fft == 4096 ? 2 : 1;
  for (Index part = 0; part < n_parts; ++part)
    for (Index d = 0; d < 16; d += 2)
      for (Index lane = 0; lane < 32; ++lane) {
        const auto bin = [&](Index register_) { return n_parts * (lane % radix + radix * register_) + part; };
        const Root first = root(bin(d), n_fft), second = root(bin(d + 1), n_fft);
        tables.post.push_back(make_float4(first.i, -first.r, second.i, -second.r));  // -i W^k
      }
  if (n_fft == 4096)
    for (Index a = 0; a < 32; a += 2)
      for (Index lane = 0; lane < 32; ++lane) {
        const Root first = root(32 * a + lane, 2048), second = root(32 * (a + 1) + lane, 2048);
        tables.split.push_back(make_float4(first.r, first.i, second.r, second.i));
      }
  return tables;
}

// ---- tuning

// Residuals are floats and edges are doubles: a residual is at or above an edge if it is at or above the
// least float that is.
std::vector<float> least_floats_at_edges() {
  std::vector<float> floats;
  for (const double edge : tuning_edges) {
    const float value = static_cast<float>(edge);
    floats.push_back(value < edge ? std::nextafter(value, std::numeric_limits<float>::infinity()) : value);
  }
  return floats;
}

void search_peaks(const TuningPlan& tuning, PeakSearch& search) {
  search.first_bin = tuning.first_bin;
  search.end_bin = tuning.end_bin;
  search.hz_per_bin = static_cast<float>(tuning.hz_per_bin);
  search.hz_error = static_cast<float>(tuning.hz_per_bin - static_cast<double>(search.hz_per_bin));
  search.peaks_per_frame = (tuning.end_bin - tuning.first_bin + 1) / 2;  // they are never neighbours
}

// ---- all tables on the host, descriptor by descriptor

class HostTables {
 public:
  HostTables(const FeaturePlan& plan, int tile_frames)
      : plan_(plan), shape_(stage_shape(tile_frames)), tile_frames_(tile_frames) {
    count_sums();
    view.db_slice_bands = mel_slice_bands(shape_.frames);
    for (const DescriptorPlan& descriptor : plan.descriptors) {
      Output output = new_output(descriptor);
      std::visit([&](const auto& each) { add(each, output); }, descriptor.plan);
      outputs.push_back(output);
      n_track_rows += output.n_values;
    }
    view.n_sums = n_sums_;
    view.n_statistics = n_statistics_;
    view.n_bins = plan.n_bins;
    view.n_features = static_cast<int>(plan.n_features);
    view.hop_length = plan.spec.stft.hop_length;
    view.n_tunings = size_of(tuning_chroma);
    view.peaks.warps = std::min(tile_frames, n_warps);
    if (view.n_tunings > 0) search_peaks(plan.tuning, view.peaks);
  }

  FeatureTables view{};
  MelSchedule mel, mel_for_tracks;
  ChromaSchedule chroma;
  std::vector<ChromaStage> chroma_stages;
  std::vector<int> tuning_chroma;
  std::vector<MelBand> bands;
  std::vector<float> band_weights, dct;
  std::vector<Output> outputs;
  int n_track_rows = 0;

 private:
  // Bins whose spectra are summed for descriptors of which the mean alone is wanted: it commutes with the
  // bank.
  void count_sums() {
    for (const DescriptorPlan& descriptor : plan_.descriptors)
      if (const auto* each = std::get_if<MelPlan>(&descriptor.plan); each && !has_std(descriptor)) {
        int& n = each->spec.power == 1 ? view.n_magnitude_sums : view.n_power_sums;
        n = std::max(n, each->bank.end_bin());
      }
    n_sums_ = view.n_power_sums + view.n_magnitude_sums;
  }

  static bool has_std(const DescriptorPlan& descriptor) {
    return std::count(descriptor.functionals.begin(), descriptor.functionals.end(), Functional::std) > 0;
  }

  Output new_output(const DescriptorPlan& descriptor) {
    Output output{};
    output.kind = OutputKind::statistics;
    output.n_values = static_cast<int>(descriptor.n_values);
    output.first_feature = static_cast<int>(descriptor.first_feature);
    output.mean = output.std = output.mfcc = output.statistics = -1;
    for (int f = 0; f < size_of(descriptor.functionals); ++f)
      (descriptor.functionals[at(f)] == Functional::mean ? output.mean : output.std) = f;
    output.track = n_track_rows;
    return output;
  }

  void add_statistics(Output& output) {
    output.kind = OutputKind::statistics;
    output.statistics = n_statistics_;
    n_statistics_ += output.n_values;
  }

  void add(const MelPlan& plan, Output& output) {
    MelSlice slice{};
    slice.of_magnitude = plan.spec.power == 1;
    slice.statistics = -1;
    slice.track = output.track;
    if (output.std >= 0) {
      add_statistics(output);
      slice.statistics = output.statistics;
      mel.add(plan.bank, slice, shape_);
    } else {
      output.kind = OutputKind::mel_mean;
      output.sums = slice.of_magnitude ? view.n_power_sums : 0;
      output.bands = size_of(bands);
      for (int m = 0; m < plan.bank.n_mels; ++m)
        bands.push_back({plan.bank.first_bin[at(m)], plan.bank.offset[at(m + 1)] - plan.bank.offset[at(m)],
                         size_of(band_weights) + plan.bank.offset[at(m)]});
      band_weights.insert(band_weights.end(), plan.bank.weights.begin(), plan.bank.weights.end());
    }
    mel_for_tracks.add(plan.bank, slice, shape_);
  }

  void add(const MfccPlan& plan, Output& output) {
    MelSlice slice{};
    slice.is_db = true;
    slice.amin = static_cast<float>(plan.spec.amin);
    slice.ref_db = static_cast<float>(plan.ref_db);
    slice.top_db = static_cast<float>(plan.spec.top_db);
    slice.db = output.db = view.n_db;
    slice.db_slice = output.db_slice = view.n_db_slices;
    slice.mfcc = output.mfcc = view.n_mfcc++;
    slice.statistics = -1;
    mel.add(plan.bank, slice, shape_);
    mel_for_tracks.add(plan.bank, slice, shape_);
    view.n_db += plan.bank.n_mels;
    view.n_db_slices += (plan.bank.n_mels + view.db_slice_bands - 1) / view.db_slice_bands;
    output.top_db = static_cast<float>(plan.spec.top_db);
    output.n_mels = plan.bank.n_mels;
    output.dct = size_of(dct);
    for (Index m = 0; m < plan.dct.cols; ++m)
      for (Index c = 0; c < plan.dct.rows; ++c) dct.push_back(plan.dct(c, m));
    if (output.std >= 0) {
      add_statistics(output);
      view.keeps_float_db = true;
    } else {
      output.kind = OutputKind::mfcc_mean;
      output.sums = n_sums_;
      n_sums_ += output.n_mels;
    }
  }

  void add(const ChromaPlan& plan, Output& output) {
    add_statistics(output);
    ChromaStage stage{};
    stage.n_chroma = plan.spec.n_chroma;
    stage.bank = size_of(chroma.banks);
    stage.tuning = -1;
    stage.statistics = output.statistics;
    stage.track = output.track;
    if (plan.spec.tuning) {
      chroma.add(chroma_bank(plan_, plan.spec.n_chroma, *plan.spec.tuning), shape_);
    } else {
      const auto known = std::find(tuning_chroma.begin(), tuning_chroma.end(), plan.spec.n_chroma);
      stage.tuning = static_cast<int>(known - tuning_chroma.begin());
      if (known == tuning_chroma.end()) tuning_chroma.push_back(plan.spec.n_chroma);
      for (int bin = 0; bin < TuningPlan::n_tunings; ++bin)
        chroma.add(chroma_bank(plan_, plan.spec.n_chroma, tuning_edges[at(bin)]), shape_);
    }
    chroma_stages.push_back(stage);
  }

  void add(const RmsPlan&, Output& output) {
    add_statistics(output);
    view.rms = {plan_.spec.stft.n_fft, output.statistics, output.track};
  }

  const FeaturePlan& plan_;
  StageShape shape_;
  int tile_frames_;
  int n_sums_ = 0;
  int n_statistics_ = 0;
};

// Arrays one after another, each 256-byte aligned. First all are counted, then all are put.
class Packing {
 public:
  // Where `values` are going to be: a pointer once there is memory.
  template <class T>
  void add(const std::vector<T>& values, const T*& pointer) {
    const std::size_t begin = (bytes_.size() + 255) / 256 * 256, size = values.size() * sizeof(T);
    bytes_.resize(begin + size);
    if (size > 0) std::memcpy(bytes_.data() + begin, values.data(), size);
    if (base_ != nullptr) pointer = reinterpret_cast<const T*>(base_ + begin);
  }
  void restart(const std::byte* base) {
    bytes_.clear();
    base_ = base;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  const std::byte* base_ = nullptr;
};

}  // namespace

DeviceFeatureTables::DeviceFeatureTables(const FeaturePlan& plan, bool is_fused) {
  const int n_fft = plan.spec.stft.n_fft;
  const int tile_frames = is_fused ? 8 * 2048 / n_fft : rows_at_once;
  frames_of_chunk_ = is_fused ? chunk_frames(tile_frames) : row_frames;
  const HostTables host(plan, tile_frames);
  n_track_rows_ = host.n_track_rows;
  for_features_ = host.view;
  const FftTables fft = is_fused ? fft_tables(plan) : FftTables();
  const std::vector<float> edges = least_floats_at_edges();
  std::vector<float> window = plan.window;
  for (float& w : window) w /= 32768;

  Packing packing;
  const auto pack = [&] {
    FeatureTables& view = for_features_;
    packing.add(fft.window, view.transform.window);
    packing.add(fft.twiddles, view.transform.twiddles);
    packing.add(fft.post, view.transform.post);
    packing.add(fft.split, view.transform.split);
    packing.add(window, window_);
    packing.add(host.mel.slices, view.slices);
    packing.add(host.mel.groups, view.groups);
    packing.add(host.mel.steps, view.steps);
    packing.add(host.mel.norms, view.norms);
    view.n_slices = size_of(host.mel.slices);
    packing.add(host.bands, view.bands);
    packing.add(host.band_weights, view.band_weights);
    packing.add(host.dct, view.dct);
    packing.add(host.chroma_stages, view.chroma);
    view.n_chroma_stages = size_of(host.chroma_stages);
    packing.add(host.chroma.banks, view.chroma_banks);
    packing.add(host.chroma.tasks, view.chroma_tasks);
    packing.add(host.chroma.step_weights, view.chroma_weights);
    packing.add(host.chroma.steps, view.chroma_steps);
    packing.add(host.chroma.wide, view.chroma_wide);
    packing.add(host.chroma.entry_begin, view.chroma_entry_begin);
    packing.add(host.chroma.entries, view.chroma_entries);
    packing.add(host.tuning_chroma, view.tuning_chroma);
    packing.add(edges, view.tuning_edges);
    packing.add(host.outputs, view.outputs);
    view.n_outputs = size_of(host.outputs);
    for_tracks_ = view;
    for_tracks_.keeps_float_db = true;
    packing.add(host.mel_for_tracks.slices, for_tracks_.slices);
    packing.add(host.mel_for_tracks.groups, for_tracks_.groups);
    packing.add(host.mel_for_tracks.steps, for_tracks_.steps);
    packing.add(host.mel_for_tracks.norms, for_tracks_.norms);
    for_tracks_.n_slices = size_of(host.mel_for_tracks.slices);
  };
  pack();
  memory_ = DeviceBuffer<std::byte>(static_cast<Index>(packing.bytes().size()));
  packing.restart(memory_.data());
  pack();
  check(cudaMemcpy(memory_.data(), packing.bytes().data(), packing.bytes().size(), cudaMemcpyHostToDevice),
        "tables of the features");
}

}  // namespace melgrad::MELGRAD_KERNELS
