#include "host/cpu/speech_formants.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

constexpr double sample_rate = 10000;
constexpr int order = 10;
constexpr Index win_length = 256, hop_length = 100;
constexpr double pre_emphasis = 0.94;
// A root is a formant with 150 to 4800 Hz and a bandwidth below 700 Hz.
constexpr double lowest_hz = 150, highest_hz = 4800, widest_hz = 700;

// Resampling by 5 / 8 is out[5 m + p] = sum of taps[p][i] x[8 m - 16 + ceil(8 p / 5) + i]: every fifth of the
// filter's 161 taps at 80 kHz.
constexpr int n_phases = 5, step = 8, half_length = 80;
constexpr Index n_taps = 48;  // 33, padded to whole vectors
constexpr Index input_padding = 16;

constexpr Index first_input(Index phase) {
  return (step * phase + n_phases - 1) / n_phases;
}

// scipy.signal.resample_poly's default: a sinc under a Kaiser window of beta 5, of unit gain at 0 Hz.
std::vector<float> make_resampling_taps() {
  std::vector<double> filter;
  double sum = 0;
  for (int i = -half_length; i <= half_length; ++i) {
    const double x = std::numbers::pi * i / step, place = static_cast<double>(i) / half_length;
    filter.push_back((i == 0 ? 1 : std::sin(x) / x) *
                     std::cyl_bessel_i(0.0, 5 * std::sqrt(1 - place * place)));
    sum += filter.back();
  }
  std::vector<float> taps(at(n_phases * n_taps));
  for (Index phase = 0; phase < n_phases; ++phase) {
    const Index latest = 2 * half_length + step * phase - n_phases * first_input(phase);
    for (Index i = 0; n_phases * i <= latest; ++i)
      taps[at(phase * n_taps + i)] = static_cast<float>(n_phases * filter[at(latest - n_phases * i)] / sum);
  }
  return taps;
}

// Once for all threads: what the Bessel function calls, lgamma, writes a variable of the process.
const std::vector<float>& resampling_taps() {
  static const std::vector<float> taps = make_resampling_taps();
  return taps;
}

// Levinson and Durbin: the predictor's polynomial from the autocorrelation r [order + 1], both of one lane of
// `stride`. White noise 40 dB below the signal lets silence be predicted too.
void solve(const double* r, std::size_t stride, double* polynomial) {
  std::array<double, order + 1> c{1};
  double error = r[0] * 1.0001 + 1e-12;
  for (std::size_t i = 1; i <= order; ++i) {
    double sum = r[i * stride];
    for (std::size_t j = 1; j < i; ++j) sum += c[j] * r[(i - j) * stride];
    const double reflection = -sum / error;
    for (std::size_t j = 1; j <= i / 2; ++j) {
      const double low = c[j], high = c[i - j];
      c[j] = low + reflection * high;
      c[i - j] = high + reflection * low;
    }
    c[i] = reflection;
    error *= 1 - reflection * reflection;
  }
  for (std::size_t i = 0; i <= order; ++i) polynomial[i * stride] = c[i];
}

// Keeps the three lowest of the n + 1 formants seen so far, in order.
void insert(double hz, double bandwidth_hz, std::size_t n, Formants& lowest) {
  std::size_t place = std::min<std::size_t>(n, 3);
  for (; place > 0 && lowest.hz[place - 1] > hz; --place) {
    if (place == 3) continue;
    lowest.hz[place] = lowest.hz[place - 1];
    lowest.bandwidth_hz[place] = lowest.bandwidth_hz[place - 1];
  }
  if (place == 3) return;
  lowest.hz[place] = hz;
  lowest.bandwidth_hz[place] = bandwidth_hz;
}

// The three lowest formants among the roots, if there are three.
bool find_first_three(const double* re, const double* im, Index stride, Formants& out) {
  std::size_t n = 0;
  for (Index i = 0; i < order; ++i) {
    const double hz = std::atan2(im[i * stride], re[i * stride]) * sample_rate / (2 * std::numbers::pi);
    if (hz <= lowest_hz || hz >= highest_hz) continue;
    const double radius = std::hypot(re[i * stride], im[i * stride]);
    const double bandwidth_hz = -std::log(radius + 1e-9) * sample_rate / std::numbers::pi;
    if (bandwidth_hz < widest_hz) insert(hz, bandwidth_hz, n++, out);
  }
  return n >= 3;
}

}  // namespace

