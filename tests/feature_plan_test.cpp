#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>

#include "host/core/error.hpp"
#include "host/features/feature_plan.hpp"
#include "support/golden_features.hpp"
#include "support/golden_file.hpp"
#include "support/reference_features.hpp"

using namespace melgrad;
using namespace melgrad::testing;

namespace {

std::size_t at(Index i) {
  return static_cast<std::size_t>(i);
}

// The samples of one kind of table: "windows", "mel_banks", "chroma_banks".
Json golden_banks(const char* kind) {
  return golden_file("features_banks.json").at(kind);
}

FeaturePlan plan_of(int sample_rate, int n_fft,
                    decltype(DescriptorSpec::descriptor) descriptor = ChromaStft{}) {
  FeatureSpec spec;
  spec.stft.n_fft = n_fft;
  spec.descriptors = {{descriptor}};
  return make_feature_plan(spec, sample_rate);
}

FeaturePlan mel_plan(int sample_rate, int n_fft, int n_mels, double fmin, double fmax, bool htk) {
  return plan_of(sample_rate, n_fft, MelSpectrogram{n_mels, fmin, fmax, htk, 2});
}

const MelBank& only_bank(const FeaturePlan& plan) {
  return std::get<MelPlan>(plan.descriptors.at(0).plan).bank;
}

// The sparse form of a bank as a matrix [n_mels, n_bins].
Matrix<double> dense_by_band(const MelBank& bank, int n_bins) {
  Matrix<double> dense(bank.n_mels, n_bins);
  for (Index m = 0; m < bank.n_mels; ++m)
    for (int i = bank.offset[at(m)]; i < bank.offset[at(m + 1)]; ++i)
      dense(m, bank.first_bin[at(m)] + i - bank.offset[at(m)]) = bank.weights[at(i)];
  return dense;
}

// The form of two slopes a bin as a matrix [n_mels, n_bins].
Matrix<double> dense_by_slopes(const MelBank& bank, int n_bins) {
  Matrix<double> dense(bank.n_mels, n_bins);
  for (int i = 0; i <= bank.n_mels; ++i)
    for (int k = bank.interval_begin[at(i)]; k < bank.interval_begin[at(i + 1)]; ++k) {
      if (i < bank.n_mels) dense(i, k) = double{bank.norm[at(i)]} * bank.rising[at(k)];
      if (i > 0) dense(i - 1, k) = double{bank.norm[at(i - 1)]} * bank.falling[at(k)];
    }
  return dense;
}

// The greatest |a - b|, in units of the greatest |b|.
double deviation(std::span<const double> a, std::span<const double> b) {
  REQUIRE(a.size() == b.size());
  double worst = 0, greatest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    greatest = std::max(greatest, std::abs(b[i]));
  }
  return greatest > 0 ? worst / greatest : worst;
}

std::vector<double> as_doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

std::vector<double> waveform(const GoldenSignal& signal) {
  std::vector<double> samples;
  for (const std::int16_t sample : golden_signal(signal)) samples.push_back(sample / 32768.0);
  return samples;
}

// The tables are rounded to float once, librosa's mel banks twice: 3 * 2^-24 of the greatest value.
constexpr double float_rounding = 1.8e-7;

}  // namespace

