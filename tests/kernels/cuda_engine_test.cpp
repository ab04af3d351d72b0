// The CUDA engine on the emulated device as the program uses it: chosen by name, proven by its self-check.

#include "kernels/cuda_engine.hpp"

#include <doctest/doctest.h>

#include <string>

#include "host/core/error.hpp"
#include "host/cpu/cpu_engine.hpp"
#include "host/engine/engine_choice.hpp"
#include "host/engine/self_check.hpp"
#include "kernels/cuda_devices.hpp"
#include "session.hpp"

namespace melgrad::emulated {
namespace {

using emulation::Session;

std::unique_ptr<Engine> cpu_engine() {
  return make_cpu_engine({.n_threads = 1});
}

EngineMakers makers() {
  return {.cpu = cpu_engine, .cuda_status = list_devices, .cuda = [](int device) {
            auto engine = make_cuda_engine(device);
            const auto cpu = cpu_engine();
            check_features(*engine, *cpu);
            check_speech(*engine, *cpu);
            check_training(*engine, *cpu);
            return engine;
          }};
}

}  // namespace

TEST_SUITE("kernels_engine") {
  TEST_CASE("the engine passes its self-check, and auto and cuda take it") {
    for (const char* name : {"auto", "cuda", "cuda:0"}) {
      Session session;
      {
        const MadeEngine made = choose_engine(name, makers());
        CHECK(made.engine->name() == "cuda:0");
        CHECK(made.engine->description() == "emulated device, compute capability 8.9, 128 multiprocessors");
        CHECK(made.choice == (std::string(name) == "auto" ? "cuda:0" : ""));
      }
      session.finish();
    }
  }

  TEST_CASE("groups of speech that have no kernels are refused") {
    Session session;
    CHECK_THROWS_WITH_AS(
        make_cuda_engine(0)->feature_extractor(make_feature_plan(feature_spec("speech"), 16000)),
        "cuda:0 does not compute the speech group 'pitch'", UsageError);
    session.finish();
  }

  TEST_CASE("the second of two devices is used where it is named") {
    Session session({.driver = {.other_devices = {{.name = "the other"}}}});
    {
      const MadeEngine made = choose_engine("cuda:1", makers());
      CHECK(made.engine->name() == "cuda:1");
      CHECK(made.engine->description().starts_with("the other,"));
      CHECK(session.current_device() == 1);
    }
    session.finish();
  }

  TEST_CASE(
      "a device that computes wrong fails its self-check: named, an error; with auto, the CPU, loudly") {
    for (const auto& [name, is_auto] : {std::pair("cuda", false), std::pair("auto", true)}) {
      Session session({.broken_lane = 7});
      std::string why;
      bool was_refused = false;
      try {
        const MadeEngine made = choose_engine(name, makers());
        CHECK(is_auto);
        CHECK(made.engine->name() == "cpu");
        why = made.choice;
        was_refused = made.gpu_was_refused;
        const FeaturePlan plan = make_feature_plan(feature_spec("notebook"), ProbeClips::sample_rate);
        const ProbeClips probe = probe_clips();
        Matrix<float> rows(3, plan.n_features);
        made.engine->feature_extractor(plan)->extract(probe.batch(), rows.view());  // auto runs on
      } catch (const Error& error) {
        CHECK(!is_auto);
        why = error.what();
      }
      CHECK(was_refused == is_auto);
      MESSAGE(why);
      CHECK(why.find(
                "self-check: cuda:0 (emulated device, compute capability 8.9, 128 multiprocessors) computes "
                "wrong features: ") != std::string::npos);
      session.finish();
    }
  }

  TEST_CASE("a device without memory for the probe is an error with CUDA's words, and auto takes the CPU") {
    Session session({.device = {.memory = 100'000}});
    {
      const MadeEngine made = choose_engine("auto", makers());
      CHECK(made.engine->name() == "cpu");
      CHECK(made.gpu_was_refused);
      CHECK_MESSAGE(made.choice.starts_with("cpu, because cuda:0 (emulated device) cannot be used: "),
                    made.choice);
    }
    session.finish();
  }
}

}  // namespace melgrad::emulated
