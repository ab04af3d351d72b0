#include "host/engine/self_check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"
#include "host/engine/speech_division.hpp"
#include "host/features/feature_plan.hpp"

namespace melgrad {
namespace {

// Adds a chord of three decaying notes, `cents` above concert pitch, and noise of +-`noise`, full scale
// 32768.
void add_chord(ProbeClips& clips, Index n_samples, double cents, double noise, std::uint32_t seed) {
  PhiloxSequence random(seed, RandomStream::search);
  const auto begin = clips.samples.size();
  for (Index i = 0; i < n_samples; ++i) {
    const double t = static_cast<double>(i) / ProbeClips::sample_rate;
    double value = noise * (2 * static_cast<double>(random.next_uniform01()) - 1);
    for (const int semitones : {-12, 4, 7})
      for (int harmonic = 1; harmonic <= 4; ++harmonic)
        value +=
            2500.0 / harmonic * std::exp(-1.5 * t) *
            std::sin(2 * std::numbers::pi * 440 * std::exp2((semitones + cents / 100) / 12) * harmonic * t);
    clips.samples.push_back(static_cast<std::int16_t>(std::lrint(value)));
  }
  clips.offsets.push_back(static_cast<Index>(begin) + n_samples);
}

// The worst value of a row, in parts of its family's spread.
struct Worst {
  double deviation = -1;
  Index clip = 0, feature = 0;
  double spread = 0;
};

void compare_family(std::span<const float> ours, std::span<const float> truth, Index clip, Index first,
                    Worst& worst) {
  const auto [low, high] = std::minmax_element(truth.begin(), truth.end());
  const double spread = std::max(static_cast<double>(*high) - static_cast<double>(*low), 1e-12);
  for (std::size_t i = 0; i < truth.size(); ++i) {
    double deviation = std::abs(static_cast<double>(ours[i]) - static_cast<double>(truth[i])) / spread;
    if (!std::isfinite(deviation)) deviation = std::numeric_limits<double>::infinity();
    if (deviation > worst.deviation) worst = {deviation, clip, first + static_cast<Index>(i), spread};
  }
}

Worst compare(const FeaturePlan& plan, const Matrix<float>& ours, const Matrix<float>& truth) {
  Worst worst;
  for (Index clip = 0; clip < truth.rows; ++clip)
    for (const DescriptorPlan& descriptor : plan.descriptors)
      for (std::size_t f = 0; f < descriptor.functionals.size(); ++f) {
        const Index first = descriptor.first_feature + static_cast<Index>(f) * descriptor.n_values;
        const auto family = [&](const Matrix<float>& rows) {
          return rows.row(clip).subspan(static_cast<std::size_t>(first),
                                        static_cast<std::size_t>(descriptor.n_values));
        };
        compare_family(family(ours), family(truth), clip, first, worst);
      }
  return worst;
}

}  // namespace

ProbeClips probe_clips() {
  ProbeClips clips;
  clips.offsets = {0};
  add_chord(clips, 20000, 23.5, 40, 1);
  add_chord(clips, 9000, -31.5, 40, 2);
  std::fill(clips.samples.begin() + 23000, clips.samples.begin() + 26000, std::int16_t{0});
  for (std::size_t i = 26000; i < clips.samples.size(); ++i)
    clips.samples[i] = static_cast<std::int16_t>(clips.samples[i] / 256);
  add_chord(clips, 700, 12.5, 40, 3);
  return clips;
}

void check_features(Engine& engine, Engine& reference) {
  const FeaturePlan plan = make_feature_plan(feature_spec("notebook"), ProbeClips::sample_rate);
  const ProbeClips clips = probe_clips();
  const auto rows_of = [&](Engine& each) {
    Matrix<float> rows(clips.batch().n_clips(), plan.n_features);
    each.feature_extractor(plan)->extract(clips.batch(), rows.view());
    return rows;
  };
  const Matrix<float> ours = rows_of(engine), truth = rows_of(reference);
  const Worst worst = compare(plan, ours, truth);
  if (worst.deviation <= self_check_tolerance) return;
  fail(
      "self-check: {} ({}) computes wrong features: {} of probe clip {} is {}, and {} by the {} engine; {} "
      "of "
      "the family's spread {:.4g} is allowed. The driver, the device or this build is faulty",
      engine.name(), engine.description(), feature_names(plan.spec)[static_cast<std::size_t>(worst.feature)],
      worst.clip, ours(worst.clip, worst.feature), truth(worst.clip, worst.feature), reference.name(),
      self_check_tolerance, worst.spread);
}

void check_speech(Engine& engine, Engine& reference) {
  FeatureSpec spec = feature_spec("speech");
  Speech speech;
  std::erase_if(speech.groups, [](SpeechGroup group) { return !has_kernels(group); });
  spec.descriptors = {{speech, {}}};
  const FeaturePlan plan = make_feature_plan(spec, speech_sample_rate);
  ProbeClips clips;
  clips.offsets = {0};
  add_chord(clips, 4000, 23.5, 400, 4);
  add_chord(clips, 300, 12.5, 400, 5);
  const auto rows_of = [&](Engine& each) {
    Matrix<float> rows(clips.batch().n_clips(), plan.n_features);
    each.feature_extractor(plan)->extract(clips.batch(), rows.view());
    return rows;
  };
  const Matrix<float> ours = rows_of(engine), truth = rows_of(reference);
  for (Index clip = 0; clip < ours.rows; ++clip)
    for (Index i = 0; i < ours.cols; ++i) {
      const double value = double{ours(clip, i)}, expected = double{truth(clip, i)};
      if (std::fabs(value - expected) <= self_check_speech_tolerance * std::max(1.0, std::fabs(expected)))
        continue;
      fail(
          "self-check: {} ({}) computes wrong features: {} of probe clip {} is {}, and {} by the {} engine; "
          "{} of the value is allowed. The driver, the device or this build is faulty",
          engine.name(), engine.description(), feature_names(plan.spec)[static_cast<std::size_t>(i)], clip,
          value, expected, reference.name(), self_check_speech_tolerance);
    }
}

namespace {

// Rows of two overlapping classes and a third one.
struct ProbeRows {
  static constexpr int n_rows = 40, n_features = 21, n_classes = 3;
  Matrix<float> features{n_rows, n_features};
  std::vector<int> labels, rows;
  ProbeRows() {
    PhiloxSequence random(7, RandomStream::split);
    for (int row = 0; row < n_rows; ++row) {
      labels.push_back(row % n_classes);
      rows.push_back(row);
      for (float& value : features.row(row))
        value = 2 * random.next_uniform01() - 1 + 0.3f * static_cast<float>(labels.back());
    }
  }
  TrainingSet training_set() const { return {features.view(), labels, n_classes}; }
};

std::vector<MlpSpec> probe_networks() {
  MlpSpec plain{.hidden_layer_sizes = {19, 7}, .batch_size = 16, .random_state = 11, .epsilon = 1e-5};
  MlpSpec dropping = plain;
  dropping.activation = Activation::logistic;
  dropping.solver = Solver::sgd;
  dropping.dropout = 0.2;
  MlpSpec normalised = plain;
  normalised.activation = Activation::gelu;
  normalised.solver = Solver::adamw;
  normalised.batch_norm = true;
  return {plain, dropping, normalised};
}

}  // namespace

void check_training(Engine& engine, Engine& reference) {
  const ProbeRows probe;
  for (const MlpSpec& spec : probe_networks()) {
    const MlpJob job{spec, probe.rows, {}, nullptr};
    const auto probabilities_of = [&](Engine& each) {
      const auto stack = each.mlp_stack(probe.training_set(), {&job, 1});
      stack->train(3);
      Matrix<float> probabilities(ProbeRows::n_rows, ProbeRows::n_classes);
      stack->predict_proba(0, probe.features.view(), probabilities.view());
      return probabilities;
    };
    const Matrix<float> ours = probabilities_of(engine), truth = probabilities_of(reference);
    for (Index row = 0; row < ours.rows; ++row)
      for (Index c = 0; c < ours.cols; ++c)
        if (!(std::fabs(double{ours(row, c)} - double{truth(row, c)}) <= self_check_training_tolerance))
          fail(
              "self-check: {} ({}) trains wrong networks: after three epochs with activation {} and solver "
              "{}, "
              "probability {} of probe row {} is {}, and {} by the {} engine; a difference of {} is allowed. "
              "The "
              "driver, the device or this build is faulty",
              engine.name(), engine.description(), to_name(spec.activation), to_name(spec.solver), c, row,
              ours(row, c), truth(row, c), reference.name(), self_check_training_tolerance);
  }
}

}  // namespace melgrad
