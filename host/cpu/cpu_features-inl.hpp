// One clip from samples to its feature row or tracks. The first pass over its chunks of `lanes` frames does
// what needs no knowledge of the whole clip; the second does what depends on the clip's tuning or its loudest
// band, from what the first kept or, in clips too long to keep all, computed again, with the same bits.

#if defined(MELGRAD_HOST_CPU_CPU_FEATURES_INL_HPP_) == defined(HWY_TARGET_TOGGLE)
#ifdef MELGRAD_HOST_CPU_CPU_FEATURES_INL_HPP_
#undef MELGRAD_HOST_CPU_CPU_FEATURES_INL_HPP_
#else
#define MELGRAD_HOST_CPU_CPU_FEATURES_INL_HPP_
#endif

#include <algorithm>
#include <cmath>

#include "host/cpu/feature_stages-inl.hpp"
#include "host/cpu/feature_tables.hpp"
#include "host/cpu/frame_tile-inl.hpp"
#include "host/cpu/lane_fft-inl.hpp"
#include "host/cpu/tuning-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace melgrad {
namespace HWY_NAMESPACE {

class ClipPasses {
 public:
  ClipPasses(const FeatureTables& tables, Workspace& workspace, const ClipTask& task)
      : tables_(tables),
        plan_(tables.plan),
        workspace_(workspace),
        task_(task),
        n_chunks_((task.n_frames + lanes - 1) / lanes),
        n_descriptors_(tables.descriptors.size()) {}

  void run() {
    std::fill_n(workspace_.sums.data(), tables_.n_sums, 0.0);
    std::fill_n(workspace_.lane_sums.data(), tables_.n_sums * static_cast<std::size_t>(lanes), 0.0f);
    workspace_.n_peaks = 0;
    for (Index chunk = 0; chunk < n_chunks_; ++chunk) {
      first_pass(chunk);
      if (chunk % chunks_per_sum == chunks_per_sum - 1) flush_sums();
    }
    flush_sums();
    if (tables_.record_size != 0) {
      choose_chroma_banks();
      for (Index chunk = 0; chunk < n_chunks_; chunk += 2) {
        second_pass(chunk);
        if (chunk % chunks_per_sum == chunks_per_sum - 2) flush_sums();
      }
      flush_sums();
    }
  }

 private:
  // Sums over frames run in float for so many chunks (even) and are then added to sums in double.
  static constexpr Index chunks_per_sum = 64;

  Index n_valid(Index chunk) const { return std::min<Index>(lanes, task_.n_frames - chunk * lanes); }
  // Per-frame values of a descriptor are wanted: for tracks, or for functionals beyond the mean.
  bool per_frame(const DescriptorTable& table) const { return task_.tracks != nullptr || table.per_frame; }
  float* lane_sums(std::size_t offset) const { return workspace_.lane_sums.data() + offset * lanes; }
  float* record(Index chunk) const {
    const Index slot = chunk < workspace_.n_kept ? chunk : workspace_.n_kept + chunk % 2;
    return workspace_.records.data() + static_cast<std::size_t>(slot) * tables_.record_size;
  }
  // |X| of a chunk, if some stage reads it.
  float* magnitude(Index chunk) const {
    if (!tables_.any_magnitude) return nullptr;
    return tables_.any_chroma ? record(chunk) : workspace_.magnitude.data();
  }

  // The chunk's spectrum and record, with the first n_power_sums bins added to sums. Returns the largest
  // |X|^2 of each frame.
  V compute_record(Index chunk, bool is_next, Index n_power_sums) {
    const LaneFft& fft = fill_tile(tables_, task_, chunk * lanes, is_next, workspace_);
    float* const power = workspace_.power.data();
    transform(fft, workspace_.tile.data(), workspace_.fft_scratch.data(), power);
    if (n_valid(chunk) < lanes) zero_invalid(power, plan_.n_bins, n_valid(chunk));
    FirstReading reading{power, magnitude(chunk), lane_sums(tables_.power_sum_offset), n_power_sums};
    bool is_read = false;
    for (std::size_t i = 0; i < n_descriptors_; ++i) {
      const DescriptorTable& table = tables_.descriptors[i];
      if (table.mfcc == nullptr) continue;
      float* const db = record(chunk) + table.record_offset;
      if (is_read) {
        Spectrum spectrum{power};
        put_decibels(*table.mfcc, spectrum, db);
      } else {
        reading.read(0, table.mfcc->bank.interval_begin.front());
        put_decibels(*table.mfcc, reading, db);
        reading.read(table.mfcc->bank.end_bin(), plan_.n_bins);
        is_read = true;
      }
    }
    if (!is_read) reading.read(0, plan_.n_bins);
    return reading.largest;
  }

