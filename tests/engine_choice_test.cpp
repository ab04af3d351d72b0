// Which engine a name means, what is said of it, and the self-check.

#include "host/engine/engine_choice.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "host/core/error.hpp"
#include "host/core/philox.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/engine/self_check.hpp"
#include "support/fake_engine.hpp"

namespace melgrad {
namespace {

using test::FakeEngine;

CudaDevice device(int index, std::string why_not = {}) {
  CudaDevice each;
  each.index = index;
  each.name = "GPU";
  each.why_not = std::move(why_not);
  return each;
}

CudaStatus no_driver() {
  CudaStatus status;
  status.why_not = "there is no driver";
  return status;
}

CudaStatus devices(std::vector<CudaDevice> all) {
  CudaStatus status;
  status.devices = std::move(all);
  return status;
}

EngineMakers makers(const CudaStatus& status, const std::string& fault = {}) {
  return {.cpu = [] { return std::make_unique<FakeEngine>("cpu"); },
          .cuda_status = [=] { return status; },
          .cuda = [=](int index) -> std::unique_ptr<Engine> {
            if (!fault.empty()) fail("{}", fault);
            return std::make_unique<FakeEngine>(fmt::format("cuda:{}", index));
          }};
}

std::string why_not(std::string_view name, const EngineMakers& some) {
  try {
    return std::string("made ") + std::string(choose_engine(name, some).engine->name());
  } catch (const Error& error) {
    return error.what();
  }
}

// The CPU engine with one thing wrong.
class WrongExtractor final : public FeatureExtractor {
 public:
  WrongExtractor(std::unique_ptr<FeatureExtractor> right, std::function<void(MatrixView<float>)> spoil)
      : right_(std::move(right)), spoil_(std::move(spoil)) {}
  void extract(const WaveformBatch& batch, MatrixView<float> rows) override {
    right_->extract(batch, rows);
    spoil_(rows);
  }
  std::vector<std::vector<FrameTrack>> tracks(const WaveformBatch& batch) override {
    return right_->tracks(batch);
  }

 private:
  std::unique_ptr<FeatureExtractor> right_;
  std::function<void(MatrixView<float>)> spoil_;
};

class WrongEngine final : public Engine {
 public:
  explicit WrongEngine(std::function<void(MatrixView<float>)> spoil) : spoil_(std::move(spoil)) {}
  std::string_view name() const override { return "cuda:0"; }
  std::string description() const override { return "a wrong one"; }
  std::unique_ptr<FeatureExtractor> feature_extractor(const FeaturePlan& plan) override {
    return std::make_unique<WrongExtractor>(cpu_->feature_extractor(plan), spoil_);
  }
  std::unique_ptr<MlpStack> mlp_stack(const TrainingSet&, std::span<const MlpJob>) override {
    fail("it cannot train");
  }
  Neighbours nearest_neighbours(MatrixView<const float>, MatrixView<const float>, int) override {
    fail("it knows no neighbours");
  }

