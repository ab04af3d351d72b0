#include "support/speech_input.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>
#include <span>
#include <utility>
#include <variant>

#include "host/features/feature_plan.hpp"

namespace melgrad::testing {
namespace {

constexpr Index n_mels = 64, n_mfcc = 40;

// Bands of 50 to 8000 Hz and their DCT.
MfccPlan mfcc_plan() {
  Mfcc mfcc;
  mfcc.n_mfcc = n_mfcc;
  mfcc.n_mels = n_mels;
  mfcc.fmin = 50;
  mfcc.fmax = 8000;
  FeatureSpec spec;
  spec.stft.n_fft = SpeechFrames::n_fft;
  spec.descriptors = {{mfcc, {Functional::mean}}};
  return std::get<MfccPlan>(make_feature_plan(spec, SpeechFrames::sample_rate).descriptors.at(0).plan);
}

// |STFT|^2 [n_bins] of a frame by the definition, in double: synthetic voices have bands so far below others
// that a transform in float32 would move their dB.
std::vector<double> power_spectrum(std::span<const float> frame) {
  constexpr std::size_t n_fft = SpeechFrames::n_fft;
  static const auto roots = [] {
    std::vector<std::complex<double>> table;
    for (std::size_t j = 0; j < n_fft; ++j)
      table.push_back(std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(j) / n_fft));
    return table;
  }();
  std::vector<double> power(n_fft / 2 + 1);
  if (std::all_of(frame.begin(), frame.end(), [](float x) { return x == 0; })) return power;
  std::vector<double> windowed;
  for (std::size_t j = 0; j < frame.size(); ++j)
    windowed.push_back(static_cast<double>(frame[j]) *
                       (0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(j) /
                                             static_cast<double>(frame.size()))));
  for (std::size_t bin = 0; bin < power.size(); ++bin) {
    double re = 0, im = 0;
    for (std::size_t j = 0; j < frame.size(); ++j) {
      const std::complex<double>& root = roots[j * bin % n_fft];
      re += windowed[j] * root.real();
      im += windowed[j] * root.imag();
    }
    power[bin] = re * re + im * im;
  }
  return power;
}

}  // namespace

SpeechInput::SpeechInput(std::vector<float> samples_) : samples(std::move(samples_)) {
  constexpr Index length = SpeechFrames::win_length, hop = SpeechFrames::hop_length;
  const Index n_frames = 1 + (static_cast<Index>(samples.size()) - length) / hop;
  assert(n_frames >= 1);
  const MfccPlan plan = mfcc_plan();
  mel = Matrix<float>(n_mels, n_frames);
  log_mel = mel;
  mfcc = Matrix<float>(n_mfcc, n_frames);
  float loudest = -100;
  for (Index frame = 0; frame < n_frames; ++frame) {
    const auto cut = std::span<const float>(samples).subspan(static_cast<std::size_t>(frame * hop), length);
    double squares = 0;
    for (const float x : cut) squares += static_cast<double>(x) * static_cast<double>(x);
    rms_db.push_back(static_cast<float>(10 * std::log10(squares / static_cast<double>(length) + 1e-10)));
    const std::vector<double> power = power_spectrum(cut);
    for (Index band = 0; band < n_mels; ++band) {
      const auto b = static_cast<std::size_t>(band);
      double sum = 0;
      for (int i = plan.bank.offset[b]; i < plan.bank.offset[b + 1]; ++i)
        sum += static_cast<double>(plan.bank.weights[static_cast<std::size_t>(i)]) *
               power[static_cast<std::size_t>(plan.bank.first_bin[b] + i - plan.bank.offset[b])];
      mel(band, frame) = static_cast<float>(sum);
      log_mel(band, frame) = static_cast<float>(10 * std::log10(std::max(1e-10, sum)));
      loudest = std::max(loudest, log_mel(band, frame));
    }
  }
  for (float& db : log_mel.values) db = std::max(db, loudest - 80);
  for (Index frame = 0; frame < n_frames; ++frame)
    for (Index c = 0; c < n_mfcc; ++c) {
      double sum = 0;
      for (Index band = 0; band < n_mels; ++band)
        sum += static_cast<double>(plan.dct(c, band)) * static_cast<double>(log_mel(band, frame));
      mfcc(c, frame) = static_cast<float>(sum);
    }
}

SpeechFrames SpeechInput::frames() const {
  SpeechFrames frames;
  frames.samples = samples;
  frames.mel = mel.view();
  frames.log_mel = log_mel.view();
  frames.mfcc = mfcc.view();
  frames.rms_db = rms_db;
  return frames;
}

}  // namespace melgrad::testing