  template <class Bins>
  HWY_INLINE static void put_decibels(const MfccPlan& mfcc, Bins& spectrum, float* db) {
    const V amin = broadcast(static_cast<float>(mfcc.spec.amin));
    const V ref_db = broadcast(static_cast<float>(mfcc.ref_db));
    mel_bands(mfcc.bank, spectrum, [&](Index band, V value) HWY_ATTR {
      store_values(hn::Sub(decibel(value, amin), ref_db), db, band);
    });
  }

  void first_pass(Index chunk) {
    const V largest = compute_record(chunk, chunk > 0, tables_.n_power_sums);
    const float* const magnitudes = magnitude(chunk);
    add_values(magnitudes, tables_.n_magnitude_sums, lane_sums(tables_.magnitude_sum_offset));
    for (std::size_t i = 0; i < n_descriptors_; ++i) {
      const DescriptorTable& table = tables_.descriptors[i];
      if (table.mfcc != nullptr) {
        const V db = max_values(record(chunk) + table.record_offset, table.mfcc->bank.n_mels);
        const float loudest = hn::GetLane(hn::MaxOfLanes(df, db));
        float& so_far = workspace_.states[i].loudest_db;
        so_far = chunk == 0 ? loudest : std::max(so_far, loudest);
      } else if (table.mel != nullptr && per_frame(table)) {
        float* const values = workspace_.values.data();
        Spectrum spectrum{table.mel->spec.power == 1 ? magnitudes : workspace_.power.data()};
        mel_bands(table.mel->bank, spectrum,
                  [&](Index band, V value) HWY_ATTR { store_values(value, values, band); });
        put_frames(i, chunk, values);
      } else if (table.is_rms) {
        add_rms(i, chunk);
      }
    }
    if (tables_.estimates_tuning) add_peaks(plan_.tuning, magnitudes, hn::Sqrt(largest), workspace_);
  }

  // Of the chunk whose samples are in the tile.
  void add_rms(std::size_t descriptor, Index chunk) {
    const DescriptorTable& table = tables_.descriptors[descriptor];
    float* const values = workspace_.values.data();
    store_values(frame_rms(tile_transform(tables_, task_), workspace_.tile.data()), values, 0);
    if (per_frame(table)) return put_frames(descriptor, chunk, values);
    zero_invalid(values, 1, n_valid(chunk));
    add_values(values, 1, lane_sums(table.sum_offset));
  }

  void choose_chroma_banks() {
    const float median = workspace_.n_peaks == 0
                             ? 0.0f
                             : median_of_positive({workspace_.peak_magnitude.data(), workspace_.n_peaks});
    for (std::size_t i = 0; i < n_descriptors_; ++i) {
      const DescriptorTable& table = tables_.descriptors[i];
      if (table.chroma == nullptr) continue;
      const ChromaStft& spec = table.chroma->spec;
      int tuning_bin = TuningPlan::n_tunings / 2;  // tuning 0: a clip without a peak
      if (spec.tuning)
        tuning_bin = 0;
      else if (workspace_.n_peaks != 0)
        tuning_bin = estimate_tuning(spec.n_chroma, median, workspace_);
      workspace_.states[i].chroma_bank = &table.chroma_banks->of_tuning(tuning_bin);
    }
  }

