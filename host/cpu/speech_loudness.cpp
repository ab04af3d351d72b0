#include "host/cpu/speech_loudness.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

constexpr double s_per_frame = 0.01;

// Loudness over its mean, x: percentiles; its changes by second: mean rise, mean fall, std.
void put_distribution(std::span<const double> x, SpeechScratch& scratch, ValueWriter& values) {
  scratch.percentiles.of(x);
  for (const double percent : {10, 20, 50, 80, 90, 98}) values.put(scratch.percentiles(percent));
  std::vector<double>&changes = scratch.cleared(1), &rises = scratch.cleared(2), &falls = scratch.cleared(3);
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    const double change = (x[i + 1] - x[i]) / s_per_frame;
    changes.push_back(change);
    if (change > 0) rises.push_back(change);
    if (change < 0) falls.push_back(-change);
  }
  values.put(mean_of(rises));
  values.put(mean_of(falls));
  values.put(std_of(changes));
}

// Peaks of the smoothed loudness, much like syllables: at least 80 ms apart and 12 % of the maximum
// prominent. By second, number, mean and std of the time between them, mean and std of their height, place of
// the highest.
void put_peaks(std::span<const double> loudness, double largest, SpeechScratch& scratch,
               ValueWriter& values) {
  std::vector<double>&smooth = scratch.sized(1, loudness.size()), &gaps = scratch.cleared(2),
  &heights = scratch.cleared(3);
  savgol_smooth(loudness, smooth);
  const std::span<const Index> peaks = scratch.peaks.find(smooth, 8, 0.12 * largest);
  const double n_frames = static_cast<double>(loudness.size()), n = static_cast<double>(peaks.size());
  for (std::size_t i = 0; i < peaks.size(); ++i) {
    heights.push_back(loudness[at(peaks[i])]);
    if (i > 0) gaps.push_back(static_cast<double>(peaks[i] - peaks[i - 1]) * s_per_frame);
  }
  values.put(n / (n_frames * s_per_frame));
  values.put(n);
  values.put(gaps.empty() ? 0.5 : mean_of(gaps));
  values.put(std_of(gaps));
  values.put(heights.empty() ? 1 : mean_of(heights));
  values.put(std_of(heights));
  values.put(heights.empty() ? 0.5 : static_cast<double>(peaks[at(place_of_largest(heights))]) / n_frames);
}

// dB below the loudest frame: percentiles, mean, std; its slope by frame: percentiles, std; of the voiced
// frames std and mean.
void put_levels(const SpeechContours& contours, SpeechScratch& scratch, ValueWriter& values) {
  const std::span<const double> relative = contours.relative_db;
  scratch.percentiles.of(relative);
  for (const double percent : {10, 25, 50, 75, 90}) values.put(scratch.percentiles(percent));
  values.put(mean_of(relative));
  values.put(std_of(relative));
  std::vector<double>& slopes = scratch.sized(1, relative.size());
  savgol_slope(contours.db, slopes);
  scratch.percentiles.of(slopes);
  for (const double percent : {5, 25, 75, 95}) values.put(scratch.percentiles(percent));
  values.put(std_of(slopes));
  values.put(std_of(contours.voiced_db));
  values.put(mean_of(contours.voiced_db) - largest_of(contours.db));
}

// In seconds: share of voiced frames; voiced runs by second, their mean, std and longest; gaps between them,
// mean, longest, std; number of runs; length; before the first and from the last voiced frame; shares of
// frames 30 dB below the loudest, above -10 dB and above -20 dB; log of the number of frames.
void put_rhythm(const SpeechContours& contours, SpeechScratch& scratch, ValueWriter& values) {
  const PitchPath& pitch = contours.pitch;
  const double n_frames = static_cast<double>(contours.db.size());
  std::vector<double>&runs = scratch.cleared(1), &gaps = scratch.cleared(2);
  for (std::size_t i = 0; i < pitch.runs.size(); ++i) {
    runs.push_back(static_cast<double>(pitch.runs[i].second - pitch.runs[i].first) * s_per_frame);
    if (i > 0)
      gaps.push_back(static_cast<double>(pitch.runs[i].first - pitch.runs[i - 1].second) * s_per_frame);
  }
  const auto share = [&](const auto& is_in) {
    return static_cast<double>(
               std::count_if(contours.relative_db.begin(), contours.relative_db.end(), is_in)) /
           n_frames;
  };
  const double n_runs = static_cast<double>(runs.size());
  values.put(static_cast<double>(pitch.voiced.size()) / n_frames);
  values.put(n_runs / (n_frames * s_per_frame));
  values.put(mean_of(runs));
  values.put(std_of(runs));
  values.put(largest_of(runs));
  values.put(mean_of(gaps));
  values.put(largest_of(gaps));
  values.put(std_of(gaps));
  values.put(n_runs);
  values.put(n_frames * s_per_frame);
  values.put(static_cast<double>(pitch.voiced.front()) * s_per_frame);
  values.put((n_frames - static_cast<double>(pitch.voiced.back())) * s_per_frame);
  values.put(share([](double db) { return db < -30; }));
  values.put(share([](double db) { return db > -10; }));
  values.put(share([](double db) { return db > -20; }));
  values.put(std::log(n_frames));
}

}  // namespace

void put_loudness(const SpeechKernels& kernels, const SpeechFrames& frames, const SpeechContours& contours,
                  SpeechScratch& scratch, std::span<float> out) {
  ValueWriter values(out);
  scratch.floats.resize(at(frames.n_frames()));
  kernels.loudness(frames.mel, scratch.floats.data());
  std::vector<double>& loudness = scratch.values[0];
  loudness.assign(scratch.floats.begin(), scratch.floats.end());
  const double mean = mean_of(loudness), largest = largest_of(loudness);
  values.put(std::log(mean));
  values.put(std::log(largest));
  values.put(std_of(loudness) / mean);
  for (double& value : loudness) value /= mean;
  put_distribution(loudness, scratch, values);
  put_peaks(loudness, largest / mean, scratch, values);
  put_levels(contours, scratch, values);

  std::array<double, 14> dct{};
  contour_dct(contours.relative_db, dct);
  for (std::size_t k = 1; k < dct.size(); ++k) values.put(dct[k]);
  put_rhythm(contours, scratch, values);
}

}  // namespace melgrad
