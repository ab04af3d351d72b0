#include "host/cpu/pitch_path.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "host/cpu/track_statistics.hpp"

namespace melgrad {
namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// Praat's, with a finer step in time.
constexpr double voicing_threshold = 0.45;
constexpr double silence_threshold = 0.03;
constexpr double octave_cost = 0.01;
constexpr double octave_jump_cost = 0.35;
constexpr double voicing_cost = 0.14;  // of a change between voiced and unvoiced
constexpr double ceiling_hz = 600;

constexpr Index frames_behind = 2;  // that a median of 5 reads

constexpr std::size_t least_voiced = 6;
constexpr double pitch_of_whisper_hz = 150;

double semitones(double f0_hz) {
  return 12 * std::log2(std::max(f0_hz, 50.0) / 100);
}

// Zeros behind a clip.
constexpr Index samples_behind = long_win_length + most_lanes * SpeechFrames::hop_length;

// Everything that follows from f0_hz and height.
void complete(PitchPath& path, Percentiles& percentiles) {
  const Index n_frames = static_cast<Index>(path.f0_hz.size());
  const auto n_voiced = static_cast<std::size_t>(
      std::count_if(path.f0_hz.begin(), path.f0_hz.end(), [](double f) { return f > 0; }));
  if (n_voiced < least_voiced)
    for (double& f : path.f0_hz)
      if (f <= 0) f = pitch_of_whisper_hz;
  path.is_voiced.resize(at(n_frames));
  path.voiced.clear();
  path.semitones.clear();
  path.runs.clear();
  for (Index frame = 0; frame < n_frames; ++frame) {
    const bool is_voiced = path.f0_hz[at(frame)] > 0;
    path.is_voiced[at(frame)] = is_voiced;
    if (!is_voiced) continue;
    if (path.voiced.empty() || path.voiced.back() != frame - 1) path.runs.push_back({frame, frame});
    ++path.runs.back().second;
    path.voiced.push_back(frame);
    path.semitones.push_back(semitones(path.f0_hz[at(frame)]));
  }
  path.contour.resize(at(n_frames));
  interpolate(path.voiced, path.semitones, path.contour);
  path.median = percentiles.of(path.semitones)(50);
}

}  // namespace

PitchFinder::PitchFinder(const SpeechKernels& kernels, LongFrames& frames)
    : kernels_(kernels), frames_(frames), r_(at(n_lags * kernels.lanes)) {}

std::span<PitchFinder::Candidate> PitchFinder::candidates(Index frame) {
  return {candidates_.data() + frame * most_candidates, at(n_candidates_[at(frame)])};
}

void PitchFinder::find(std::span<const float> samples, Index n_frames, PitchPath& path) {
  find_candidates(samples, n_frames);
  filter_rough_pitch(samples, n_frames);
  for (Candidate& candidate : candidates(0)) candidate.total = candidate.strength;
  for (Index frame = 1; frame < n_frames; ++frame) connect(frame);

  path.f0_hz.assign(at(n_frames), 0);
  path.height.assign(at(n_frames), 0);
  const auto last = candidates(n_frames - 1);
  const auto less = [](const Candidate& a, const Candidate& b) { return a.total < b.total; };
  auto best = std::max_element(last.begin(), last.end(), less) - last.begin();
  for (Index frame = n_frames - 1; frame >= 0; --frame) {
    const Candidate& candidate = candidates(frame)[at(best)];
    if (best > 0) {
      path.f0_hz[at(frame)] = SpeechFrames::sample_rate / candidate.lag;
      path.height[at(frame)] = candidate.height;
    }
    best = candidate.from;
  }
  complete(path, percentiles_);
}