  // Chunks `first` and, if the clip has it, the next.
  void second_pass(Index first) {
    const Index n = std::min<Index>(2, n_chunks_ - first);
    if (first >= workspace_.n_kept)
      for (Index chunk = first; chunk < first + n; ++chunk)
        compute_record(chunk, chunk > workspace_.n_kept, 0);
    for (std::size_t i = 0; i < n_descriptors_; ++i) {
      const DescriptorTable& table = tables_.descriptors[i];
      if (table.mfcc != nullptr)
        for (Index chunk = first; chunk < first + n; ++chunk) add_mfcc(i, chunk);
      else if (table.chroma != nullptr)
        add_chroma(i, first, n);
    }
  }

  void add_mfcc(std::size_t descriptor, Index chunk) {
    const DescriptorTable& table = tables_.descriptors[descriptor];
    const Index n_mels = table.mfcc->bank.n_mels;
    const V least =
        broadcast(workspace_.states[descriptor].loudest_db - static_cast<float>(table.mfcc->spec.top_db));
    const auto is_valid = hn::FirstN(df, static_cast<std::size_t>(n_valid(chunk)));
    const float* const db = record(chunk) + table.record_offset;
    if (!per_frame(table)) {
      float* const sums = lane_sums(table.sum_offset);
      for (Index band = 0; band < n_mels; ++band) {
        const V kept = hn::IfThenElseZero(is_valid, hn::Max(load_values(db, band), least));
        store_values(hn::Add(load_values(sums, band), kept), sums, band);
      }
      return;
    }
    float* const clipped = workspace_.values.data();
    float* const values = clipped + tables_.most_values * static_cast<std::size_t>(lanes);
    for (Index band = 0; band < n_mels; ++band)
      store_values(hn::Max(load_values(db, band), least), clipped, band);
    apply_dct(table.mfcc->dct, clipped, values);
    put_frames(descriptor, chunk, values);
  }

  void add_chroma(std::size_t descriptor, Index first, Index n) {
    const DescriptorTable& table = tables_.descriptors[descriptor];
    const ChromaBank& bank = *workspace_.states[descriptor].chroma_bank;
    float* const second_values =
        workspace_.values.data() + tables_.most_values * static_cast<std::size_t>(lanes);
    float* const values[2] = {workspace_.values.data(), second_values};
    const float* const magnitudes[2] = {record(first), record(first + 1)};
    if (n == 2)
      ChromaOfChunks<2>(bank, magnitudes, values).compute();
    else
      ChromaOfChunks<1>(bank, magnitudes, values).compute();
    for (Index k = 0; k < n; ++k)
      if (per_frame(table))
        put_frames(descriptor, first + k, values[k]);
      else
        add_values(values[k], bank.n_chroma, lane_sums(table.sum_offset));
  }

  // Per-frame values [n_values][lanes] of a chunk go to the tracks or into statistics.
  void put_frames(std::size_t descriptor, Index chunk, const float* values) {
    const DescriptorTable& table = tables_.descriptors[descriptor];
    const Index n_values = table.plan->n_values;
    if (task_.tracks == nullptr) {
      add_statistics(values, n_values, n_valid(chunk), chunk == 0,
                     workspace_.statistics.data() + table.statistics_offset);
      return;
    }
    Matrix<float>& track = task_.tracks[descriptor].values;
    for (Index i = 0; i < n_values; ++i)
      std::copy_n(values + i * lanes, n_valid(chunk), track.row(i).data() + chunk * lanes);
  }

  void flush_sums() {
    float* const sums = workspace_.lane_sums.data();
    for (std::size_t i = 0; i < tables_.n_sums; ++i) {
      const auto place = static_cast<Index>(i);
      workspace_.sums[i] += static_cast<double>(hn::GetLane(hn::SumOfLanes(df, load_values(sums, place))));
      store_values(hn::Zero(df), sums, place);
    }
  }

  const FeatureTables& tables_;
  const FeaturePlan& plan_;
  Workspace& workspace_;
  const ClipTask& task_;
  Index n_chunks_;
  std::size_t n_descriptors_;
};

inline void extract_clip(const FeatureTables& tables, Workspace& workspace, const ClipTask& task) {
  ClipPasses(tables, workspace, task).run();
}

}  // namespace HWY_NAMESPACE
}  // namespace melgrad
HWY_AFTER_NAMESPACE();

#endif
