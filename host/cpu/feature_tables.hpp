#pragma once
// What the CPU feature extractor makes of a FeaturePlan for one instruction set: which stages its descriptors
// need, in what order their data lie in memory, and the chroma banks.

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "host/cpu/aligned.hpp"
#include "host/cpu/feature_kernels.hpp"
#include "host/cpu/lane_fft.hpp"
#include "host/engine/engine.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {

// A chroma bank without its negligible weights: a bin feeds the chroma within three steps of its pitch (a
// Gaussian of width 1 there: what is dropped is below 4e-8 of the bin's largest weight), but where bins lie
// farther apart than chroma, at low frequencies, all of them.
struct ChromaBank {
  static constexpr int band = 6;

  int n_chroma = 0;
  int n_wide = 0;                // bins [0, n_wide) feed every chroma
  std::vector<float> wide;       // [n_wide][n_chroma]
  std::vector<int> group_begin;  // [n_groups + 1] bins of group g feed chroma (group_first[g] + j) % n_chroma
  std::vector<int> group_first;  // [n_groups]
  std::vector<float> narrow;     // [n_bins - n_wide][band]

  explicit ChromaBank(const Matrix<float>& bank);
};

// The chroma banks of one descriptor: of its given tuning, or of the 100 that are estimated, each built when
// a clip first has it. Any thread may ask.
class ChromaBanks {
 public:
  ChromaBanks(const FeaturePlan& plan, const ChromaStft& spec);
  const ChromaBank& of_tuning(int tuning_bin) const;
  const ChromaBank& given() const { return of_tuning(0); }

 private:
  struct Slot {
    std::once_flag once;
    std::unique_ptr<const ChromaBank> bank;
  };
  const FeaturePlan& plan_;
  ChromaStft spec_;
  mutable std::array<Slot, TuningPlan::n_tunings> slots_;
};

// Which of the functionals a descriptor has; -1 or its place among them.
struct FunctionalPlaces {
  int mean = -1;
  int std = -1;
};

// One descriptor. A mean alone commutes with the linear steps after the last nonlinear one, so they are done
// once per clip: mel on the mean spectrum, the DCT on the mean dB. Where per-frame values are asked for,
// every step is done for every frame.
struct DescriptorTable {
  const DescriptorPlan* plan = nullptr;
  FunctionalPlaces places;
  bool per_frame = false;        // std is asked for
  const MelPlan* mel = nullptr;  // exactly one of these four
  const MfccPlan* mfcc = nullptr;
  const ChromaPlan* chroma = nullptr;
  bool is_rms = false;
  std::unique_ptr<ChromaBanks> chroma_banks;
  std::size_t record_offset = 0;      // of an mfcc's dB in a record
  std::size_t sum_offset = 0;         // of its sums in Workspace::lane_sums, in values
  std::size_t statistics_offset = 0;  // of its statistics, in values
};

struct FeatureTables {
  FeaturePlan plan;
  FeatureKernels kernels;
  LaneFft pair_fft;   // for int16 samples, if hop_length is even
  LaneFft float_fft;  // for float samples, and int16 ones if it is odd
  std::vector<DescriptorTable> descriptors;

  bool any_chroma = false;
  bool estimates_tuning = false;  // a chroma descriptor without a given tuning
  bool any_magnitude = false;     // some stage reads |X|
  int n_power_sums = 0;           // bins of |X|^2 whose mean over frames is wanted
  int n_magnitude_sums = 0;       // bins of |X|
  std::size_t n_sums = 0;         // values with a sum over frames: of the descriptors, then those two
  std::size_t power_sum_offset = 0;
  std::size_t magnitude_sum_offset = 0;
  std::size_t n_statistics = 0;  // values of all descriptors, for sums and squares of per-frame values
  std::size_t most_values = 0;   // of a descriptor's frame, or bands of its mel bank
  // What a chunk of `lanes` frames keeps for the second pass: |X| [n_bins][lanes] if any chroma, then the dB
  // [n_mels][lanes] of each mfcc. In floats.
  std::size_t record_size = 0;

  FeatureTables(const FeaturePlan& plan, const FeatureKernels& kernels);
  FeatureTables(const FeatureTables&) = delete;
  FeatureTables& operator=(const FeatureTables&) = delete;

 private:
  void add_stages(DescriptorTable& table);
};

// Sums over frames of per-frame values, shifted by the first frame's against cancellation.
struct FrameStatistics {
  double shift;
  double sum;
  double sum_of_squares;
};

// What is known of a clip after the first pass.
struct DescriptorState {
  float loudest_db = 0;                     // of an mfcc's bands and frames
  const ChromaBank* chroma_bank = nullptr;  // of the clip's tuning
};

// One worker's memory. Grows with the longest clip that it has seen.
struct Workspace {
  AlignedArray<std::int32_t> tile;
  AlignedArray<char> edge;  // samples of hop blocks that reach over an end of the clip
  AlignedArray<float> fft_scratch, power, magnitude;
  AlignedArray<float> records;                                // [n_kept + 2][record_size]
  AlignedArray<float> lane_sums;                              // [n_sums][lanes]
  AlignedArray<double> sums;                                  // [n_sums]
  AlignedArray<FrameStatistics> statistics;                   // [n_statistics]
  std::vector<DescriptorState> states;                        // [n_descriptors]
  AlignedArray<float> values;                                 // [2][most_values][lanes]
  AlignedArray<float> new_peaks;                              // of a chunk: [5][], see tuning-inl.hpp
  AlignedArray<float> peak_magnitude, peak_pitch, residuals;  // of the clip
  std::size_t n_peaks = 0;
  Index n_kept = 0;  // even: chunks [0, n_kept) keep their records; later ones are computed again when needed

  // Makes room for a clip of n_frames; at most kept_bytes are spent on records.
  void prepare(const FeatureTables& tables, Index n_frames, std::size_t kept_bytes);
};

// One clip's samples (one of the two), and where its tracks go, if they are asked for.
struct ClipTask {
  const std::int16_t* int16_samples = nullptr;
  const float* float_samples = nullptr;
  Index n_samples = 0;
  Index n_frames = 0;            // at least 1
  FrameTrack* tracks = nullptr;  // [n_descriptors], values [n_values, n_frames]
};

}  // namespace melgrad
