#include "host/cpu/speech_prosody.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <vector>

#include "host/cpu/track_statistics.hpp"

namespace melgrad {
namespace {

using Values = std::span<const double>;

constexpr double frames_per_s = 100;

double place(Index frame, Values x) {
  return static_cast<double>(frame) / static_cast<double>(x.size());
}

void put_percentiles(Percentiles& percentiles, Values x, std::initializer_list<double> percents,
                     ValueWriter& out) {
  percentiles.of(x);
  for (const double percent : percents) out.put(percentiles(percent));
}

void find_voiced(const RoughPitch& pitch, const SpeechContours& contours, SpeechScratch& scratch,
                 std::vector<std::uint8_t>& is_voiced) {
  const std::size_t n_frames = contours.db.size();
  is_voiced.resize(n_frames);
  std::size_t n_voiced = 0;
  for (std::size_t t = 0; t < n_frames; ++t) {
    is_voiced[t] = pitch.periodicity[t] > 0.5 && contours.relative_db[t] > -30;
    n_voiced += is_voiced[t];
  }
  constexpr std::size_t least = 5;
  if (n_voiced >= least) return;
  std::vector<double>& order = scratch.cleared(0);
  order.assign(pitch.periodicity.begin(), pitch.periodicity.end());
  const auto enough = order.begin() + static_cast<std::ptrdiff_t>(std::min(least, n_frames) - 1);
  std::nth_element(order.begin(), enough, order.end(), std::greater<>());
  for (std::size_t t = 0; t < n_frames; ++t) is_voiced[t] = pitch.periodicity[t] >= *enough;
}

// Of f0 in voiced frames at `seconds`.
void put_pitch_level(Values f0, Values seconds, Percentiles& percentiles, ValueWriter& out) {
  out.put(mean_of(f0));
  out.put(std_of(f0));
  put_percentiles(percentiles, f0, {2, 10, 25, 50, 75, 90, 98}, out);
  out.put(percentiles(98) - percentiles(2));
  out.put(percentiles(90) - percentiles(10));
  out.put(f0.size() > 3 ? slope_of(seconds, f0) : 0);
}

void put_steps(Values log_f0, std::span<const std::uint8_t> is_voiced, SpeechScratch& scratch,
               ValueWriter& out) {
  constexpr double jump = 0.2;
  std::vector<double>& steps = scratch.cleared(3);
  double sum_of_sizes = 0;
  for (std::size_t t = 1; t < is_voiced.size(); ++t) {
    const double step = log_f0[t] - log_f0[t - 1];
    if (!is_voiced[t] || !is_voiced[t - 1] || !(std::abs(step) < jump)) continue;
    steps.push_back(step);
    sum_of_sizes += std::abs(step);
  }
  if (steps.empty()) steps.push_back(0);
  out.put(mean_of(steps));
  out.put(std_of(steps));
  out.put(sum_of_sizes / static_cast<double>(steps.size()));
  put_percentiles(scratch.percentiles, steps, {5, 25, 75, 95}, out);
}

void put_runs(std::span<const std::uint8_t> is_voiced, SpeechScratch& scratch, ValueWriter& out) {
  std::vector<double>& lengths = scratch.cleared(3);
  for (std::size_t t = 0; t < is_voiced.size(); ++t) {
    if (!is_voiced[t]) continue;
    if (t == 0 || !is_voiced[t - 1]) lengths.push_back(0);
    lengths.back() += 1 / frames_per_s;
  }
  out.put(static_cast<double>(lengths.size()) / (static_cast<double>(is_voiced.size()) / frames_per_s));
  out.put(mean_of(lengths));
  out.put(std_of(lengths));
  out.put(largest_of(lengths));
}

// Means of n parts; of an empty part `otherwise`.
void put_parts(Values x, Index n, double otherwise, double less, ValueWriter& out) {
  for (Index i = 0; i < n; ++i) {
    const Part part = part_of(static_cast<Index>(x.size()), n, i);
    const auto of_part =
        x.subspan(static_cast<std::size_t>(part.begin), static_cast<std::size_t>(part.size()));
    out.put((of_part.empty() ? otherwise : mean_of(of_part)) - less);
  }
}

// How loudness repeats itself.
void put_rhythm(Values db, ValueWriter& out) {
  const double mean = mean_of(db);
  const auto autocorrelation = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t t = lag; t < db.size(); ++t) sum += (db[t] - mean) * (db[t - lag] - mean);
    return sum;
  };
  const double whole = autocorrelation(0) + 1e-9;
  for (const std::size_t lag : {5u, 10u, 15u, 20u, 30u, 40u})
    out.put(db.size() > 41 ? autocorrelation(lag) / whole : 0);
}

void put_loudness_of_all(const SpeechContours& contours, ValueWriter& out) {
  const Values relative_db = contours.relative_db, db = contours.db;
  for (const double limit : {-10.0, -20.0, -30.0})
    out.put(place(std::ranges::count_if(relative_db, [&](double x) { return x > limit; }), relative_db));
  put_parts(db, 5, mean_of(db), mean_of(db), out);
  put_rhythm(db, out);
}

}  // namespace

void put_prosody(const SpeechFrames& frames, const RoughPitch& pitch, const SpeechContours& contours,
                 SpeechScratch& scratch, std::span<float> values) {
  std::vector<std::uint8_t>& is_voiced = scratch.flags;
  find_voiced(pitch, contours, scratch, is_voiced);
  std::vector<double>&f0 = scratch.cleared(0), &seconds = scratch.cleared(1), &db = scratch.cleared(2);
  std::vector<double>& periodicity = scratch.cleared(3);
  for (std::size_t t = 0; t < is_voiced.size(); ++t) {
    if (!is_voiced[t]) continue;
    f0.push_back(pitch.log_f0[t]);
    seconds.push_back(static_cast<double>(t) / frames_per_s);
    db.push_back(contours.db[t]);
    periodicity.push_back(pitch.periodicity[t]);
  }
  const double mean_periodicity = mean_of(periodicity), std_periodicity = std_of(periodicity);
  ValueWriter out(values);
  put_pitch_level(f0, seconds, scratch.percentiles, out);
  put_steps(pitch.log_f0, is_voiced, scratch, out);
  out.put(mean_periodicity);
  out.put(std_periodicity);
  out.put(mean_of(pitch.periodicity));
  out.put(place(static_cast<Index>(f0.size()), contours.db));
  put_runs(is_voiced, scratch, out);
  put_parts(f0, 4, mean_of(f0), 0, out);
  out.put(mean_of(db));
  out.put(std_of(db));
  out.put(largest_of(db));
  out.put(f0.size() > 3 ? correlation_of(f0, db) : 0);
  put_loudness_of_all(contours, out);
  out.put(static_cast<double>(contours.db.size()) / frames_per_s);
  out.put(frames.full_s);
  out.put(frames.lead_s);
  out.put(frames.trail_s);
  out.put(mean_of(f0) - f0.front());
  out.put(f0.back() - mean_of(f0));
  out.put(place(place_of_largest(f0), f0));
  out.put(place(place_of_largest(db), db));
}

}  // namespace melgrad
