#include "host/cpu/speech_pitch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

constexpr double s_per_frame = 0.01;

double mean_of_part(std::span<const double> x, std::size_t begin, std::size_t end) {
  return mean_of(x.subspan(begin, end - begin));
}

// Amplitude of a frame of so many dB, below 1 for audio.
double amplitude(double db) {
  return std::pow(10, db / 20);
}

double amplitude_weighted_mean(std::span<const double> x, std::span<const double> db) {
  double sum = 0, weights = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += amplitude(db[i]) * x[i];
    weights += amplitude(db[i]);
  }
  return sum / weights;
}

// The pitch in semitones over 100 Hz: median, mean, percentiles 5, 10, 90 and 95, mean weighted by amplitude,
// mean of the louder half.
void put_absolute(const SpeechContours& contours, double weighted_mean, SpeechScratch& scratch,
                  ValueWriter& values) {
  const std::span<const double> x = contours.pitch.semitones, db = contours.voiced_db;
  values.put(contours.pitch.median);
  values.put(mean_of(x));
  scratch.percentiles.of(x);
  for (const double percent : {5, 10, 90, 95}) values.put(scratch.percentiles(percent));
  values.put(weighted_mean);
  const double median_db = scratch.percentiles.of(db)(50);
  std::vector<double>& loud = scratch.cleared(0);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (db[i] > median_db) loud.push_back(x[i]);
  values.put(mean_of(loud));
}

// Of the pitch relative to its median, x: percentiles 5, 10, 25, 75, 90, 95, std, mean |x|, skew, kurtosis,
// range.
void put_distribution(const PitchPath& pitch, SpeechScratch& scratch, ValueWriter& values) {
  std::vector<double>& x = scratch.cleared(0);
  for (const double semitones : pitch.semitones) x.push_back(semitones - pitch.median);
  scratch.percentiles.of(x);
  for (const double percent : {5, 10, 25, 75, 90, 95}) values.put(scratch.percentiles(percent));
  const double std = std_of(x);
  double magnitude = 0, skew = 0, kurtosis = 0;
  for (const double value : x) {
    const double z = value / (std + 0.3);  // a steady voice has no shape to tell of
    magnitude += std::abs(value);
    skew += z * z * z;
    kurtosis += z * z * z * z;
  }
  const double n = static_cast<double>(x.size());
  values.put(std);
  values.put(magnitude / n);
  values.put(skew / n);
  values.put(kurtosis / n);
  values.put(scratch.percentiles(90) - scratch.percentiles(10));
}

// Steps from frame to frame, at most 3 semitones: mean, mean |step|, std, percentiles 5 and 95.
void put_steps(const PitchPath& pitch, SpeechScratch& scratch, ValueWriter& values) {
  std::vector<double>& steps = scratch.cleared(0);
  double magnitude = 0;
  for (std::size_t i = 0; i + 1 < pitch.voiced.size(); ++i) {
    if (pitch.voiced[i + 1] != pitch.voiced[i] + 1) continue;
    steps.push_back(std::clamp(pitch.semitones[i + 1] - pitch.semitones[i], -3.0, 3.0));
    magnitude += std::abs(steps.back());
  }
  values.put(mean_of(steps));
  values.put(steps.empty() ? 0 : magnitude / static_cast<double>(steps.size()));
  values.put(std_of(steps));
  scratch.percentiles.of(steps);
  values.put(scratch.percentiles(5));
  values.put(scratch.percentiles(95));
}

