#include "host/cpu/speech_course.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// The values of a track in the frames for which is_in(frame).
template <class IsIn>
std::span<const double> select(std::span<const float> track, const IsIn& is_in, std::vector<double>& out) {
  out.clear();
  for (std::size_t frame = 0; frame < track.size(); ++frame)
    if (is_in(frame)) out.push_back(static_cast<double>(track[frame]));
  return out;
}

std::span<const double> select_all(std::span<const float> track, std::vector<double>& out) {
  out.assign(track.begin(), track.end());
  return out;
}

// Means of the first 20 coefficients, and with_std their stds after those.
template <class IsIn>
void put_mfcc_of(MatrixView<const float> mfcc, const IsIn& is_in, bool with_std, SpeechScratch& scratch,
                 ValueWriter& values) {
  constexpr Index n_mfcc = 20;
  std::array<double, n_mfcc> stds;
  for (Index c = 0; c < n_mfcc; ++c) {
    const auto track = select(mfcc.row(c), is_in, scratch.values[0]);
    values.put(mean_of(track));
    if (with_std) stds[at(c)] = std_of(track);
  }
  if (with_std)
    for (const double std : stds) values.put(std);
}

// Power of voiced frames in each band over that of all bands.
void put_long_term_spectrum(MatrixView<const float> mel, const PitchPath& pitch, SpeechScratch& scratch,
                            ValueWriter& values) {
  std::vector<double>& sums = scratch.sized(0, at(mel.rows));
  for (Index band = 0; band < mel.rows; ++band)
    for (const Index frame : pitch.voiced) sums[at(band)] += static_cast<double>(mel(band, frame));
  const double n = static_cast<double>(pitch.voiced.size());
  const double total_db = 10 * std::log10(sum_of(sums) / (n * static_cast<double>(mel.rows)) + 1e-12);
  for (Index band = 0; band < mel.rows; band += 2)
    values.put(10 * std::log10(sums[at(band)] / n + 1e-10) - total_db);
}

}  // namespace

void put_voiced_mfcc(const SpeechFrames& frames, const SpeechContours& contours, SpeechScratch& scratch,
                     std::span<float> out) {
  ValueWriter values(out);
  const auto is_voiced = [&](std::size_t frame) { return contours.pitch.is_voiced[frame] != 0; };
  const auto is_unvoiced = [&](std::size_t frame) { return !is_voiced(frame); };
  const auto is_breath = [&](std::size_t frame) {
    return !is_voiced(frame) && contours.relative_db[frame] > -45;
  };
  put_mfcc_of(frames.mfcc, is_voiced, true, scratch, values);
  const auto count = [&](const auto& is_in) {
    Index n = 0;
    for (std::size_t frame = 0; frame < contours.db.size(); ++frame) n += is_in(frame) ? 1 : 0;
    return n;
  };
  if (count(is_breath) > 3)
    put_mfcc_of(frames.mfcc, is_breath, false, scratch, values);
  else if (count(is_unvoiced) > 3)
    put_mfcc_of(frames.mfcc, is_unvoiced, false, scratch, values);
  else
    put_mfcc_of(
        frames.mfcc, [](std::size_t) { return true; }, false, scratch, values);
  const double loud = scratch.percentiles.of(contours.relative_db)(70);
  put_mfcc_of(
      frames.mfcc, [&](std::size_t frame) { return contours.relative_db[frame] > loud; }, false, scratch,
      values);

  constexpr Index n_mfcc = 13;
  std::array<double, n_mfcc> high;
  for (Index c = 0; c < n_mfcc; ++c) {
    const auto track = select_all(frames.mfcc.row(c), scratch.values[0]);
    const double mean = mean_of(track);
    scratch.percentiles.of(track);
    values.put(scratch.percentiles(10) - mean);
    high[at(c)] = scratch.percentiles(90) - mean;
  }
  for (const double value : high) values.put(value);
  put_long_term_spectrum(frames.mel, contours.pitch, scratch, values);
}

void put_thirds(const SpeechFrames& frames, SpeechScratch& scratch, std::span<float> out) {
  ValueWriter values(out);
  constexpr Index n_mfcc = 13, n_parts = 3;
  std::array<double, n_mfcc * n_parts> means{}, stds{};
  for (Index c = 0; c < n_mfcc; ++c) {
    const auto track = select_all(frames.mfcc.row(c), scratch.values[0]);
    const double mean = mean_of(track);
    for (Index third = 0; third < n_parts; ++third) {
      const Part part = part_of(frames.n_frames(), n_parts, third);
      if (part.size() == 0) continue;
      const auto values_of_part = track.subspan(at(part.begin), at(part.size()));
      means[at(third * n_mfcc + c)] = mean_of(values_of_part) - mean;
      stds[at(third * n_mfcc + c)] = std_of(values_of_part);
    }
  }
  for (const double value : means) values.put(value);
  for (const double value : stds) values.put(value);
}

