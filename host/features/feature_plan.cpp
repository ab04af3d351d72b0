#include "host/features/feature_plan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <utility>

#include "host/core/error.hpp"

namespace melgrad {
namespace {

using std::numbers::pi;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// scipy.signal.windows.general_cosine(n, a, sym=False): sum over k of a[k] cos(k (2 pi i / n - pi)), and 1
// for n == 1.
std::vector<double> general_cosine(int n, std::span<const double> a) {
  std::vector<double> window(at(n), 1.0);
  if (n == 1) return window;
  for (int i = 0; i < n; ++i) {
    const double angle = i * (2 * pi / n) - pi;
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * std::cos(static_cast<double>(k) * angle);
    window[at(i)] = sum;
  }
  return window;
}

std::vector<double> periodic_window(Window window, int n) {
  switch (window) {
    case Window::hann:
      return general_cosine(n, std::array{0.5, 0.5});
    case Window::hamming:
      return general_cosine(n, std::array{0.54, 0.46});
    case Window::blackman:
      return general_cosine(n, std::array{0.42, 0.5, 0.08});
    case Window::ones:
      break;
  }
  return std::vector<double>(at(n), 1.0);
}

// librosa.util.pad_center of the window of win_length to n_fft.
std::vector<float> padded_window(const StftSpec& stft) {
  const int win_length = stft.win_length == 0 ? stft.n_fft : stft.win_length;
  const std::vector<double> window = periodic_window(stft.window, win_length);
  std::vector<float> padded(at(stft.n_fft));
  std::transform(window.begin(), window.end(), padded.begin() + (stft.n_fft - win_length) / 2,
                 [](double w) { return static_cast<float>(w); });
  return padded;
}

// librosa.hz_to_mel and mel_to_hz. Slaney's scale (Auditory Toolbox, 1998) is linear below 1 kHz, 15 mels
// there, and then logarithmic in 27 steps to a factor of 6.4; HTK's is 2595 log10(1 + f / 700).
constexpr double slaney_hz_per_mel = 200.0 / 3;
constexpr double slaney_log_hz = 1000;
constexpr double slaney_log_mel = slaney_log_hz / slaney_hz_per_mel;

double slaney_log_step() {
  return std::log(6.4) / 27;
}

double hz_to_mel(double hz, bool htk) {
  if (htk) return 2595 * std::log10(1 + hz / 700);
  if (hz < slaney_log_hz) return hz / slaney_hz_per_mel;
  return slaney_log_mel + std::log(hz / slaney_log_hz) / slaney_log_step();
}

double mel_to_hz(double mel, bool htk) {
  if (htk) return 700 * (std::pow(10.0, mel / 2595) - 1);
  if (mel < slaney_log_mel) return mel * slaney_hz_per_mel;
  return slaney_log_hz * std::exp(slaney_log_step() * (mel - slaney_log_mel));
}

// librosa.mel_frequencies(n, fmin, fmax)
std::vector<double> mel_frequencies(int n, double fmin, double fmax, bool htk) {
  const double low = hz_to_mel(fmin, htk), high = hz_to_mel(fmax, htk);
  std::vector<double> hz(at(n));
  for (int i = 0; i < n; ++i)
    hz[at(i)] = mel_to_hz(i == n - 1 ? high : low + i * ((high - low) / (n - 1)), htk);
  return hz;
}

// Slopes of each bin in its interval between two points, and where the intervals begin.
void fill_slopes(const FeaturePlan& plan, MelBank& bank) {
  bank.interval_begin.assign(at(bank.n_mels + 2), plan.n_bins);
  bank.rising.assign(at(plan.n_bins), 0);
  bank.falling.assign(at(plan.n_bins), 0);
  int bin = 0;
  while (bin < plan.n_bins && plan.hz_of_bin(bin) < bank.points.front()) ++bin;
  for (int i = 0; i <= bank.n_mels; ++i) {
    bank.interval_begin[at(i)] = bin;
    const double low = bank.points[at(i)], high = bank.points[at(i + 1)];
    for (; bin < plan.n_bins && plan.hz_of_bin(bin) < high; ++bin) {
      const double hz = plan.hz_of_bin(bin);
      bank.rising[at(bin)] = static_cast<float>((hz - low) / (high - low));
      bank.falling[at(bin)] = static_cast<float>((high - hz) / (high - low));
    }
  }
  bank.interval_begin[at(bank.n_mels + 1)] = bin;
}

// The weights of each band: the rising slope of interval m and the falling one of interval m + 1.
void fill_weights(const FeaturePlan& plan, MelBank& bank) {
  bank.offset = {0};
  for (int m = 0; m < bank.n_mels; ++m) {
    const double low = bank.points[at(m)], centre = bank.points[at(m + 1)], high = bank.points[at(m + 2)];
    const double norm = 2 / (high - low);
    bank.norm.push_back(static_cast<float>(norm));
    int first = bank.interval_begin[at(m)];
    for (int bin = first; bin < bank.interval_begin[at(m + 2)]; ++bin) {
      const double hz = plan.hz_of_bin(bin);
      const double weight = norm * std::min((hz - low) / (centre - low), (high - hz) / (high - centre));
      if (weight > 0)
        bank.weights.push_back(static_cast<float>(weight));
      else
        first = bin + 1;  // the only bin without weight is one that lies exactly on the lowest point
    }
    bank.first_bin.push_back(first);
    bank.offset.push_back(static_cast<int>(bank.weights.size()));
  }
}

MelBank mel_bank(const FeaturePlan& plan, int n_mels, double fmin, double fmax, bool htk) {
  const double nyquist = plan.sample_rate / 2.0;
  if (fmin >= nyquist) fail_usage("fmin: {} Hz is not below half the sample rate, {} Hz", fmin, nyquist);
  MelBank bank;
  bank.n_mels = n_mels;
  bank.points = mel_frequencies(n_mels + 2, fmin, fmax > 0 ? fmax : nyquist, htk);
  fill_slopes(plan, bank);
  fill_weights(plan, bank);
  return bank;
}

// dct[c, m] = s cos(pi c (2 m + 1) / (2 n_mels)), s = sqrt(1 / n_mels) for c == 0 and sqrt(2 / n_mels) else.
Matrix<float> dct_matrix(int n_mfcc, int n_mels) {
  Matrix<float> dct(n_mfcc, n_mels);
  for (Index c = 0; c < n_mfcc; ++c) {
    const double scale = std::sqrt((c == 0 ? 1.0 : 2.0) / n_mels);
    for (Index m = 0; m < n_mels; ++m) {
      // The argument is reduced to a turn in integers, so large c costs no precision.
      const auto turn = static_cast<double>(c * (2 * m + 1) % (4 * Index{n_mels}));
      dct(c, m) = static_cast<float>(scale * std::cos(2 * pi * turn / (4.0 * n_mels)));
    }
  }
  return dct;
}

TuningPlan tuning_plan(const FeaturePlan& plan) {
  TuningPlan tuning;
  const int last_bin = plan.n_bins - 1;
  tuning.hz_per_bin = plan.sample_rate / (2.0 * last_bin);
  // numpy.fft.rfftfreq's rounding decides whether a bin that lies on a limit is in: 4000 Hz is bin 128 of 512
  // at 16 kHz.
  const double step_hz = 1.0 / (2.0 * last_bin * (1.0 / plan.sample_rate));
  const double fmax = std::min(4000.0, plan.sample_rate / 2.0);
  while (tuning.first_bin < last_bin && tuning.first_bin * step_hz < 150) ++tuning.first_bin;
  tuning.end_bin = tuning.first_bin;
  while (tuning.end_bin < last_bin && tuning.end_bin * step_hz < fmax) ++tuning.end_bin;
  return tuning;
}

SpeechPlan speech_plan(const FeaturePlan& plan, const Speech& spec) {
  SpeechPlan speech;
  speech.groups = spec.groups;
  Index n_features = 0;
  for (const SpeechGroup group : spec.groups) {
    speech.first_feature.push_back(n_features);
    n_features += n_values(group);
  }
  const StftSpec& stft = plan.spec.stft;
  const std::vector<double> window = periodic_window(stft.window, stft.win_length);
  speech.window.assign(window.begin(), window.end());
  speech.window.resize(at(stft.n_fft));
  speech.mel = mel_bank(plan, 64, 50, 8000, false);
  speech.dct = dct_matrix(40, 64);
  return speech;
}

struct MakeDescriptorPlan {
  const FeaturePlan& plan;

