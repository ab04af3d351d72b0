#pragma once
// Who computes which groups of the speech set where a GPU is used: the GPU those that it has kernels for, the
// CPU the others.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/engine/engine.hpp"
#include "host/features/feature_spec.hpp"

namespace melgrad {

// Whether the CUDA engine computes a group. It refuses a plan with others.
constexpr bool has_kernels(SpeechGroup group) {
  return group <= SpeechGroup::prosody;
}

// The device's engine, whose feature extractors of the speech set have the groups without kernels from `cpu`,
// clip by clip of the same batch.
std::unique_ptr<Engine> make_divided_engine(std::unique_ptr<Engine> device, std::unique_ptr<Engine> cpu);

// By the engine's name, what it computes of a clip: names of descriptors, of the speech set those of groups.
// An engine that computes nothing has no entry.
using Division = std::map<std::string, std::vector<std::string>>;
// Where the engine of this name is used.
Division division_of(const FeatureSpec& spec, std::string_view engine);
// "pitch, voice by cpu; mfcc by cuda:0"; empty where one engine computes all.
std::string to_text(const Division& division);

}  // namespace melgrad