TEST_SUITE("feature_plan") {
  TEST_CASE("windows equal librosa's, periodic and padded in the middle") {
    for (const Json& golden : golden_banks("windows")) {
      FeatureSpec spec = feature_spec("notebook");
      spec.stft.n_fft = golden.at("n_fft");
      spec.stft.win_length = golden.at("win_length");
      spec.stft.window = from_name<Window>(golden.at("window").get<std::string>());
      const FeaturePlan plan = make_feature_plan(spec, 48000);
      CAPTURE(golden.dump());
      REQUIRE(static_cast<int>(plan.window.size()) == spec.stft.n_fft);
      for (const Json& place : golden.at("places"))
        CHECK(plan.window[place.at("place").get<std::size_t>()] ==
              doctest::Approx(place.at("value").get<double>()).epsilon(float_rounding).scale(1));
      const double sum = std::accumulate(plan.window.begin(), plan.window.end(), 0.0);
      CHECK(sum == doctest::Approx(golden.at("sum").get<double>()).epsilon(float_rounding));
    }
  }

  TEST_CASE("mel banks equal librosa's: sums and extent of all bands, all weights of some") {
    for (const Json& golden : golden_banks("mel_banks")) {
      const FeaturePlan plan = mel_plan(golden.at("sample_rate"), golden.at("n_fft"), golden.at("n_mels"),
                                        golden.at("fmin"), golden.at("fmax"), golden.at("htk"));
      const MelBank& bank = only_bank(plan);
      CAPTURE(golden.at("sample_rate").dump());
      CAPTURE(golden.at("n_fft").dump());
      std::vector<double> sums;
      for (Index m = 0; m < bank.n_mels; ++m) {
        const int begin = bank.offset[at(m)], end = bank.offset[at(m + 1)];
        sums.push_back(std::accumulate(bank.weights.begin() + begin, bank.weights.begin() + end, 0.0));
        CAPTURE(m);
        const int first = golden.at("first").at(at(m)), last = golden.at("last").at(at(m));
        // A bin on the edge of a band may have a weight of 1e-16 in one rounding and none in the other.
        const auto weight = [&](int i) { return bank.weights[at(i)] > 1e-12 * bank.norm[at(m)]; };
        int n_used = 0;
        for (int i = begin; i < end; ++i) n_used += weight(i) ? 1 : 0;
        CHECK(n_used == (first < 0 ? 0 : last - first + 1));
        if (first >= 0) CHECK(bank.first_bin[at(m)] + (weight(begin) ? 0 : 1) == first);
      }
      CHECK(deviation(sums, golden.at("sum").get<std::vector<double>>()) < float_rounding);
      const Matrix<double> dense = dense_by_band(bank, plan.n_bins);
      for (const Json& band : golden.at("bands")) {
        const auto m = band.at("band").get<Index>();
        const auto weights = band.at("weights").get<std::vector<double>>();
        if (weights.empty()) continue;  // the extent above says that it has none
        const auto row =
            dense.row(m).subspan(golden.at("first").at(at(m)).get<std::size_t>(), weights.size());
        CHECK(deviation(row, weights) < float_rounding);
      }
    }
  }

  TEST_CASE("both forms of a mel bank, and the reference's, are the same matrix") {
    struct Case {
      int sample_rate, n_fft, n_mels;
      double fmin, fmax;
      bool htk;
    };
    for (const Case& c : {Case{48000, 2048, 128, 0, 8000, false}, Case{48000, 2048, 128, 0, 0, false},
                          Case{8000, 2048, 128, 0, 8000, false}, Case{16000, 512, 40, 62.5, 7000, true},
                          Case{1000, 16, 128, 0, 0, false}, Case{768000, 16, 4, 0, 1e6, false},
                          Case{22050, 1023, 1024, 10999, 11001, true}, Case{44100, 4096, 1, 0, 0, false}}) {
      CAPTURE(c.sample_rate);
      CAPTURE(c.n_fft);
      const FeaturePlan plan = mel_plan(c.sample_rate, c.n_fft, c.n_mels, c.fmin, c.fmax, c.htk);
      const Matrix<double> reference =
          reference_mel_bank(c.sample_rate, c.n_fft, c.n_mels, c.fmin, c.fmax, c.htk);
      const MelBank& bank = only_bank(plan);
      CHECK(deviation(dense_by_band(bank, plan.n_bins).values, reference.values) < float_rounding);
      CHECK(deviation(dense_by_slopes(bank, plan.n_bins).values, reference.values) < 2 * float_rounding);
      for (int k = bank.end_bin(); k < plan.n_bins; ++k) CHECK(bank.rising[at(k)] + bank.falling[at(k)] == 0);
    }
  }

  TEST_CASE("mel bands above the Nyquist frequency are empty, as in librosa") {
    const MelBank bank = only_bank(mel_plan(8000, 2048, 128, 0, 8000, false));
    int n_empty = 0;
    for (Index m = 0; m < 128; ++m) {
      const bool above = bank.points[at(m)] >= 4000;
      const bool empty = bank.offset[at(m)] == bank.offset[at(m + 1)];
      CHECK(above == empty);
      n_empty += empty ? 1 : 0;
    }
    CHECK(n_empty == 27);  // of librosa.filters.mel(sr=8000, n_fft=2048, fmax=8000)
  }

  TEST_CASE("chroma banks equal librosa's, for any tuning, rate and number of chroma") {
    for (const Json& golden : golden_banks("chroma_banks")) {
      CAPTURE(golden.at("sample_rate").dump());
      CAPTURE(golden.at("n_fft").dump());
      const int n_chroma = golden.at("n_chroma");
      const double tuning = golden.at("tuning");
      const FeaturePlan plan = plan_of(golden.at("sample_rate"), golden.at("n_fft"));
      const Matrix<float> bank = chroma_bank(plan, n_chroma, tuning);
      REQUIRE(bank.rows == n_chroma);
      REQUIRE(bank.cols == plan.n_bins);
      const Matrix<double> reference =
          reference_chroma_bank(plan.sample_rate, plan.spec.stft.n_fft, n_chroma, tuning);
      CHECK(deviation(as_doubles(bank.values), reference.values) < float_rounding);
      for (const Json& bin : golden.at("bins")) {
        std::vector<double> column;
        for (int c = 0; c < n_chroma; ++c) column.push_back(bank(c, bin.at("bin").get<Index>()));
        CHECK(deviation(column, bin.at("weights").get<std::vector<double>>()) < float_rounding);
      }
    }
  }

  TEST_CASE("rows of the DCT are orthonormal, and the first is constant") {
    const FeaturePlan plan = plan_of(48000, 2048, Mfcc{40, 128, 0, 0, false, 1e-10, 0.5, 80});
    const auto& mfcc = std::get<MfccPlan>(plan.descriptors[0].plan);
    for (Index a = 0; a < 40; ++a)
      for (Index b = 0; b < 40; ++b) {
        double dot = 0;
        for (Index m = 0; m < 128; ++m) dot += double{mfcc.dct(a, m)} * mfcc.dct(b, m);
        CHECK(dot == doctest::Approx(a == b ? 1 : 0).epsilon(1e-6).scale(1));  // 128 roundings of 1e-8
      }
    CHECK(mfcc.dct(0, 0) == mfcc.dct(0, 127));
    CHECK(mfcc.dct(1, 0) > 0);
    CHECK(mfcc.ref_db == doctest::Approx(-3.0102999566));
  }

  TEST_CASE("the tuning's peaks lie in [150, 4000) Hz, with numpy's rounding at the limits") {
    const auto range = [](int sample_rate, int n_fft) {
      const TuningPlan tuning = plan_of(sample_rate, n_fft).tuning;
      return std::pair{tuning.first_bin, tuning.end_bin};
    };
    CHECK(range(48000, 2048) == std::pair{7, 171});
    CHECK(range(16000, 512) == std::pair{5, 128});    // bin 128 is 4000 Hz
    CHECK(range(1000, 1000) == std::pair{150, 500});  // bin 500 is the Nyquist frequency
    const auto [first, end] = range(768000, 16);      // no bin between 0 and 48 kHz
    CHECK(first == end);
    CHECK(tuning_edges[0] == -0.5);
    CHECK(tuning_edges[50] == 0);
    CHECK(tuning_edges[100] == 0.5);
  }

  TEST_CASE("descriptors stand in the row one after another, functional by functional") {
    FeatureSpec spec = feature_spec("notebook");
    spec.descriptors[1].functionals = {Functional::std, Functional::mean};
    const FeaturePlan plan = make_feature_plan(spec, 44100);
    CHECK(plan.n_features == n_features(spec));
    CHECK(plan.n_bins == 1025);
    CHECK(plan.hz_of_bin(1024) == 22050);
    CHECK(plan.descriptors[0].first_feature == 0);
    CHECK(plan.descriptors[1].first_feature == 12);
    CHECK(plan.descriptors[2].first_feature == 12 + 256);
    CHECK(plan.descriptors[2].n_values == 40);
    CHECK(plan.descriptors[2].name == "mfcc");
  }

  TEST_CASE("frames are counted as librosa does, centred or not") {
    FeatureSpec spec = feature_spec("notebook");
    CHECK(make_feature_plan(spec, 48000).n_frames(1) == 1);
    CHECK(make_feature_plan(spec, 48000).n_frames(511) == 1);
    CHECK(make_feature_plan(spec, 48000).n_frames(512) == 2);
    CHECK(make_feature_plan(spec, 48000).first_sample(1) == 512 - 1024);
    spec.stft.n_fft = 1023;  // odd: 511 zeros on both sides
    CHECK(make_feature_plan(spec, 48000).n_frames(1) == 1);
    CHECK(make_feature_plan(spec, 48000).n_frames(512) == 1);
    CHECK(make_feature_plan(spec, 48000).n_frames(513) == 2);
    spec.stft.center = false;
    CHECK(make_feature_plan(spec, 48000).n_frames(1022) == 0);
    CHECK(make_feature_plan(spec, 48000).n_frames(1023) == 1);
    CHECK(make_feature_plan(spec, 48000).n_frames(1023 + 512) == 2);
    CHECK(make_feature_plan(spec, 48000).first_sample(1) == 512);
  }

  TEST_CASE("padding takes the samples that numpy.pad takes, also of clips shorter than the padding") {
    std::string reflected, edge, constant;
    for (Index i = -5; i < 8; ++i) {
      reflected += std::to_string(padded_sample(i, 3, PadMode::reflect));
      edge += std::to_string(padded_sample(i, 3, PadMode::edge));
      constant += padded_sample(i, 3, PadMode::constant) < 0 ? "." : "x";
    }
    CHECK(reflected == "1012101210121");  // numpy.pad([0, 1, 2], 5, 'reflect')
    CHECK(edge == "0000001222222");
    CHECK(constant == ".....xxx.....");
    CHECK(padded_sample(-7, 1, PadMode::reflect) == 0);
    CHECK(padded_sample(7, 1, PadMode::reflect) == 0);
  }

  TEST_CASE("a spec that makes no sense at a rate is refused") {
    FeatureSpec spec;
    spec.descriptors = {{Mfcc{}}};
    std::get<Mfcc>(spec.descriptors[0].descriptor).fmin = 4000;
    CHECK_NOTHROW(make_feature_plan(spec, 8001));
    CHECK_THROWS_WITH_AS(make_feature_plan(spec, 8000),
                         "mfcc: fmin: 4000 Hz is not below half the sample rate, 4000 Hz", UsageError);
    CHECK_THROWS_WITH_AS(make_feature_plan(spec, 999), "sample rate: 999 Hz is not in [1000, 768000] Hz",
                         UsageError);
    CHECK_THROWS_AS(make_feature_plan(FeatureSpec{}, 48000), UsageError);
  }

  TEST_CASE("every rate and size has a plan of finite tables") {
    for (const int sample_rate : {1000, 8000, 44100, 768000})
      for (const int n_fft : {16, 17, 1009, 2048, 65521, 65536}) {
        FeatureSpec spec = feature_spec("notebook");
        spec.stft.n_fft = n_fft;
        const FeaturePlan plan = make_feature_plan(spec, sample_rate);
        CAPTURE(sample_rate);
        CAPTURE(n_fft);
        const auto finite = [](float value) { return std::isfinite(value); };
        CHECK(std::all_of(plan.window.begin(), plan.window.end(), finite));
        const auto bank = chroma_bank(plan, 12, 0.1);
        CHECK(std::all_of(bank.values.begin(), bank.values.end(), finite));
        const MelBank& mel = std::get<MelPlan>(plan.descriptors[1].plan).bank;
        CHECK(std::all_of(mel.weights.begin(), mel.weights.end(), finite));
        CHECK(mel.offset.back() == static_cast<int>(mel.weights.size()));
        CHECK(plan.tuning.first_bin <= plan.tuning.end_bin);
        CHECK(plan.tuning.end_bin < plan.n_bins);
      }
  }

  // librosa's filter banks are float32, each weight off by 6e-8 of itself at most; sums over bands and frames
  // are no worse, and decibels turn it into 3e-7 dB of up to 1000.
  TEST_CASE("the reference extractor equals librosa: pooled values") {
    constexpr double tolerance = 2e-7;
    for (const GoldenClip& clip : golden_clips()) {
      CAPTURE(clip.name);
      const auto samples = waveform(clip.signal);
      const FeatureSpec spec = with_given_tuning(clip);
      const ReferenceFeatures reference = reference_features(spec, clip.signal.sample_rate, samples);
      const FeaturePlan plan = make_feature_plan(spec, clip.signal.sample_rate);
      REQUIRE(reference.row.size() == clip.row.size());
      CHECK(plan.n_frames(clip.signal.n_samples) == clip.n_frames);
      for (std::size_t i = 0; i < plan.descriptors.size(); ++i) {
        const DescriptorPlan& descriptor = plan.descriptors[i];
        CAPTURE(descriptor.name);
        CHECK(reference.tracks[i].cols == clip.n_frames);
        for (std::size_t f = 0; f < descriptor.functionals.size(); ++f) {
          const std::size_t first = at(descriptor.first_feature) + f * at(descriptor.n_values);
          const auto ours = std::span(reference.row).subspan(first, at(descriptor.n_values));
          const auto librosa = std::span(clip.row).subspan(first, at(descriptor.n_values));
          CHECK(deviation(ours, librosa) < tolerance);
        }
      }
    }
  }

  TEST_CASE("the reference extractor equals librosa: single frames") {
    int n_frames_compared = 0;
    for (const GoldenClip& clip : golden_clips()) {
      if (clip.frames.empty()) continue;
      CAPTURE(clip.name);
      const ReferenceFeatures reference =
          reference_features(with_given_tuning(clip), clip.signal.sample_rate, waveform(clip.signal));
      for (const GoldenFrame& frame : clip.frames) {
        const Matrix<double>& track = reference.tracks[at(frame.descriptor)];
        std::vector<double> values;
        for (Index value = 0; value < track.rows; ++value) values.push_back(track(value, frame.frame));
        CAPTURE(frame.descriptor);
        CAPTURE(frame.frame);
        CHECK(deviation(values, frame.values) < 1e-6);
        ++n_frames_compared;
      }
    }
    CHECK(n_frames_compared > 40);
  }

  TEST_CASE("the reference extractor estimates librosa's tuning wherever rounding does not decide it") {
    int n_compared = 0;
    for (const GoldenClip& clip : golden_clips()) {
      if (!clip.tuning || !clip.tuning_is_stable) continue;
      CAPTURE(clip.name);
      const ReferenceFeatures reference =
          reference_features(clip.spec, clip.signal.sample_rate, waveform(clip.signal));
      CHECK(reference.tunings[0] == doctest::Approx(*clip.tuning).epsilon(1e-12).scale(1));
      ++n_compared;
    }
    CHECK(n_compared >= 20);
  }
}
