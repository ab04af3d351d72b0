#include "host/cpu/speech_prosody.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>

namespace melgrad {
namespace {

using Values = std::span<const double>;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

constexpr double frames_per_s = 100;

double mean(Values x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

double standard_deviation(Values x) {
  const double m = mean(x);
  double squares = 0;
  for (const double value : x) squares += (value - m) * (value - m);
  return std::sqrt(squares / static_cast<double>(x.size()));
}

// numpy.percentile of sorted values.
double percentile(Values sorted, double percent) {
  const double position = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::vector<double> sorted(Values x) {
  std::vector<double> y(x.begin(), x.end());
  std::ranges::sort(y);
  return y;
}

// Part i of n parts of x (numpy.array_split): the first ones are longer by one where n does not divide.
Values part(Values x, std::size_t i, std::size_t n) {
  const std::size_t length = x.size() / n, longer = x.size() % n;
  return x.subspan(i * length + std::min(i, longer), length + (i < longer ? 1 : 0));
}

double sum_of_products(Values x, Values y) {
  const double mean_x = mean(x), mean_y = mean(y);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - mean_x) * (y[i] - mean_y);
  return sum;
}

// Of y over x by least squares.
double slope(Values x, Values y) {
  return sum_of_products(x, y) / sum_of_products(x, x);
}

// 0 where either does not vary.
double correlation(Values x, Values y) {
  const double n = static_cast<double>(x.size());
  const double of_x = sum_of_products(x, x), of_y = sum_of_products(y, y);
  return of_x > 1e-12 * n && of_y > 1e-12 * n ? sum_of_products(x, y) / std::sqrt(of_x * of_y) : 0;
}

double share(Values x, const std::function<bool(double)>& is_counted) {
  return static_cast<double>(std::ranges::count_if(x, is_counted)) / static_cast<double>(x.size());
}

double place_of_largest(Values x) {
  return static_cast<double>(std::ranges::max_element(x) - x.begin()) / static_cast<double>(x.size());
}

// Median of 5 with zeros beyond both ends (scipy.signal.medfilt).
std::vector<double> median_of_5(Values x) {
  std::vector<double> medians(x.size());
  const auto n = static_cast<Index>(x.size());
  for (Index t = 0; t < n; ++t) {
    std::array<double, 5> near{};
    for (Index k = 0; k < 5; ++k)
      if (t + k >= 2 && t + k - 2 < n) near[at(k)] = x[at(t + k - 2)];
    std::nth_element(near.begin(), near.begin() + 2, near.end());
    medians[at(t)] = near[2];
  }
  return medians;
}

std::vector<char> voiced_frames(Values periodicity, Values db) {
  const double limit = std::ranges::max(db) - 30;
  std::vector<char> voiced(db.size());
  for (std::size_t t = 0; t < db.size(); ++t) voiced[t] = periodicity[t] > 0.5 && db[t] > limit;
  constexpr std::size_t least = 5;
  if (std::ranges::count(voiced, 1) >= static_cast<std::ptrdiff_t>(least)) return voiced;
  const std::vector<double> order = sorted(periodicity);
  const double enough = order[order.size() - std::min(least, order.size())];
  for (std::size_t t = 0; t < db.size(); ++t) voiced[t] = periodicity[t] >= enough;
  return voiced;
}

// Writes values one after another.
class Row {
 public:
  explicit Row(float* values) : next_(values) {}
  void put(double value) { *next_++ = static_cast<float>(value); }
  void put_percentiles(Values sorted, std::initializer_list<double> percents) {
    for (const double percent : percents) put(percentile(sorted, percent));
  }

 private:
  float* next_;
};

// Of the pitch in voiced frames at `seconds`.
void put_pitch(Values f0, Values seconds, Row& row) {
  row.put(mean(f0));
  row.put(standard_deviation(f0));
  const std::vector<double> order = sorted(f0);
  row.put_percentiles(order, {2, 10, 25, 50, 75, 90, 98});
  row.put(percentile(order, 98) - percentile(order, 2));
  row.put(percentile(order, 90) - percentile(order, 10));
  row.put(f0.size() > 3 ? slope(seconds, f0) : 0);
}

// Of steps from voiced frame to voiced frame that are no jumps.
void put_steps(Values log_f0, const std::vector<char>& voiced, Row& row) {
  constexpr double jump = 0.2;
  std::vector<double> steps;
  for (std::size_t t = 1; t < voiced.size(); ++t)
    if (const double step = log_f0[t] - log_f0[t - 1]; voiced[t] && voiced[t - 1] && std::abs(step) < jump)
      steps.push_back(step);
  if (steps.empty()) steps.push_back(0);
  double sum_of_sizes = 0;
  for (const double step : steps) sum_of_sizes += std::abs(step);
  row.put(mean(steps));
  row.put(standard_deviation(steps));
  row.put(sum_of_sizes / static_cast<double>(steps.size()));
  row.put_percentiles(sorted(steps), {5, 25, 75, 95});
}

// Of the lengths of runs of voiced frames.
void put_runs(const std::vector<char>& voiced, Row& row) {
  std::vector<double> lengths;
  for (std::size_t t = 0; t < voiced.size(); ++t) {
    if (!voiced[t]) continue;
    if (t == 0 || !voiced[t - 1]) lengths.push_back(0);
    lengths.back() += 1 / frames_per_s;
  }
  row.put(static_cast<double>(lengths.size()) / (static_cast<double>(voiced.size()) / frames_per_s));
  row.put(mean(lengths));
  row.put(standard_deviation(lengths));
  row.put(std::ranges::max(lengths));
}

// How the loudness of all frames repeats itself.
void put_rhythm(Values db, Row& row) {
  const double centre = mean(db);
  const auto autocorrelation = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t t = lag; t < db.size(); ++t) sum += (db[t] - centre) * (db[t - lag] - centre);
    return sum;
  };
  const double whole = autocorrelation(0) + 1e-9;
  for (const std::size_t lag : {5u, 10u, 15u, 20u, 30u, 40u})
    row.put(db.size() > 41 ? autocorrelation(lag) / whole : 0);
}

}  // namespace