void PitchFinder::find_candidates(std::span<const float> samples, Index n_frames) {
  peaks_.resize(at(n_frames));
  n_candidates_.assign(at(n_frames), 1);
  candidates_.resize(at(n_frames) * most_candidates);
  correlations_.r = r_.data();
  const int lanes = kernels_.lanes;
  const Index n_rough = n_frames + frames_behind;
  rough_.raw_log_f0.resize(at(n_rough));
  rough_.periodicity.resize(at(n_rough));
  for (Index chunk = 0; chunk < n_rough; chunk += lanes) {
    std::array<std::int32_t, most_lanes> first{};
    for (int lane = 0; lane < lanes; ++lane)
      first[at(lane)] = static_cast<std::int32_t>((chunk + lane) * SpeechFrames::hop_length);
    kernels_.correlate(frames_, samples.data(), first.data(), correlations_);
    for (Index lane = 0; lane < std::min<Index>(lanes, n_rough - chunk); ++lane) {
      const auto lag = static_cast<double>(correlations_.best_lag[at(lane)]);
      rough_.raw_log_f0[at(chunk + lane)] = std::log2(SpeechFrames::sample_rate / lag);
      rough_.periodicity[at(chunk + lane)] = static_cast<double>(correlations_.best_r[at(lane)]);
    }
    for (Index lane = 0; lane < std::min<Index>(lanes, n_frames - chunk); ++lane) {
      peaks_[at(chunk + lane)] = correlations_.peak[at(lane)];
      const float* const r = r_.data() + lane;
      for (int i = 0; i < correlations_.n_maxima[at(lane)]; ++i) {
        const int lag = correlations_.maxima[at(lane)][at(i)];
        const auto height = [&](int l) { return static_cast<double>(r[l * lanes]); };
        add_candidate(chunk + lane, height(lag - 1), height(lag), height(lag + 1), lag);
      }
    }
  }
  const double loudest = static_cast<double>(*std::max_element(peaks_.begin(), peaks_.end())) + 1e-9;
  for (Index frame = 0; frame < n_frames; ++frame) {
    const double intensity = static_cast<double>(peaks_[at(frame)]) / loudest;
    Candidate& unvoiced = candidates(frame)[0];
    unvoiced = {};
    unvoiced.strength =
        voicing_threshold + std::max(0.0, 2 - intensity / (silence_threshold / (1 + voicing_threshold)));
  }
}

// scipy.signal.medfilt over all frames that begin in the clip, zeros before them; left out where they are no
// more than 5.
void PitchFinder::filter_rough_pitch(std::span<const float> samples, Index n_frames) {
  const std::vector<double>& raw = rough_.raw_log_f0;
  rough_.log_f0.assign(raw.begin(), raw.begin() + n_frames);
  rough_.periodicity.resize(at(n_frames));
  const auto n_begun = (static_cast<Index>(samples.size()) - samples_behind) / SpeechFrames::hop_length + 1;
  if (n_begun <= 5) return;
  for (Index frame = 0; frame < n_frames; ++frame) {
    std::array<double, 5> near{};
    for (Index i = 0; i < 5; ++i)
      if (frame + i >= 2) near[at(i)] = raw[at(frame + i - 2)];
    std::nth_element(near.begin(), near.begin() + 2, near.end());
    rough_.log_f0[at(frame)] = near[2];
  }
}

// The parabola through three values has its maximum at the candidate; the strongest are kept.
void PitchFinder::add_candidate(Index frame, double before, double here, double after, int lag) {
  const double curvature = before - 2 * here + after;
  const double shift = curvature == 0 ? 0 : (before - after) / 2 / curvature;
  Candidate candidate{};
  candidate.height = here - (before - after) * shift / 4;
  if (candidate.height > 1) candidate.height = 1 / candidate.height;
  candidate.lag = lag + shift;
  candidate.log2_lag = std::log2(candidate.lag);
  candidate.strength = candidate.height -
                       octave_cost * (candidate.log2_lag + std::log2(ceiling_hz / SpeechFrames::sample_rate));
  int& n = n_candidates_[at(frame)];
  if (n < most_candidates) {
    ++n;
    candidates(frame).back() = candidate;
    return;
  }
  const auto voiced = candidates(frame).subspan(1);
  const auto weakest =
      std::min_element(voiced.begin(), voiced.end(),
                       [](const Candidate& a, const Candidate& b) { return a.strength < b.strength; });
  if (weakest->strength < candidate.strength) *weakest = candidate;
}

// The best way from the frame before to each of the frame's candidates.
void PitchFinder::connect(Index frame) {
  const auto before = candidates(frame - 1), here = candidates(frame);
  for (std::size_t k = 0; k < here.size(); ++k) {
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t q = 0; q < before.size(); ++q) {
      double cost = 0;
      if (k != 0 && q != 0)
        cost = octave_jump_cost * std::abs(here[k].log2_lag - before[q].log2_lag);
      else if (k != q)
        cost = voicing_cost;
      const double total = before[q].total - cost;
      if (total > best) {
        best = total;
        here[k].from = static_cast<int>(q);
      }
    }
    here[k].total = best + here[k].strength;
  }
}

void pad_for_long_frames(std::span<const float> samples, std::vector<float>& padded) {
  constexpr Index before = (long_win_length - SpeechFrames::win_length) / 2;
  padded.assign(before + samples.size() + samples_behind, 0.0f);
  std::copy(samples.begin(), samples.end(), padded.begin() + before);
}

}  // namespace melgrad