void put_eighths(const SpeechContours& contours, SpeechScratch& scratch, std::span<float> out) {
  ValueWriter values(out);
  const PitchPath& pitch = contours.pitch;
  const auto n_frames = static_cast<Index>(contours.db.size());
  constexpr Index n_parts = 8;
  // statistic(values of a part) for each part; 0 where a short clip has none.
  const auto put_parts = [&](std::span<const double> track, const auto& statistic) {
    for (Index eighth = 0; eighth < n_parts; ++eighth) {
      const Part part = part_of(n_frames, n_parts, eighth);
      values.put(part.size() == 0 ? 0 : statistic(track.subspan(at(part.begin), at(part.size()))));
    }
  };
  const auto less = [](double reference) {
    return [=](std::span<const double> x) { return mean_of(x) - reference; };
  };
  put_parts(pitch.contour, less(pitch.median));
  put_parts(contours.relative_db, less(mean_of(contours.relative_db)));
  std::vector<double>& track = scratch.values[0];
  track.assign(pitch.is_voiced.begin(), pitch.is_voiced.end());
  put_parts(track, mean_of);
  for (const VoiceMeasure measure : {VoiceMeasure::alpha_ratio, VoiceMeasure::harmonics_to_noise}) {
    interpolate(pitch.voiced, contours.measure(measure), track);
    put_parts(track, mean_of);
  }
  put_parts(pitch.contour, std_of);
}

void put_modulation(const SpeechFrames& frames, const SpeechContours& contours, CourseSpectra& spectra,
                    SpeechScratch& scratch, std::span<float> out) {
  ValueWriter values(out);
  constexpr Index n_bands = 8, n_tracks = n_bands + 1;
  const Index n_frames = frames.n_frames(), width = frames.log_mel.rows / n_bands;
  std::vector<double>& courses = scratch.sized(0, at(n_tracks * n_frames));
  for (Index row = 0; row < n_bands * width; ++row)
    for (Index frame = 0; frame < n_frames; ++frame)
      courses[at(row / width * n_frames + frame)] +=
          static_cast<double>(frames.log_mel(row, frame)) / static_cast<double>(width);
  std::copy(contours.db.begin(), contours.db.end(), courses.begin() + n_bands * n_frames);
  std::vector<double>& power = scratch.values[1];
  spectra.modulation({courses.data(), n_tracks, n_frames}, power);
  for (Index band = 0; band < n_modulation_bands; ++band)
    for (Index track = 0; track < n_tracks; ++track) {
      double total = 0;
      for (Index b = 0; b < n_modulation_bands; ++b) total += power[at(b * n_tracks + track)];
      values.put(std::log(power[at(band * n_tracks + track)] / (total + 1e-9) + 1e-5));
    }
}

void put_mfcc_correlation(const SpeechFrames& frames, SpeechScratch& scratch, std::span<float> out) {
  ValueWriter values(out);
  constexpr Index n_mfcc = 14;
  const Index n_frames = frames.n_frames();
  // Deviations from the mean, of unit length.
  std::vector<double>& directions = scratch.sized(0, at(n_mfcc * n_frames));
  for (Index c = 0; c < n_mfcc; ++c) {
    const auto direction = std::span(directions).subspan(at(c * n_frames), at(n_frames));
    const auto track = frames.mfcc.row(c);
    std::copy(track.begin(), track.end(), direction.begin());
    const double mean = mean_of(direction);
    // A coefficient that does not vary correlates with nothing.
    const double length = std::sqrt(static_cast<double>(n_frames)) * std_of(direction) +
                          1e-6 * std::sqrt(static_cast<double>(n_frames - 1));
    for (double& value : direction) value = length == 0 ? 0 : (value - mean) / length;
  }
  for (Index row = 0; row < n_mfcc; ++row)
    for (Index col = row + 1; col < n_mfcc; ++col) {
      double product = 0;
      for (Index frame = 0; frame < n_frames; ++frame)
        product += directions[at(row * n_frames + frame)] * directions[at(col * n_frames + frame)];
      values.put(product);
    }
}

}  // namespace melgrad