FormantAnalyser::FormantAnalyser(const SpeechKernels& kernels)
    : kernels_(kernels),
      tile_(at((win_length + order) * kernels.root_lanes)),
      sums_(at((order + 1) * kernels.root_lanes)),
      polynomials_(sums_.size()),
      re_(sums_.size()),
      im_(sums_.size()) {
  for (Index i = 0; i < win_length; ++i)
    window_.push_back(0.54 - 0.46 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                             static_cast<double>(win_length - 1)));
}

void FormantAnalyser::resample(std::span<const float> samples) {
  const auto n_samples = static_cast<Index>(samples.size());
  padded_.assign(samples.size() + at(input_padding + n_taps), 0.0f);
  std::copy(samples.begin(), samples.end(), padded_.begin() + input_padding);
  const Index n = (n_samples * n_phases + step - 1) / step;
  samples_.assign(at(n + win_length + hop_length), 0.0f);
  kernels_.resample_by_5_8(padded_.data(), n, resampling_taps().data(), samples_.data());
  for (Index i = n - 1; i > 0; --i) samples_[at(i)] -= static_cast<float>(pre_emphasis) * samples_[at(i - 1)];
}

void FormantAnalyser::fill_tile(std::span<const Index> voiced) {
  const auto lanes = at(kernels_.root_lanes);
  std::fill_n(tile_.data(), (at(win_length) + order) * lanes, 0.0);
  for (std::size_t lane = 0; lane < voiced.size(); ++lane) {
    const float* const from = samples_.data() + voiced[lane] * hop_length;
    for (std::size_t i = 0; i < win_length; ++i)
      tile_[i * lanes + lane] = static_cast<double>(from[i]) * window_[i];
  }
}

void FormantAnalyser::find_formants(const SpeechFrames& frames, std::span<const Index> voiced) {
  resample(frames.samples);
  formants_.clear();
  frames_.clear();
  const auto lanes = at(kernels_.root_lanes);
  for (std::size_t first = 0; first < voiced.size(); first += lanes) {
    const auto together = voiced.subspan(first, std::min(lanes, voiced.size() - first));
    fill_tile(together);
    kernels_.autocorrelate(tile_.data(), win_length, sums_.data());
    for (std::size_t lane = 0; lane < lanes; ++lane)
      solve(sums_.data() + lane, lanes, polynomials_.data() + lane);
    kernels_.roots(order, polynomials_.data(), re_.data(), im_.data());
    for (std::size_t lane = 0; lane < together.size(); ++lane) {
      Formants found{};
      if (!find_first_three(re_.data() + lane, im_.data() + lane, kernels_.root_lanes, found)) continue;
      formants_.push_back(found);
      frames_.push_back(together[lane]);
    }
  }
  if (formants_.size() >= 3) return;
  formants_.assign(1, {{500, 1500, 2500}, {100, 150, 200}});
  frames_.assign(1, voiced.front());
}

void FormantAnalyser::put_formants(const SpeechFrames& frames, const SpeechContours& contours,
                                   SpeechScratch& scratch, std::span<float> out) {
  find_formants(frames, contours.pitch.voiced);
  ValueWriter values(out);
  std::array<double, 6> weighted{};
  double weights = 0;
  for (const Index frame : frames_) weights += std::pow(10, contours.db[at(frame)] / 20);
  for (std::size_t k = 0; k < 6; ++k) {
    std::vector<double>& track = scratch.cleared(0);
    for (std::size_t i = 0; i < formants_.size(); ++i) {
      const Formants& f = formants_[i];
      track.push_back(std::log(k < 3 ? f.hz[k] : std::clamp(f.bandwidth_hz[k - 3], 30.0, widest_hz)));
      weighted[k] += std::pow(10, contours.db[at(frames_[i])] / 20) / weights * track.back();
    }
    values.put_summary(track, scratch.percentiles);
  }
  for (const double value : weighted) values.put(value);
  for (std::size_t k = 0; k < 2; ++k) {
    std::vector<double>& ratios = scratch.cleared(0);
    for (const Formants& f : formants_) ratios.push_back(std::log(f.hz[k + 1]) - std::log(f.hz[k]));
    values.put(scratch.percentiles.of(ratios)(50));
  }
}

}  // namespace melgrad