 private:
  std::unique_ptr<Engine> cpu_ = make_cpu_engine({.n_threads = 1});
  std::function<void(MatrixView<float>)> spoil_;
};

std::string self_check(std::function<void(MatrixView<float>)> spoil) {
  WrongEngine engine(std::move(spoil));
  const auto cpu = make_cpu_engine({.n_threads = 1});
  try {
    check_features(engine, *cpu);
  } catch (const Error& error) {
    return error.what();
  }
  return "passed";
}

}  // namespace

TEST_SUITE("engine_choice") {
  TEST_CASE("without a usable device, auto takes the CPU and says why, and cuda is an error that says why") {
    const auto none = makers(no_driver());
    const MadeEngine made = choose_engine("auto", none);
    CHECK(made.engine->name() == "cpu");
    CHECK(made.choice == "cpu, because there is no driver");
    CHECK(!made.gpu_was_refused);
    CHECK(why_not("cuda", none) == "--device cuda: there is no driver");
    CHECK(why_not("cuda:0", none) == "--device cuda:0: there is no driver");
    CHECK(choose_engine("cpu", none).choice.empty());
  }

  TEST_CASE("cuda and auto mean the first usable device, cuda:N the one that was named") {
    const auto two = makers(devices({device(0, "it is too old"), device(1), device(2)}));
    CHECK(choose_engine("cuda", two).engine->name() == "cuda:1");
    CHECK(choose_engine("cuda:2", two).engine->name() == "cuda:2");
    CHECK(choose_engine("cpu", two).engine->name() == "cpu");
    const MadeEngine made = choose_engine("auto", two);
    CHECK(made.engine->name() == "cuda:1");
    CHECK(made.choice == "cuda:1, the first usable of cuda:0, cuda:1 and cuda:2");
    CHECK(choose_engine("auto", makers(devices({device(0)}))).choice == "cuda:0");
    CHECK(why_not("cuda:0", two) == "--device cuda:0: GPU is not usable: it is too old");
    CHECK(why_not("cuda:3", two) ==
          "--device cuda:3: there is no such device; there is cuda:0, cuda:1 and cuda:2");
  }

  TEST_CASE("processes of one machine take its usable GPUs in turn") {
    const CudaStatus three = devices({device(0), device(1, "too old"), device(2)});
    for (const char* any : {"auto", "cuda"}) {
      CHECK(device_of_process(any, 0, three) == "cuda:0");
      CHECK(device_of_process(any, 1, three) == "cuda:2");
      CHECK(device_of_process(any, 2, three) == "cuda:0");
      CHECK(device_of_process(any, 1, no_driver()) == any);
    }
    CHECK(device_of_process("cuda:0", 1, three) == "cuda:0");
    CHECK(device_of_process("cpu", 1, three) == "cpu");
  }

  TEST_CASE("what names no device is wrong usage") {
    const auto one = makers(devices({device(0)}));
    for (const char* name :
         {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda0", "CPU", "cuda:99999999999"})
      CHECK_THROWS_AS(choose_engine(name, one), UsageError);
  }

  TEST_CASE("a device that fails makes auto take the CPU, loudly, and is an error where it was named") {
    const auto broken = makers(devices({device(0)}), "self-check: wrong");
    const MadeEngine made = choose_engine("auto", broken);
    CHECK(made.engine->name() == "cpu");
    CHECK(made.choice == "cpu, because cuda:0 (GPU) cannot be used: self-check: wrong");
    CHECK(made.gpu_was_refused);
    CHECK(why_not("cuda", broken) == "--device cuda: self-check: wrong");
  }
}

TEST_SUITE("self_check") {
  TEST_CASE("an engine that computes as the CPU does passes") {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(self_check([](MatrixView<float>) {}) == "passed");
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
    MESSAGE("two engines on the probe: " << taken.count() << " ms");
  }

  TEST_CASE("rounding passes") {
    CHECK(self_check([](MatrixView<float> rows) {
            for (Index clip = 0; clip < rows.rows; ++clip)
              for (float& value : rows.row(clip)) value *= 1 + 1e-6f;
          }) == "passed");
  }

  TEST_CASE("one wrong value in any family of any clip is refused with its name and both numbers") {
    struct Case {
      Index feature;
      std::string name;
      Index begin, end;  // of the family
    };
    const std::vector<Case> cases = {{3, "chroma_stft_3_mean", 0, 12},
                                     {20, "melspectrogram_8_mean", 12, 140},
                                     {150, "mfcc_10_mean", 140, 180}};
    for (const Index clip : {0, 1, 2})
      for (const Case& each : cases) {
        float right = 0, wrong = 0;
        const std::string why = self_check([&](MatrixView<float> rows) {
          float largest = 0;
          for (Index i = each.begin; i < each.end; ++i) largest = std::max(largest, std::abs(rows(clip, i)));
          right = rows(clip, each.feature);
          wrong = rows(clip, each.feature) = right + 0.003f * largest;
        });
        const std::string expected = fmt::format(
            "self-check: cuda:0 (a wrong one) computes wrong features: {} of probe clip {} is {}, and {} by "
            "the cpu "
            "engine; 0.0002 of the family's spread",
            each.name, clip, wrong, right);
        CHECK_MESSAGE(why.starts_with(expected), why);
      }
  }

  TEST_CASE("a value that is not finite is refused") {
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const std::string why = self_check([&](MatrixView<float> rows) { rows(2, 100) = value; });
      CHECK_MESSAGE(why.find("melspectrogram_88_mean of probe clip 2 is") != std::string::npos, why);
    }
  }

  TEST_CASE("the probe is well conditioned: loud samples off by one leave its tunings where they are") {
    const FeaturePlan plan = make_feature_plan(feature_spec("notebook"), ProbeClips::sample_rate);
    const auto extractor = make_cpu_engine({.n_threads = 1})->feature_extractor(plan);
    const ProbeClips probe = probe_clips();
    Matrix<float> rows(3, plan.n_features), others(3, plan.n_features);
    extractor->extract(probe.batch(), rows.view());
    double worst = 0;
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
      ProbeClips other = probe;
      PhiloxSequence random(seed, RandomStream::search);
      for (std::int16_t& sample : other.samples)
        if (std::abs(sample) > 100)
          sample = static_cast<std::int16_t>(sample + static_cast<int>(random.next_below(3)) - 1);
      extractor->extract(other.batch(), others.view());
      for (Index clip = 0; clip < 3; ++clip)
        for (Index i = 0; i < 12; ++i)
          worst = std::max(
              worst, std::abs(static_cast<double>(rows(clip, i)) - static_cast<double>(others(clip, i))));
    }
    CHECK(worst < 3e-4);  // a tuning of the next bin of the histogram moves some chroma by more
  }
}

}  // namespace melgrad
