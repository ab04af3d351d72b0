#include "support/reference_features.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

namespace melgrad::testing {
namespace {

using std::numbers::pi;
using Complex = std::complex<double>;

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// ---- Fourier transform

// exp(-2 pi i k / n)
Complex root(Index k, Index n) {
  return std::polar(1.0, -2 * pi * static_cast<double>(k % n) / static_cast<double>(n));
}

// Radix 2, recursive; x.size() is a power of two.
std::vector<Complex> fft_power_of_two(const std::vector<Complex>& x) {
  const std::size_t n = x.size();
  if (n == 1) return x;
  std::vector<Complex> even(n / 2), odd(n / 2), out(n);
  for (std::size_t i = 0; i < n / 2; ++i) {
    even[i] = x[2 * i];
    odd[i] = x[2 * i + 1];
  }
  even = fft_power_of_two(even);
  odd = fft_power_of_two(odd);
  for (std::size_t k = 0; k < n / 2; ++k) {
    const Complex turned = root(static_cast<Index>(k), static_cast<Index>(n)) * odd[k];
    out[k] = even[k] + turned;
    out[k + n / 2] = even[k] - turned;
  }
  return out;
}

// Bluestein: k m = (k^2 + m^2 - (k - m)^2) / 2 makes any length a convolution of a power of two.
std::vector<Complex> fft(const std::vector<Complex>& x) {
  const auto n = static_cast<Index>(x.size());
  if ((n & (n - 1)) == 0) return fft_power_of_two(x);
  Index size = 1;
  while (size < 2 * n) size *= 2;
  std::vector<Complex> a(at(size)), b(at(size)), out(at(n));
  for (Index k = 0; k < n; ++k) {
    const Complex chirp = root(k * k, 2 * n);
    a[at(k)] = x[at(k)] * chirp;
    b[at(k)] = std::conj(chirp);
    if (k > 0) b[at(size - k)] = std::conj(chirp);
  }
  a = fft_power_of_two(a);
  b = fft_power_of_two(b);
  for (Index k = 0; k < size; ++k) a[at(k)] = std::conj(a[at(k)] * b[at(k)]);  // the inverse, by conjugation
  a = fft_power_of_two(a);
  for (Index k = 0; k < n; ++k)
    out[at(k)] = std::conj(a[at(k)]) / static_cast<double>(size) * root(k * k, 2 * n);
  return out;
}

// ---- librosa.stft

// scipy.signal.get_window(window, n, fftbins=True)
double window_value(Window window, Index i, Index n) {
  if (n == 1) return 1;
  const double x = 2 * pi * static_cast<double>(i) / static_cast<double>(n);
  switch (window) {
    case Window::hann:
      return 0.5 - 0.5 * std::cos(x);
    case Window::hamming:
      return 0.54 - 0.46 * std::cos(x);
    case Window::blackman:
      return 0.42 - 0.5 * std::cos(x) + 0.08 * std::cos(2 * x);
    case Window::ones:
      return 1;
  }
  return 1;
}

// numpy.pad by n_pad on both sides
std::vector<double> pad(std::span<const double> samples, Index n_pad, PadMode mode) {
  const auto n = static_cast<Index>(samples.size());
  std::vector<double> padded;
  for (Index i = -n_pad; i < n + n_pad; ++i) {
    Index j = i;
    while (mode == PadMode::reflect && n > 1 && (j < 0 || j >= n)) j = j < 0 ? -j : 2 * (n - 1) - j;
    const bool outside = j < 0 || j >= n;
    padded.push_back(outside && mode == PadMode::constant ? 0 : samples[at(std::clamp<Index>(j, 0, n - 1))]);
  }
  return padded;
}

// |STFT|, [n_bins, n_frames]
Matrix<double> magnitude(const StftSpec& stft, std::span<const double> samples) {
  const Index n_fft = stft.n_fft, win_length = stft.win_length == 0 ? stft.n_fft : stft.win_length;
  const std::vector<double> padded = pad(samples, stft.center ? n_fft / 2 : 0, stft.pad_mode);
  std::vector<double> window(at(n_fft));
  for (Index i = 0; i < win_length; ++i)
    window[at((n_fft - win_length) / 2 + i)] = window_value(stft.window, i, win_length);

  Index n_frames = 0;
  while (n_frames * stft.hop_length + n_fft <= static_cast<Index>(padded.size())) ++n_frames;
  Matrix<double> out(1 + n_fft / 2, n_frames);
  for (Index frame = 0; frame < n_frames; ++frame) {
    std::vector<Complex> x(at(n_fft));
    for (Index i = 0; i < n_fft; ++i) x[at(i)] = window[at(i)] * padded[at(frame * stft.hop_length + i)];
    x = fft(x);
    for (Index bin = 0; bin < out.rows; ++bin) out(bin, frame) = std::abs(x[at(bin)]);
  }
  return out;
}

// a [m, n] @ b [n, k]
Matrix<double> product(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> out(a.rows, b.cols);
  for (Index i = 0; i < a.rows; ++i)
    for (Index j = 0; j < a.cols; ++j) {
      if (a(i, j) == 0) continue;
      for (Index k = 0; k < b.cols; ++k) out(i, k) += a(i, j) * b(j, k);
    }
  return out;
}

// ---- librosa.estimate_tuning

struct Peak {
  double pitch = 0;
  double magnitude = 0;
};

// librosa.piptrack(S=S, fmin=150, fmax=4000, threshold=0.1)
std::vector<Peak> piptrack(const Matrix<double>& S, int sample_rate) {
  const auto n_fft = static_cast<double>(2 * (S.rows - 1));
  const double fmax = std::min(4000.0, sample_rate / 2.0);
  std::vector<Peak> peaks;
  for (Index frame = 0; frame < S.cols; ++frame) {
    double greatest = 0;
    for (Index k = 0; k < S.rows; ++k) greatest = std::max(greatest, S(k, frame));
    for (Index k = 1; k + 1 < S.rows; ++k) {
      const double hz = static_cast<double>(k) * (1 / (n_fft * (1.0 / sample_rate)));
      const double before = S(k - 1, frame), here = S(k, frame), after = S(k + 1, frame);
      if (hz < 150 || hz >= fmax) continue;
      if (!(here > 0.1 * greatest && here > before && here >= after)) continue;
      const double a = after + before - 2 * here, b = (after - before) / 2;
      const double shift = std::abs(b) >= std::abs(a) ? 0 : -b / a;
      peaks.push_back({(static_cast<double>(k) + shift) * sample_rate / n_fft, here + 0.5 * b * shift});
    }
  }
  return peaks;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// librosa.pitch_tuning(resolution=0.01) of the louder half of the peaks
double estimate_tuning(const Matrix<double>& S, int sample_rate, int bins_per_octave) {
  std::vector<Peak> peaks = piptrack(S, sample_rate);
  std::erase_if(peaks, [](const Peak& peak) { return peak.pitch <= 0; });
  if (peaks.empty()) return 0;
  std::vector<double> magnitudes;
  for (const Peak& peak : peaks) magnitudes.push_back(peak.magnitude);
  const double threshold = median(magnitudes);

  std::vector<double> edges(101);
  for (int i = 0; i < 100; ++i) edges[at(i)] = i * 0.01 - 0.5;
  edges[100] = 0.5;
  std::vector<int> counts(100);
  for (const Peak& peak : peaks) {
    if (peak.magnitude < threshold) continue;
    const double octaves = std::log2(peak.pitch / (440.0 / 16));
    double residual = bins_per_octave * octaves - std::floor(bins_per_octave * octaves);
    if (residual >= 0.5) residual -= 1;
    const auto above = std::upper_bound(edges.begin(), edges.end(), residual) - edges.begin();
    ++counts[at(std::clamp<Index>(above - 1, 0, 99))];
  }
  return edges[at(std::max_element(counts.begin(), counts.end()) - counts.begin())];
}

// ---- descriptors

// librosa.feature.chroma_stft(S=S)
Matrix<double> chroma_stft(const ChromaStft& spec, int sample_rate, int n_fft, const Matrix<double>& S,
                           double tuning) {
  Matrix<double> chroma = product(reference_chroma_bank(sample_rate, n_fft, spec.n_chroma, tuning), S);
  for (Index frame = 0; frame < chroma.cols; ++frame) {
    double greatest = 0;
    for (Index c = 0; c < chroma.rows; ++c) greatest = std::max(greatest, chroma(c, frame));
    if (greatest < std::numeric_limits<float>::min()) continue;  // librosa.util.tiny of float32
    for (Index c = 0; c < chroma.rows; ++c) chroma(c, frame) /= greatest;
  }
  return chroma;
}

Matrix<double> mel_spectrogram(const Matrix<double>& bank, const Matrix<double>& S, double power) {
  Matrix<double> powers = S;
  for (double& value : powers.values) value = std::pow(value, power);
  return product(bank, powers);
}

// librosa.feature.mfcc: scipy.fft.dct(power_to_db(mel), type=2, norm='ortho')
Matrix<double> mfcc(const Mfcc& spec, const Matrix<double>& mel) {
  Matrix<double> db = mel;
  double greatest = -std::numeric_limits<double>::infinity();
  for (double& value : db.values) {
    value = 10 * std::log10(std::max(spec.amin, value)) - 10 * std::log10(std::max(spec.amin, spec.ref));
    greatest = std::max(greatest, value);
  }
  for (double& value : db.values) value = std::max(value, greatest - spec.top_db);
  Matrix<double> dct(spec.n_mfcc, spec.n_mels);
  for (Index c = 0; c < dct.rows; ++c)
    for (Index m = 0; m < dct.cols; ++m)
      dct(c, m) = std::cos(pi * static_cast<double>(c * (2 * m + 1)) / (2.0 * spec.n_mels)) *
                  std::sqrt((c == 0 ? 1.0 : 2.0) / spec.n_mels);
  return product(dct, db);
}

// librosa.feature.rms(y=samples, frame_length=n_fft, hop_length, center, pad_mode), [1, n_frames]
Matrix<double> rms(const StftSpec& stft, std::span<const double> samples) {
  const std::vector<double> padded = pad(samples, stft.center ? stft.n_fft / 2 : 0, stft.pad_mode);
  Matrix<double> out(1, 1 + (static_cast<Index>(padded.size()) - stft.n_fft) / stft.hop_length);
  for (Index frame = 0; frame < out.cols; ++frame) {
    double sum = 0;
    for (Index i = 0; i < stft.n_fft; ++i) sum += std::pow(padded[at(frame * stft.hop_length + i)], 2);
    out(0, frame) = std::sqrt(sum / stft.n_fft);
  }
  return out;
}

double pooled(Functional functional, std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, variance = 0;
  for (const double value : values) mean += value / n;
  if (functional == Functional::mean) return mean;
  for (const double value : values) variance += (value - mean) * (value - mean) / n;
  return std::sqrt(variance);
}

}  // namespace

Matrix<double> reference_mel_bank(int sample_rate, int n_fft, int n_mels, double fmin, double fmax,
                                  bool htk) {
  const auto to_mel = [htk](double hz) {
    if (htk) return 2595 * std::log10(1 + hz / 700);
    return hz < 1000 ? 3 * hz / 200 : 15 + 27 * std::log(hz / 1000) / std::log(6.4);
  };
  const auto to_hz = [htk](double mel) {
    if (htk) return 700 * (std::pow(10, mel / 2595) - 1);
    return mel < 15 ? 200 * mel / 3 : 1000 * std::pow(6.4, (mel - 15) / 27);
  };
  const double low = to_mel(fmin), high = to_mel(fmax == 0 ? sample_rate / 2.0 : fmax);
  const auto point = [&](Index i) {
    return to_hz(low + (high - low) * static_cast<double>(i) / (n_mels + 1));
  };
  Matrix<double> bank(n_mels, 1 + n_fft / 2);
  for (Index m = 0; m < n_mels; ++m)
    for (Index k = 0; k < bank.cols; ++k) {
      const double hz = static_cast<double>(k) * sample_rate / n_fft;
      const double rising = (hz - point(m)) / (point(m + 1) - point(m));
      const double falling = (point(m + 2) - hz) / (point(m + 2) - point(m + 1));
      bank(m, k) = std::max(0.0, std::min(rising, falling)) * 2 / (point(m + 2) - point(m));
    }
  return bank;
}

Matrix<double> reference_chroma_bank(int sample_rate, int n_fft, int n_chroma, double tuning) {
  const double a440 = 440 * std::pow(2, tuning / n_chroma);
  std::vector<double> frqbins(at(n_fft));
  for (int k = 1; k < n_fft; ++k)
    frqbins[at(k)] = n_chroma * std::log2(static_cast<double>(k) * sample_rate / n_fft / (a440 / 16));
  frqbins[0] = frqbins[1] - 1.5 * n_chroma;
  const double n_chroma2 = std::rint(n_chroma / 2.0);
  Matrix<double> bank(n_chroma, 1 + n_fft / 2);
  for (Index k = 0; k < bank.cols; ++k) {
    const double width = std::max(frqbins[at(k + 1)] - frqbins[at(k)], 1.0);
    std::vector<double> weights(at(n_chroma));
    double length = 0;
    for (int c = 0; c < n_chroma; ++c) {
      double d = std::fmod(frqbins[at(k)] - c + n_chroma2 + 10.0 * n_chroma, n_chroma);
      if (d < 0) d += n_chroma;
      weights[at(c)] = std::exp(-0.5 * std::pow(2 * (d - n_chroma2) / width, 2));
      length = std::hypot(length, weights[at(c)]);
    }
    const double octave_weight = std::exp(-0.5 * std::pow((frqbins[at(k)] / n_chroma - 5) / 2, 2));
    const int roll = 3 * (n_chroma / 12);
    for (int c = 0; c < n_chroma; ++c)
      bank(c, k) = weights[at((c + roll) % n_chroma)] / length * octave_weight;
  }
  return bank;
}

ReferenceFeatures reference_features(const FeatureSpec& spec, int sample_rate,
                                     std::span<const double> samples) {
  const int n_fft = spec.stft.n_fft;
  const Matrix<double> S = magnitude(spec.stft, samples);
  ReferenceFeatures out;
  for (const DescriptorSpec& descriptor : spec.descriptors) {
    double tuning = 0;
    if (const auto* chroma = std::get_if<ChromaStft>(&descriptor.descriptor)) {
      tuning = chroma->tuning ? *chroma->tuning : estimate_tuning(S, sample_rate, chroma->n_chroma);
      out.tracks.push_back(chroma_stft(*chroma, sample_rate, n_fft, S, tuning));
    } else if (const auto* mel = std::get_if<MelSpectrogram>(&descriptor.descriptor)) {
      const auto bank = reference_mel_bank(sample_rate, n_fft, mel->n_mels, mel->fmin, mel->fmax, mel->htk);
      out.tracks.push_back(mel_spectrogram(bank, S, mel->power));
    } else if (std::holds_alternative<Rms>(descriptor.descriptor)) {
      out.tracks.push_back(rms(spec.stft, samples));
    } else {
      const auto& m = std::get<Mfcc>(descriptor.descriptor);
      const auto bank = reference_mel_bank(sample_rate, n_fft, m.n_mels, m.fmin, m.fmax, m.htk);
      out.tracks.push_back(mfcc(m, mel_spectrogram(bank, S, 2)));
    }
    out.tunings.push_back(tuning);
    for (const Functional functional : descriptor.functionals)
      for (Index value = 0; value < out.tracks.back().rows; ++value)
        out.row.push_back(pooled(functional, out.tracks.back().row(value)));
  }
  return out;
}

}  // namespace melgrad::testing