  decltype(DescriptorPlan::plan) operator()(const ChromaStft& spec) const { return ChromaPlan{spec}; }
  decltype(DescriptorPlan::plan) operator()(const MelSpectrogram& spec) const {
    return MelPlan{spec, mel_bank(plan, spec.n_mels, spec.fmin, spec.fmax, spec.htk)};
  }
  decltype(DescriptorPlan::plan) operator()(const Mfcc& spec) const {
    return MfccPlan{spec, mel_bank(plan, spec.n_mels, spec.fmin, spec.fmax, spec.htk),
                    dct_matrix(spec.n_mfcc, spec.n_mels), 10 * std::log10(std::max(spec.amin, spec.ref))};
  }
  decltype(DescriptorPlan::plan) operator()(const Rms&) const { return RmsPlan{}; }
  // A plan of its own: check_feature_spec leaves it no companions.
  decltype(DescriptorPlan::plan) operator()(const Speech&) const { return {}; }
};

}  // namespace

Index FeaturePlan::n_frames(Index n_samples) const {
  if (speech) {
    const Index after_first = n_samples - spec.stft.win_length;
    return n_samples == 0 ? 0 : 1 + std::max<Index>(0, after_first) / spec.stft.hop_length;
  }
  const Index n_fft = spec.stft.n_fft;
  const Index padded = n_samples + (spec.stft.center ? 2 * (n_fft / 2) : 0);
  return padded < n_fft ? 0 : 1 + (padded - n_fft) / spec.stft.hop_length;
}

FeaturePlan make_feature_plan(const FeatureSpec& spec, int sample_rate) {
  check_feature_spec(spec);
  if (sample_rate < least_sample_rate || sample_rate > greatest_sample_rate)
    fail_usage("sample rate: {} Hz is not in [{}, {}] Hz", sample_rate, least_sample_rate,
               greatest_sample_rate);
  FeaturePlan plan;
  plan.spec = spec;
  plan.sample_rate = sample_rate;
  plan.n_bins = 1 + spec.stft.n_fft / 2;
  plan.window = padded_window(spec.stft);
  plan.tuning = tuning_plan(plan);
  if (const auto* speech = std::get_if<Speech>(&spec.descriptors[0].descriptor)) {
    if (sample_rate != spec.sample_rate)
      fail_usage("sample rate: {} Hz; speech is of {} Hz", sample_rate, spec.sample_rate);
    plan.speech = speech_plan(plan, *speech);
    plan.n_features = n_features(spec);
    return plan;
  }
  const std::vector<std::string> names = descriptor_names(spec);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const DescriptorSpec& descriptor = spec.descriptors[i];
    DescriptorPlan made;
    made.name = names[i];
    made.n_values = n_values(descriptor);
    made.first_feature = plan.n_features;
    made.functionals = descriptor.functionals;
    made.plan =
        with_context(names[i], [&] { return std::visit(MakeDescriptorPlan{plan}, descriptor.descriptor); });
    plan.n_features += made.n_values * static_cast<Index>(made.functionals.size());
    plan.descriptors.push_back(std::move(made));
  }
  return plan;
}