void track_pitch(const SpeechPlan& plan, std::span<const float> samples, Index n_frames, PitchTrack& track) {
  constexpr Index hop = SpeechFrames::hop_length, first_lag = 26, end_lag = 246;
  const auto length = static_cast<Index>(plan.pitch_window.size());
  const Index before = (length - SpeechFrames::win_length) / 2;
  const auto n_samples = static_cast<Index>(samples.size());
  // Frames reach beyond those of the spectrum; the median reads two of them.
  const bool is_filtered = 1 + (n_samples + before) / hop > 5;
  const Index n = n_frames + (is_filtered ? 2 : 0);
  std::vector<double> frame(at(length)), log_f0(at(n)), periodicity(at(n));
  for (Index t = 0; t < n; ++t) {
    double sum = 0;
    for (Index i = 0; i < length; ++i) {
      const Index sample = t * hop - before + i;
      const bool is_inside = sample >= 0 && sample < n_samples;
      frame[at(i)] =
          is_inside ? static_cast<double>(samples[at(sample)]) * static_cast<double>(plan.pitch_window[at(i)])
                    : 0;
      sum += frame[at(i)];
    }
    for (double& value : frame) value -= sum / static_cast<double>(length);
    const auto autocorrelation = [&](Index lag) {
      double product = 0;
      for (Index i = lag; i < length; ++i) product += frame[at(i)] * frame[at(i - lag)];
      return product;
    };
    const double whole = autocorrelation(0) + 1e-12;
    double best = -1e30;
    for (Index lag = first_lag; lag < end_lag; ++lag) {
      const double r = autocorrelation(lag) / whole * static_cast<double>(plan.lag_gain[at(lag)]);
      const double octaves = std::log2(static_cast<double>(lag) / static_cast<double>(first_lag));
      if (r - 0.02 * octaves <= best) continue;
      best = r - 0.02 * octaves;
      periodicity[at(t)] = r;
      log_f0[at(t)] = std::log2(SpeechFrames::sample_rate / static_cast<double>(lag));
    }
  }
  track.log_f0 = is_filtered ? median_of_5(log_f0) : log_f0;
  track.log_f0.resize(at(n_frames));
  track.periodicity.assign(periodicity.begin(), periodicity.begin() + n_frames);
}

void put_prosody(const SpeechFrames& frames, const PitchTrack& track, float* values) {
  const Values periodicity = track.periodicity, log_f0 = track.log_f0;
  const std::vector<double> db(frames.rms_db.begin(), frames.rms_db.end());
  const std::vector<char> voiced = voiced_frames(periodicity, db);
  std::vector<double> f0, seconds, voiced_db, voiced_periodicity;
  for (std::size_t t = 0; t < voiced.size(); ++t) {
    if (!voiced[t]) continue;
    f0.push_back(log_f0[t]);
    seconds.push_back(static_cast<double>(t) / frames_per_s);
    voiced_db.push_back(db[t]);
    voiced_periodicity.push_back(periodicity[t]);
  }
  Row row(values);
  put_pitch(f0, seconds, row);
  put_steps(log_f0, voiced, row);
  row.put(mean(voiced_periodicity));
  row.put(standard_deviation(voiced_periodicity));
  row.put(mean(periodicity));
  row.put(static_cast<double>(f0.size()) / static_cast<double>(voiced.size()));
  put_runs(voiced, row);
  for (std::size_t quarter = 0; quarter < 4; ++quarter) {
    const Values of_quarter = part(f0, quarter, 4);
    row.put(mean(of_quarter.empty() ? Values(f0) : of_quarter));
  }
  row.put(mean(voiced_db));
  row.put(standard_deviation(voiced_db));
  row.put(std::ranges::max(voiced_db));
  row.put(f0.size() > 3 ? correlation(f0, voiced_db) : 0);
  const double peak = std::ranges::max(db);
  for (const double limit : {-10.0, -20.0, -30.0})
    row.put(share(db, [&](double x) { return x - peak > limit; }));
  for (std::size_t fifth = 0; fifth < 5; ++fifth) {
    const Values of_fifth = part(db, fifth, 5);
    row.put(of_fifth.empty() ? 0 : mean(of_fifth) - mean(db));
  }
  put_rhythm(db, row);
  row.put(static_cast<double>(db.size()) / frames_per_s);
  row.put(frames.full_s);
  row.put(frames.lead_s);
  row.put(frames.trail_s);
  row.put(mean(f0) - f0.front());
  row.put(f0.back() - mean(f0));
  row.put(place_of_largest(f0));
  row.put(place_of_largest(voiced_db));
}

}  // namespace melgrad
