#include "host/cpu/feature_tables.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <variant>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// The first chroma of the `band` neighbours, around the octave, that hold all weights [n_chroma] of a bin but
// negligible ones; -1 if no such band does. Weights fall on both sides of the largest.
int band_of(std::span<const float> weights) {
  const int n_chroma = static_cast<int>(weights.size());
  if (n_chroma < ChromaBank::band) return -1;
  const auto largest = std::ranges::max_element(weights);
  const int below = static_cast<int>(largest - weights.begin()) + n_chroma - ChromaBank::band / 2;
  for (const int first : {below % n_chroma, (below + 1) % n_chroma}) {
    float dropped = 0;
    for (int c = first + ChromaBank::band; c < first + n_chroma; ++c)
      dropped = std::max(dropped, weights[at(c < n_chroma ? c : c - n_chroma)]);
    if (dropped <= 4e-8f * *largest) return first;
  }
  return -1;
}

}  // namespace

ChromaBank::ChromaBank(const Matrix<float>& bank) : n_chroma(static_cast<int>(bank.rows)) {
  const int n_bins = static_cast<int>(bank.cols);
  std::vector<int> first(at(n_bins));
  std::vector<float> weights(at(n_chroma));
  for (int bin = 0; bin < n_bins; ++bin) {
    for (int c = 0; c < n_chroma; ++c) weights[at(c)] = bank(c, bin);
    first[at(bin)] = band_of(weights);
    if (first[at(bin)] < 0) n_wide = bin + 1;
  }
  for (int bin = 0; bin < n_wide; ++bin)
    for (int c = 0; c < n_chroma; ++c) wide.push_back(bank(c, bin));
  narrow.reserve(at(n_bins - n_wide) * band);
  for (int bin = n_wide; bin < n_bins; ++bin) {
    if (group_first.empty() || group_first.back() != first[at(bin)]) {
      group_begin.push_back(bin);
      group_first.push_back(first[at(bin)]);
    }
    for (int j = 0, c = first[at(bin)]; j < band; ++j, c = c + 1 == n_chroma ? 0 : c + 1)
      narrow.push_back(bank(c, bin));
  }
  group_begin.push_back(n_bins);
}

ChromaBanks::ChromaBanks(const FeaturePlan& plan, const ChromaStft& spec) : plan_(plan), spec_(spec) {}

const ChromaBank& ChromaBanks::of_tuning(int tuning_bin) const {
  Slot& slot = slots_[at(tuning_bin)];
  std::call_once(slot.once, [&] {
    const double tuning = spec_.tuning ? *spec_.tuning : tuning_edges[at(tuning_bin)];
    slot.bank = std::make_unique<const ChromaBank>(chroma_bank(plan_, spec_.n_chroma, tuning));
  });
  return *slot.bank;
}

FeatureTables::FeatureTables(const FeaturePlan& plan_, const FeatureKernels& kernels_)
    : plan(plan_), kernels(kernels_) {
  const int hop_length = plan.spec.stft.hop_length;
  const auto make_fft = [&](bool pairs) {
    return make_lane_fft(plan.window, hop_length, kernels.lanes, kernels.fft_columns, pairs);
  };
  float_fft = make_fft(false);
  if (hop_length % 2 == 0) pair_fft = make_fft(true);

  const auto lanes = at(kernels.lanes);
  for (const DescriptorPlan& descriptor : plan.descriptors) {
    DescriptorTable table;
    table.plan = &descriptor;
    for (std::size_t f = 0; f < descriptor.functionals.size(); ++f)
      (descriptor.functionals[f] == Functional::mean ? table.places.mean : table.places.std) =
          static_cast<int>(f);
    table.chroma = std::get_if<ChromaPlan>(&descriptor.plan);
    table.mel = std::get_if<MelPlan>(&descriptor.plan);
    table.mfcc = std::get_if<MfccPlan>(&descriptor.plan);
    table.is_rms = std::holds_alternative<RmsPlan>(descriptor.plan);
    if (table.chroma != nullptr) {
      any_chroma = true;
      estimates_tuning = estimates_tuning || !table.chroma->spec.tuning;
      table.chroma_banks = std::make_unique<ChromaBanks>(plan, table.chroma->spec);
    }
    descriptors.push_back(std::move(table));
  }
  if (any_chroma) record_size = at(plan.n_bins) * lanes;
  any_magnitude = any_chroma;
  for (DescriptorTable& table : descriptors) add_stages(table);
  power_sum_offset = n_sums;
  magnitude_sum_offset = power_sum_offset + at(n_power_sums);
  n_sums = magnitude_sum_offset + at(n_magnitude_sums);
}

// Room for a descriptor's sums, records and values.
void FeatureTables::add_stages(DescriptorTable& table) {
  const auto lanes = at(kernels.lanes);
  const bool per_frame = table.places.std >= 0;
  const Index n_values = table.plan->n_values;
  table.per_frame = per_frame;
  table.statistics_offset = n_statistics;
  n_statistics += at(n_values);
  most_values = std::max(most_values, at(n_values));
  if (table.mel != nullptr) {
    const bool magnitude = table.mel->spec.power == 1;
    any_magnitude = any_magnitude || magnitude;
    int& n_spectrum_sums = magnitude ? n_magnitude_sums : n_power_sums;
    if (!per_frame) n_spectrum_sums = std::max(n_spectrum_sums, table.mel->bank.end_bin());
  } else if (table.mfcc != nullptr) {
    table.record_offset = record_size;
    record_size += at(table.mfcc->bank.n_mels) * lanes;
    most_values = std::max(most_values, at(table.mfcc->bank.n_mels));
    table.sum_offset = n_sums;
    n_sums += at(table.mfcc->bank.n_mels);
  } else {
    table.sum_offset = n_sums;
    n_sums += at(n_values);
  }
}

void Workspace::prepare(const FeatureTables& tables, Index n_frames, std::size_t kept_bytes) {
  const FeaturePlan& plan = tables.plan;
  const auto lanes = at(tables.kernels.lanes);
  const auto n_chunks = at(n_frames + tables.kernels.lanes - 1) / lanes;
  const TileLayout& layout = tables.float_fft.layout;  // at least as large as that of pairs
  tile.require(at(layout.n_rows) * at(layout.pitch));
  edge.require((lanes + 1) * at(layout.n_rows + 1) * sizeof(float));
  fft_scratch.require(tables.float_fft.scratch_size());
  power.require(at(plan.n_bins) * lanes);
  if (tables.any_magnitude && !tables.any_chroma) magnitude.require(at(plan.n_bins) * lanes);
  const std::size_t record_bytes = std::max<std::size_t>(1, tables.record_size * sizeof(float));
  n_kept = static_cast<Index>(std::min((n_chunks + 1) / 2 * 2, kept_bytes / record_bytes / 2 * 2));
  records.require((at(n_kept) + 2) * tables.record_size);
  lane_sums.require(tables.n_sums * lanes);
  sums.require(tables.n_sums);
  statistics.require(tables.n_statistics);
  states.resize(tables.descriptors.size());
  values.require(2 * tables.most_values * lanes);
  if (tables.estimates_tuning) {
    // Peaks are never neighbours, so every other bin may hold one.
    const auto most_peaks = at(plan.tuning.end_bin - plan.tuning.first_bin + 1) / 2;
    new_peaks.require(5 * (most_peaks + 1) * lanes);
    peak_magnitude.require((most_peaks * n_chunks + 1) * lanes);
    peak_pitch.require((most_peaks * n_chunks + 1) * lanes);
    residuals.require((most_peaks * n_chunks + 1) * lanes);
  }
}

}  // namespace melgrad