// Voiced runs of at least 60 ms. Slopes in semitones/s, at most 80: mean, mean |slope|, std, of the last run,
// of the first, share that rises; ranges: mean, largest, std; curvatures (mean of the middle third less that
// of the others): mean, of the last run.
void put_runs(const PitchPath& pitch, SpeechScratch& scratch, ValueWriter& values) {
  std::vector<double>&slopes = scratch.cleared(0), &ranges = scratch.cleared(1), &bends = scratch.cleared(2);
  const std::span<const double> semitones = pitch.semitones;
  std::size_t begin = 0;  // of the run, among voiced frames
  for (const auto& [first_frame, end_frame] : pitch.runs) {
    const auto n = at(end_frame - first_frame);
    const auto run = semitones.subspan(begin, n);
    begin += n;
    if (n < 6) continue;
    double moment = 0;
    const double middle = static_cast<double>(n - 1) / 2;
    for (std::size_t i = 0; i < n; ++i) moment += (static_cast<double>(i) - middle) * run[i];
    const double squares = static_cast<double>(n * (n * n - 1)) / 12;
    slopes.push_back(std::clamp(moment / squares / s_per_frame, -80.0, 80.0));
    const auto [lowest, highest] = std::minmax_element(run.begin(), run.end());
    ranges.push_back(*highest - *lowest);
    bends.push_back(mean_of_part(run, n / 3, 2 * n / 3) -
                    (mean_of_part(run, 0, n / 3) + mean_of_part(run, 2 * n / 3, n)) / 2);
  }
  if (slopes.empty()) slopes.push_back(0), ranges.push_back(0), bends.push_back(0);
  double magnitude = 0, n_rising = 0;
  for (const double slope : slopes) {
    magnitude += std::abs(slope);
    n_rising += slope > 1e-9 ? 1 : 0;  // a level run's is rounding
  }
  const double n = static_cast<double>(slopes.size());
  values.put(mean_of(slopes));
  values.put(magnitude / n);
  values.put(std_of(slopes));
  values.put(slopes.back());
  values.put(slopes.front());
  values.put(n_rising / n);
  values.put(mean_of(ranges));
  values.put(largest_of(ranges));
  values.put(std_of(ranges));
  values.put(mean_of(bends));
  values.put(bends.back());
}

// Less the median: the mean weighted by amplitude, the means of the first and the last ten voiced frames;
// places of the highest and the lowest frame in the clip; correlation with dB; semitones/s of the line
// through all.
void put_course(const SpeechContours& contours, double weighted_mean, Index n_frames, SpeechScratch& scratch,
                ValueWriter& values) {
  const PitchPath& pitch = contours.pitch;
  const std::span<const double> x = pitch.semitones;
  const std::size_t ten = std::min<std::size_t>(10, x.size());
  const auto place = [&](Index i) {
    return static_cast<double>(pitch.voiced[at(i)]) / static_cast<double>(n_frames);
  };
  values.put(weighted_mean - pitch.median);
  values.put(mean_of(x.first(ten)) - pitch.median);
  values.put(mean_of(x.last(ten)) - pitch.median);
  values.put(place(place_of_largest(x)));
  values.put(place(place_of_smallest(x)));
  values.put(correlation_of(x, contours.voiced_db));
  std::vector<double>& seconds = scratch.cleared(0);
  for (const Index frame : pitch.voiced) seconds.push_back(static_cast<double>(frame) * s_per_frame);
  values.put(x.size() > 3 ? slope_of(seconds, x) : 0);
}

}  // namespace

void put_pitch(const SpeechFrames& frames, const SpeechContours& contours, CourseSpectra& spectra,
               SpeechScratch& scratch, std::span<float> out) {
  ValueWriter values(out);
  const PitchPath& pitch = contours.pitch;
  const double weighted_mean = amplitude_weighted_mean(pitch.semitones, contours.voiced_db);
  put_absolute(contours, weighted_mean, scratch, values);
  put_distribution(pitch, scratch, values);
  put_steps(pitch, scratch, values);
  put_runs(pitch, scratch, values);
  put_course(contours, weighted_mean, frames.n_frames(), scratch, values);

  // From the first voiced frame to the last. The median, a constant, is in the DCT's coefficient 0 alone.
  const auto first = at(pitch.voiced.front());
  const auto contour =
      std::span<const double>(pitch.contour).subspan(first, at(pitch.voiced.back()) + 1 - first);
  std::array<double, 12> dct{};
  contour_dct(contour, dct);
  for (std::size_t k = 1; k < dct.size(); ++k) values.put(dct[k]);

  const auto n = static_cast<double>(contour.size());
  std::vector<double>& power = scratch.values[0];
  if (contour.size() > 4)
    spectra.modulation({contour.data(), 1, static_cast<Index>(contour.size())}, power);
  else
    power.assign(n_modulation_bands, 0);
  for (const double band : power) values.put(std::log(band / (n * n) + 1e-4));
}

}  // namespace melgrad
