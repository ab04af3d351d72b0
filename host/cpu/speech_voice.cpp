#include "host/cpu/speech_voice.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

constexpr double hz_per_bin = 16000.0 / 2048;
constexpr double last_bin = 1024;

// One frame of LongFrames after SpeechKernels::voice_spectra.
struct VoiceFrame {
  const float* db;
  const float* cepstrum;
  Index lanes;
  double f0_hz;

  // The largest level in nine steps across 8 % of f0 to both sides of a harmonic.
  double harmonic_db(int harmonic) const {
    const double step = std::max(0.08 * f0_hz / hz_per_bin, 1.0) / 4;
    double level = -1000;
    for (int i = -4; i <= 4; ++i) {
      const double bin = std::clamp(harmonic * f0_hz / hz_per_bin + i * step, 0.0, last_bin);
      level = std::max(level, static_cast<double>(db[static_cast<Index>(std::nearbyint(bin)) * lanes]));
    }
    return level;
  }

  double cepstral_peak(double offset, double slope) const {
    const auto period = static_cast<Index>(std::nearbyint(SpeechFrames::sample_rate / f0_hz));
    Index place = 0;
    double peak = -1000;
    for (Index q = period - 2; q <= period + 2; ++q) {
      const Index inside = std::clamp<Index>(q, 1, n_quefrencies - 1);
      const auto value = static_cast<double>(cepstrum[inside * lanes]);
      if (value > peak) {
        peak = value;
        place = inside;
      }
    }
    return peak - (offset + slope * static_cast<double>(place));
  }
};

double harmonics_to_noise(double height) {
  const double h = std::clamp(height, 1e-3, 0.9999);
  return 10 * std::log10(h / (1 - h));
}

void put_median_and_quartile(std::span<const double> x, double most, SpeechScratch& scratch,
                             ValueWriter& values) {
  std::vector<double>& clipped = scratch.cleared(3);
  for (const double value : x) clipped.push_back(std::min(value, most));
  scratch.percentiles.of(clipped);
  values.put(scratch.percentiles(50));
  values.put(scratch.percentiles(75));
}

// |x[i + 1] - x[i]| (order 1) or |x[i + 2] - 2 x[i + 1] + x[i]| (order 2) where the voiced frames are
// neighbours.
template <class Value>
void put_differences(std::span<const Index> voiced, Index order, const Value& x, std::vector<double>& out) {
  for (Index i = 0; i + order < static_cast<Index>(voiced.size()); ++i)
    if (voiced[at(i + order)] - voiced[at(i)] == order)
      out.push_back(std::abs(order == 1 ? x(i + 1) - x(i) : x(i + 2) - 2 * x(i + 1) + x(i)));
}

}  // namespace

void measure_voice(const SpeechKernels& kernels, LongFrames& frames, std::span<const float> padded,
                   SpeechContours& contours) {
  const PitchPath& pitch = contours.pitch;
  const Index n_voiced = static_cast<Index>(pitch.voiced.size()), lanes = kernels.lanes;
  for (auto& track : contours.voice) track.resize(at(n_voiced));
  VoiceSpectra spectra;
  for (Index chunk = 0; chunk < n_voiced; chunk += lanes) {
    std::array<std::int32_t, most_lanes> first{};
    const Index n_valid = std::min(lanes, n_voiced - chunk);
    for (Index lane = 0; lane < n_valid; ++lane)
      first[at(lane)] = static_cast<std::int32_t>(pitch.voiced[at(chunk + lane)] * SpeechFrames::hop_length);
    kernels.voice_spectra(frames, padded.data(), first.data(), spectra);
    for (Index lane = 0; lane < n_valid; ++lane) {
      const Index frame = pitch.voiced[at(chunk + lane)];
      const VoiceFrame voice{frames.db.data() + lane, frames.back.data() + lane, lanes,
                             pitch.f0_hz[at(frame)]};
      const auto of = [&](const VoiceSpectra::Lanes& values) {
        return static_cast<double>(values[at(lane)]);
      };
      const auto put = [&](VoiceMeasure measure, double value) {
        contours.voice[static_cast<std::size_t>(measure)][at(chunk + lane)] = value;
      };
      const double h1 = voice.harmonic_db(1), h2 = voice.harmonic_db(2), h4 = voice.harmonic_db(4);
      using enum VoiceMeasure;
      put(harmonics_to_noise, melgrad::harmonics_to_noise(pitch.height[at(frame)]));
      put(cepstral_peak, 100 * voice.cepstral_peak(of(spectra.cepstrum_offset), of(spectra.cepstrum_slope)));
      put(h1_h2, h1 - h2);
      put(h1_a1, h1 - of(spectra.max_300_1000));
      put(h1_a2, h1 - of(spectra.max_1200_2400));
      put(h1_a3, h1 - of(spectra.max_2400_3800));
      put(h2_h4, h2 - h4);
      put(alpha_ratio, of(spectra.alpha_ratio));
      put(hammarberg_index, of(spectra.hammarberg_index));
      put(high_ratio, of(spectra.high_ratio));
      put(slope_50_500, of(spectra.slope_50_500));
      put(slope_500_1500, of(spectra.slope_500_1500));
      put(slope_1500_5000, of(spectra.slope_1500_5000));
    }
  }
}

void put_voice(const SpeechContours& contours, SpeechScratch& scratch, std::span<float> out) {
  ValueWriter values(out);
  for (const auto& track : contours.voice) values.put_summary(track, scratch.percentiles);

  const PitchPath& pitch = contours.pitch;
  const auto period = [&](Index i) { return 1 / pitch.f0_hz[at(pitch.voiced[at(i)])]; };
  const auto semitones = [&](Index i) { return pitch.semitones[at(i)]; };
  const auto db = [&](Index i) { return contours.voiced_db[at(i)]; };
  double mean_period = 0;
  const Index n_voiced = static_cast<Index>(pitch.voiced.size());
  for (Index i = 0; i < n_voiced; ++i) mean_period += period(i) / static_cast<double>(n_voiced);

  std::vector<double>& differences = scratch.cleared(0);
  put_differences(
      pitch.voiced, 1, [&](Index i) { return period(i) / mean_period; }, differences);
  const double jitter = mean_of(differences);
  put_median_and_quartile(differences, 0.3, scratch, values);
  differences.clear();
  put_differences(pitch.voiced, 1, db, differences);
  const double shimmer = mean_of(differences);
  put_median_and_quartile(differences, 20, scratch, values);
  differences.clear();
  put_differences(pitch.voiced, 2, semitones, differences);
  put_median_and_quartile(differences, 3, scratch, values);
  const double bend = mean_of(scratch.values[3]);
  differences.clear();
  put_differences(pitch.voiced, 2, db, differences);
  put_median_and_quartile(differences, 20, scratch, values);
  values.put(std::log(jitter + 1e-4));
  values.put(std::log(shimmer + 1e-3));
  values.put(std::log(bend + 1e-3));
}

}  // namespace melgrad