// With q_k = n_chroma log2(f_k / (440 * 2^(tuning / n_chroma) / 16)), q_0 = q_1 - 1.5 n_chroma, and the bin
// width b_k = max(1, q_{k+1} - q_k), the weight of chroma c is a Gaussian exp(-(2 d / b_k)^2 / 2) of the
// distance d of q_k and c around the octave, normalised over c in L2, and scaled by a Gaussian over octaves
// with centre 5 and width 2. Rows are then turned so that 0 is a C, three semitones below the A of 27.5 Hz.
// Bin k is q = n_chroma log2(f_k / reference_hz) chroma up, and has for chroma c the weight exp(-2 (d /
// width)^2) of their distance d = q - c around the octave, in [-half, n_chroma - half): d = d_0 + j for
// integers j, with d_0 in [0, 1). From j to j + 1 the weight changes by a factor, and that by another, so two
// exponentials are enough.
Matrix<float> chroma_bank(const FeaturePlan& plan, int n_chroma, double tuning) {
  const double reference_hz = 440 * std::exp2(tuning / n_chroma) / 16;
  std::vector<double> q(at(plan.n_bins + 1));
  for (int bin = 1; bin <= plan.n_bins; ++bin)
    q[at(bin)] = n_chroma * std::log2(plan.hz_of_bin(bin) / reference_hz);
  q[0] = q[1] - 1.5 * n_chroma;

  const int half = static_cast<int>(std::nearbyint(n_chroma / 2.0));  // numpy.round: half to even
  const int turn = 3 * (n_chroma / 12);
  Matrix<float> bank(n_chroma, plan.n_bins);
  std::vector<double> weights(at(n_chroma));  // of d = d_0 + j at j + half
  double a = 0, both_steps = 0;
  for (int bin = 0; bin < plan.n_bins; ++bin) {
    const double width = std::max(q[at(bin + 1)] - q[at(bin)], 1.0);
    if (a != 2 / (width * width)) {
      a = 2 / (width * width);
      both_steps = std::exp(-2 * a);
    }
    const double floor_q = std::floor(q[at(bin)]), d_0 = q[at(bin)] - floor_q;
    const double weight_0 = std::exp(-a * d_0 * d_0), step_up = std::exp(-a * (2 * d_0 + 1));
    double sum_of_squares = 0;
    const auto put = [&](int j, double weight) {
      weights[at(j + half)] = weight;
      sum_of_squares += weight * weight;
    };
    double weight = weight_0, step = step_up;
    for (int j = 0; j < n_chroma - half; ++j, weight *= step, step *= both_steps) put(j, weight);
    step = both_steps / step_up;
    weight = weight_0 * step;
    for (int j = -1; j >= -half; --j, step *= both_steps, weight *= step) put(j, weight);

    const double octave = (q[at(bin)] / n_chroma - 5) / 2;
    const double scale = std::exp(-0.5 * octave * octave) / std::sqrt(sum_of_squares);
    // d_0 + j is the distance of chroma floor(q) - j.
    const double turns = std::floor(floor_q / n_chroma);
    int c = (static_cast<int>(floor_q - turns * n_chroma) + half + n_chroma - turn) % n_chroma;
    for (int i = 0; i < n_chroma; ++i, c = c == 0 ? n_chroma - 1 : c - 1)
      bank(c, bin) = static_cast<float>(weights[at(i)] * scale);
  }
  return bank;
}

}  // namespace melgrad
